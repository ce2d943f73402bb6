"""Every setting: its name, type, default and meaning in one table, read and checked once at start.

This is the only file that reads the environment. No error and no ``repr`` made here shows a value that may be a secret.
"""

import difflib
import json
import os
import re
import tomllib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from email.headerregistry import Address, HeaderRegistry
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from plugin.errors import PluginError

PREFIX = "PASSALONG_"
CONFIG = "PASSALONG_CONFIG"
TESTS_PREFIX = "PASSALONG_TEST_"
HIDDEN = "***"

_POSTGRES = frozenset({"postgresql+psycopg", "postgresql", "postgres"})
_POSTGRES_SENTENCE = "postgresql+psycopg://user:password@host:5432/database (special characters as %23 for #)"
_METRICS_TOKEN_LENGTH_MIN = 16

# User and password are percent-encoded, so that SQLAlchemy, libpq, redis and urllib all read the same URL the same way.
_CHARACTER = r"[^\s:@/?#%]|%[0-9A-Fa-f]{2}"
_SERVER = re.compile(
    rf"(?:(?:{_CHARACTER})*(?::(?:{_CHARACTER}|:)*)?@)?"
    r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]*)(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<path>/[^\s?#]*)?(?P<query>\?[^\s#]*)?",
    re.ASCII,
)
_BASE_URL = re.compile(
    r"(?P<origin>https?://(?:\[[0-9a-f:.]+\]|[a-z0-9_](?:[a-z0-9._-]*[a-z0-9])?)(?::(?P<port>[0-9]{1,5}))?)"
    r"(?P<path>(?:/(?!\.{1,2}(?:/|$))[a-z0-9._~-]+)*)/?",
    re.ASCII | re.IGNORECASE,
)
# What Kubernetes (and Docker's old links) put into the environment beside a service that is itself called passalong.
_NEIGHBOUR = re.compile(r"PASSALONG_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)")
_NEIGHBOUR_PORT = re.compile(r"(tcp|udp|sctp)://")


class SettingsError(PluginError):
    """A setting that Passalong cannot start with; the sentence names it and says what to write."""

    def __init__(self, name: str, sentence: str) -> None:
        super().__init__("bad_setting", f"{name} {sentence}", fields={"setting": name})


class _Wrong(Exception):
    """A value is wrong; the text continues a sentence that begins with the setting's name."""


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise _Wrong("must be a text.")
    if not value:
        raise _Wrong("is empty. Write a value or leave the setting out.")
    if not value.isprintable():
        raise _Wrong("must not hold line breaks, control characters or bytes that are not UTF-8.")
    return value


def _server(rest: str) -> re.Match[str] | None:
    """Match what follows ``scheme://``: ``user:password@host:port/path?query``."""
    match = _SERVER.fullmatch(rest)
    return match if match and _is_port(match["port"]) else None


def _is_port(digits: str | None) -> bool:
    return digits is None or 0 < int(digits) < 65_536


def _is_file_of_sqlite(rest: str) -> bool:
    """Tell whether ``sqlite://`` + rest names a file: books in memory would be gone at the next start."""
    path = rest.partition("?")[0]
    return path.startswith("/") and path != "/" and ":memory:" not in path


def _is_database_of_postgres(rest: str) -> bool:
    server = _server(rest)
    return server is not None and (server["path"] or "/") != "/"


def _database_url(value: object) -> str:
    scheme, _, rest = _text(value).partition("://")
    if scheme == "sqlite" and _is_file_of_sqlite(rest):
        return f"sqlite://{rest}"
    if scheme in _POSTGRES and _is_database_of_postgres(rest):
        return f"postgresql+psycopg://{rest}"
    raise _Wrong(f"must be sqlite:///path/to/a/file.db or {_POSTGRES_SENTENCE}.")


def _queue_url(value: object) -> str:
    scheme, _, rest = _text(value).partition("://")
    if scheme == "sqlite" and _is_file_of_sqlite(rest):
        return f"sqlite://{rest}"
    if scheme in _POSTGRES and _is_database_of_postgres(rest):
        return f"postgresql://{rest}"
    server = _server(rest) if scheme in ("redis", "rediss") else None
    if server and server["host"] and re.fullmatch(r"(/[0-9]*)?", server["path"] or ""):
        return f"{scheme}://{rest}"
    raise _Wrong(
        "must be sqlite:///path/to/a/file.db, redis://:password@host:6379/0 or"
        " postgresql://user:password@host:5432/database (special characters as %23 for #)."
    )


def _mail_url(value: object) -> str:
    if value == "":
        return ""
    scheme, _, rest = _text(value).partition("://")
    server = _server(rest) if scheme in ("smtp", "smtps") else None
    if server and server["host"] and server["path"] in (None, "/") and server["query"] is None:
        return f"{scheme}://{rest.removesuffix('/')}"
    raise _Wrong("must be smtp://user:password@host:port (special characters as %23 for #), or empty to log mails.")


def _mail_from(value: object) -> str:
    text = _text(value)
    header = HeaderRegistry()("From", text)
    found: Sequence[Address] = getattr(header, "addresses", ())
    if header.defects or len(found) != 1 or not (found[0].username and found[0].domain):
        raise _Wrong("must be an e-mail address, or a name and one: Tea House <hello@shop.example.com>.")
    return text


def _base_url(value: object) -> str:
    match = _BASE_URL.fullmatch(_text(value))
    if match is None or not _is_port(match["port"]):
        raise _Wrong("must be the public address, like https://shop.example.com/share: no query, no fragment, no user.")
    return match["origin"].lower() + match["path"]


def _keys(value: object) -> str:
    """Check the outermost shape only; ``plugin.keys`` reads the rings."""
    try:
        if isinstance(value, str) and isinstance(json.loads(value), dict):
            return value
    except (ValueError, RecursionError):
        pass
    raise _Wrong("must be the JSON text of a keys.json. Leave it out to have the keys made in the instance folder.")


def _instance(value: object) -> Path:
    text = _text(os.fspath(value) if isinstance(value, os.PathLike) else value)
    if {"?", "%"} & set(text):  # the database URL begins with this path, and there they mean something else
        raise _Wrong("must be a folder without ? and % in its name.")
    try:
        path = Path(text).expanduser().absolute()
    except RuntimeError:
        raise _Wrong("begins with the ~ of an unknown user. Write the whole path.") from None
    if path.exists() and not path.is_dir():
        raise _Wrong("must be a folder, and there is something else of that name.")
    return path


def _metrics_token(value: object) -> str:
    if value == "" or (isinstance(value, str) and re.fullmatch(rf"[!-~]{{{_METRICS_TOKEN_LENGTH_MIN},}}", value)):
        return value
    raise _Wrong(f"must be at least {_METRICS_TOKEN_LENGTH_MIN} ASCII characters without spaces, or empty.")


def _whole_number(smallest: int, largest: int) -> Callable[[object], int]:
    def read(value: object) -> int:
        number = int(value) if isinstance(value, str) and re.fullmatch("[0-9]{1,12}", value) else value
        if type(number) is not int or not smallest <= number <= largest:
            raise _Wrong(f"must be a whole number from {smallest} to {largest}.")
        return number

    return read


@dataclass(frozen=True, slots=True)
class Setting:
    """One row of the table. Where ``default`` is None, :func:`load` works it out; a ``secret`` is never shown."""

    name: str
    type: str
    default: str | int | None
    default_shown: str
    meaning: str
    read: Callable[[object], Any]
    secret: bool = False

    @property
    def variable(self) -> str:
        """Return the name as the environment, the TOML file and a host's config write it."""
        return PREFIX + self.name.upper()


SETTINGS = (
    Setting(
        "database_url",
        "URL",
        None,
        "`sqlite:///<instance>/passalong.db`",
        "where the books are: a file of SQLite, or `postgresql+psycopg://…`",
        _database_url,
        secret=True,
    ),
    Setting(
        "queue_url",
        "URL",
        None,
        "beside the database",
        "where the work waits: `sqlite:///…`, `redis://…` or `postgresql://…`",
        _queue_url,
        secret=True,
    ),
    Setting(
        "keys",
        "JSON",
        None,
        "made on first start in `<instance>/keys.json`, mode 600",
        "the rings `sign` and `encrypt`, and the `pepper` for hashes that never changes",
        _keys,
        secret=True,
    ),
    Setting(
        "base_url",
        "URL",
        "http://127.0.0.1:8000",
        "`http://127.0.0.1:8000`",
        "public address",
        _base_url,
    ),
    Setting("instance", "folder", "./instance", "`./instance`", "where the embedded files live", _instance),
    Setting(
        "mail_url",
        "URL",
        "",
        "prints mails to the log",
        "`smtp://user:pass@host:port`; `smtps://…` where the server wants TLS from the first byte",
        _mail_url,
        secret=True,
    ),
    Setting(
        "mail_from",
        "e-mail",
        None,
        "`Passalong <no-reply@HOST>`, of the base URL's host",
        "whom the mails come from",
        _mail_from,
    ),
    Setting("workers", "number", 2, "2", "threads of the embedded worker; 0 = web only", _whole_number(0, 64)),
    Setting(
        "max_body_bytes",
        "number",
        2_097_152,
        "2097152",
        "larger deliveries get 413",
        _whole_number(1_024, 104_857_600),
    ),
    Setting(
        "keep_bodies_days",
        "number",
        90,
        "90",
        "raw deliveries are erased after that; the normal form stays",
        _whole_number(1, 36_500),
    ),
    Setting("trusted_proxies", "number", 0, "0", "number of proxies in front", _whole_number(0, 16)),
    Setting(
        "metrics_token",
        "text",
        "",
        "empty: `/metrics` is closed",
        "the bearer token that opens `/metrics`, at least 16 characters",
        _metrics_token,
        secret=True,
    ),
)


@dataclass(frozen=True, slots=True, repr=False)
class Settings:
    """The settings in force, checked. ``keys`` is empty where the keys lie in the instance folder."""

    database_url: str
    queue_url: str
    keys: str
    base_url: str
    instance: Path
    mail_url: str
    mail_from: str
    workers: int
    max_body_bytes: int
    keep_bodies_days: int
    trusted_proxies: int
    metrics_token: str

    def __repr__(self) -> str:
        secret = {setting.name for setting in SETTINGS if setting.secret}
        shown = {field.name: getattr(self, field.name) for field in fields(self)}
        shown |= {name: _hide(shown[name]) for name in secret}
        return f"Settings({', '.join(f'{name}={value!r}' for name, value in shown.items())})"


def _hide(value: str) -> str:
    """Show the path of a SQLite file and whether there is a value, but never the value."""
    return value if not value or value.startswith("sqlite:///") else HIDDEN


def load(environ: Mapping[str, str] | None = None, overrides: Mapping[str, object] | None = None) -> Settings:
    """Return the settings from ``overrides`` (a Flask host's config), else the environment, else the TOML file.

    Of ``overrides`` only the names that begin with ``PASSALONG_`` are read, and a None there counts as not written.
    Raise SettingsError for a wrong value, an unknown name and an unreadable file.
    """
    host = {name: value for name, value in (overrides or {}).items() if name.startswith(PREFIX) and value is not None}
    outside = _without_neighbours(os.environ if environ is None else environ)
    sources: list[Mapping[str, object]] = [host, outside]
    for source in sources:
        _refuse_unknown(source, also=(CONFIG,))
    config = host.get(CONFIG, outside.get(CONFIG))
    if config is not None:
        sources.append(_read_config(config))
    given = {setting.name: _find(setting, sources) for setting in SETTINGS}
    return _with_places(given)


def _with_places(given: dict[str, Any]) -> Settings:
    """Work out the defaults that hang on other settings: the database in the instance, the queue beside it, …"""
    instance, database_url = given["instance"], given["database_url"]
    given["keys"] = given["keys"] or ""
    if database_url is None:
        database_url = given["database_url"] = f"sqlite:///{instance}/passalong.db"
    if given["queue_url"] is None:
        in_file = database_url.startswith("sqlite:")
        given["queue_url"] = f"sqlite:///{instance}/huey.db" if in_file else _queue_url(database_url)
    if given["mail_from"] is None:
        host = urlsplit(given["base_url"]).hostname
        literal = f"[IPv6:{host}]" if ":" in host else f"[{host}]" if re.fullmatch("[0-9.]+", host) else host
        given["mail_from"] = f"Passalong <no-reply@{literal}>"
    return Settings(**given)


def _without_neighbours(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables meant for Passalong."""
    return {
        name: value
        for name, value in environ.items()
        if name.startswith(PREFIX)
        and not _NEIGHBOUR.fullmatch(name)
        and not (name == "PASSALONG_PORT" and _NEIGHBOUR_PORT.match(value))
    }


def _refuse_unknown(names: Iterable[str], *, also: Collection[str] = ()) -> None:
    known = {variable + end for setting in SETTINGS for variable in (setting.variable,) for end in ("", "_FILE")}
    for name in sorted(names):
        if name in known or name in also or name.startswith(TESTS_PREFIX):
            continue
        nearest = difflib.get_close_matches(name.upper(), sorted(known.union(also)), n=1, cutoff=0.0)[0]
        raise SettingsError(f"{name[:100]!r}", f"is not a setting of Passalong. The nearest one is {nearest}.")


def _find(setting: Setting, sources: Iterable[Mapping[str, object]]) -> Any:
    """Return the checked value of the first source that has one, else the default."""
    try:
        for source in sources:
            if setting.variable in source and f"{setting.variable}_FILE" in source:
                raise _Wrong(f"and {setting.variable}_FILE are both set. Keep one of them.")
            if setting.variable in source:
                return setting.read(source[setting.variable])
            if f"{setting.variable}_FILE" in source:
                return setting.read(_from_file(setting.variable, source[f"{setting.variable}_FILE"]))
        return None if setting.default is None else setting.read(setting.default)
    except _Wrong as wrong:
        raise SettingsError(setting.variable, str(wrong)) from None


def _from_file(variable: str, path: object) -> str:
    """Return the text of a file without its last line break. An empty file is a secret that never arrived."""
    text = _read(f"{variable}_FILE", path)
    text = text.removesuffix("\n").removesuffix("\r")
    if not text:
        raise SettingsError(f"{variable}_FILE", "names a file that is empty. Write the value into it.")
    return text


def _read_config(path: object) -> Mapping[str, object]:
    try:
        config = tomllib.loads(_read(CONFIG, path))
    except tomllib.TOMLDecodeError as error:
        place = str(error).rpartition("(")[2].rstrip(")")
        raise SettingsError(CONFIG, f"names a file that is not TOML ({place}). Mend that line.") from None
    _refuse_unknown(config)
    return config


def _read(variable: str, path: object) -> str:
    if not isinstance(path, str | os.PathLike):
        raise SettingsError(variable, "must be the path of a file.")
    try:
        return Path(path).read_bytes().decode("utf-8")
    except OSError as error:
        raise SettingsError(variable, f"names a file that cannot be read: {error.strerror}.") from None
    except ValueError:  # not UTF-8, or a NUL in the path
        raise SettingsError(variable, "must be the path of a text file in UTF-8.") from None


def table() -> str:
    """Return the table of settings in Markdown, as README shows it."""
    rows = [f"| `{row.variable}` | {row.type} | {row.default_shown} | {row.meaning} |" for row in SETTINGS]
    return "\n".join(["| setting | type | default | meaning |", "| --- | --- | --- | --- |", *rows]) + "\n"
