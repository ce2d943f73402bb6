"""Settings: where each value comes from, what is refused and how, and that no secret is ever shown."""

import os
from dataclasses import fields
from pathlib import Path

import pytest
from sqlalchemy import make_url

from plugin.errors import PluginError
from plugin.settings import SETTINGS, Settings, SettingsError, load, table

CANARY = "canary7secret"
POSTGRES = f"postgresql+psycopg://pa:{CANARY}@db.example:5432/books"


def refusal(environ: dict[str, str], overrides: dict[str, object] | None = None) -> str:
    with pytest.raises(SettingsError) as caught:
        load(environ, overrides)
    assert caught.value.code == "bad_setting"
    return caught.value.message


def test_without_any_setting_everything_has_its_documented_default() -> None:
    settings = load({})
    here = Path("instance").absolute()
    assert settings == Settings(
        database_url=f"sqlite:///{here}/passalong.db",
        queue_url=f"sqlite:///{here}/huey.db",
        keys="",
        base_url="http://127.0.0.1:8000",
        instance=here,
        mail_url="",
        mail_from="Passalong <no-reply@[127.0.0.1]>",
        workers=2,
        max_body_bytes=2097152,
        keep_bodies_days=90,
        trusted_proxies=0,
        metrics_token="",
    )


def test_the_real_environment_is_read_when_none_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("PASSALONG_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PASSALONG_WORKERS", "7")
    assert load().workers == 7


def test_a_host_config_beats_the_environment_and_the_environment_beats_the_file(tmp_path: Path) -> None:
    config = tmp_path / "passalong.toml"
    config.write_text('PASSALONG_WORKERS = 3\nPASSALONG_KEEP_BODIES_DAYS = 30\nPASSALONG_MAIL_URL = "smtp://mail"\n')
    environ = {"PASSALONG_CONFIG": str(config), "PASSALONG_WORKERS": "4", "PASSALONG_KEEP_BODIES_DAYS": "40"}
    settings = load(environ, {"PASSALONG_WORKERS": 5, "SECRET_KEY": "the host's own"})
    assert (settings.workers, settings.keep_bodies_days, settings.mail_url) == (5, 40, "smtp://mail")


def test_a_host_config_may_name_the_file_and_a_none_in_it_is_not_written(tmp_path: Path) -> None:
    config = tmp_path / "passalong.toml"
    config.write_text("PASSALONG_WORKERS = 3\n")
    assert load({}, {"PASSALONG_CONFIG": config, "PASSALONG_WORKERS": None}).workers == 3


@pytest.mark.parametrize("ending", ["", "\n", "\r\n"])
def test_a_secret_is_read_from_the_file_named_by_name_file(tmp_path: Path, ending: str) -> None:
    file = tmp_path / "url"
    file.write_bytes((POSTGRES + ending).encode())
    assert load({"PASSALONG_DATABASE_URL_FILE": str(file)}).database_url == POSTGRES


def test_only_one_line_break_is_cut_from_a_secret_file(tmp_path: Path) -> None:
    file = tmp_path / "url"
    file.write_text(POSTGRES + "\n\n")
    assert refusal({"PASSALONG_DATABASE_URL_FILE": str(file)}).startswith("PASSALONG_DATABASE_URL ")


@pytest.mark.parametrize("setting", [setting.variable for setting in SETTINGS])
def test_an_empty_or_missing_secret_file_is_refused_and_never_read_as_not_set(tmp_path: Path, setting: str) -> None:
    (tmp_path / "empty").write_text("\n")
    for file in ("empty", "missing", ".", "\0"):
        assert refusal({f"{setting}_FILE": str(tmp_path / file)}).startswith(f"{setting}_FILE ")


def test_a_value_and_its_file_at_once_are_refused(tmp_path: Path) -> None:
    (tmp_path / "workers").write_text("3")
    message = refusal({"PASSALONG_WORKERS": "2", "PASSALONG_WORKERS_FILE": str(tmp_path / "workers")})
    assert "PASSALONG_WORKERS and PASSALONG_WORKERS_FILE are both set" in message


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("PASSALONG_WORKER", "PASSALONG_WORKERS."),
        ("PASSALONG_DATABASE", "PASSALONG_DATABASE_URL."),
        ("PASSALONG_BASEURL", "PASSALONG_BASE_URL."),
        ("PASSALONG_KEYS_FIL", "PASSALONG_KEYS_FILE."),
        ("PASSALONG_CONFIGURATION", "PASSALONG_CONFIG."),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest_known_one(name: str, nearest: str) -> None:
    for message in (refusal({name: CANARY}), refusal({}, {name: CANARY})):
        assert name in message and message.endswith(nearest) and CANARY not in message


def test_an_unknown_name_in_the_file_is_refused_with_the_nearest_known_one(tmp_path: Path) -> None:
    config = tmp_path / "passalong.toml"
    for line, nearest in (
        ("passalong_worker = 2", "PASSALONG_WORKERS."),
        ('[PASSALONG_MAIL]\nurl = ""', "PASSALONG_MAIL_URL."),
    ):
        config.write_text(line)
        assert refusal({"PASSALONG_CONFIG": str(config)}).endswith(nearest)


def test_names_of_tests_and_of_kubernetes_services_are_let_be() -> None:
    load(
        {
            "PASSALONG_TEST_POSTGRES": "x",
            "PASSALONG_SERVICE_HOST": "10.0.0.1",
            "PASSALONG_SERVICE_PORT": "8000",
            "PASSALONG_SERVICE_PORT_HTTP": "8000",
            "PASSALONG_PORT": "tcp://10.0.0.1:8000",
            "PASSALONG_PORT_8000_TCP_ADDR": "10.0.0.1",
            "PATH": "/bin",
        }
    )
    assert "PASSALONG_PORT" in refusal({"PASSALONG_PORT": "8000"})


@pytest.mark.parametrize("text", ["workers =", "\xff", "PASSALONG_WORKERS = 1\nPASSALONG_WORKERS = 2"])
def test_a_file_that_is_not_toml_is_refused(tmp_path: Path, text: str) -> None:
    config = tmp_path / "passalong.toml"
    config.write_bytes(text.encode("latin-1"))
    assert refusal({"PASSALONG_CONFIG": str(config)}).startswith("PASSALONG_CONFIG ")


def test_a_missing_config_file_is_refused(tmp_path: Path) -> None:
    assert "No such file" in refusal({"PASSALONG_CONFIG": str(tmp_path / "none.toml")})


@pytest.mark.parametrize("scheme", ["postgresql+psycopg", "postgresql", "postgres"])
def test_every_spelling_of_postgresql_means_psycopg_and_carries_the_queue(scheme: str) -> None:
    settings = load({"PASSALONG_DATABASE_URL": POSTGRES.replace("postgresql+psycopg", scheme)})
    assert settings.database_url == POSTGRES
    assert settings.queue_url == POSTGRES.replace("+psycopg", "")


def test_an_encoded_password_reaches_sqlalchemy_whole() -> None:
    url = load({"PASSALONG_DATABASE_URL": "postgresql://pa:a%23b%40c:d@[::1]:5432/books?sslmode=require"}).database_url
    parsed = make_url(url)
    assert (parsed.password, parsed.host, parsed.database) == ("a#b@c:d", "::1", "books")


def test_the_default_database_lies_in_the_instance_whatever_its_name(tmp_path: Path) -> None:
    instance = tmp_path / "a b+#ü@:"
    settings = load({}, {"PASSALONG_INSTANCE": instance})
    assert settings.instance == instance
    assert make_url(settings.database_url).database == str(instance / "passalong.db")
    assert make_url(settings.queue_url).database == str(instance / "huey.db")


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:///x.db",
        "sqlite:////var/lib/x.db",
        "redis://localhost",
        "redis://:pw@redis:6379/0",
        "rediss://user:pw@redis/1?ssl_cert_reqs=required",
        "postgresql://pa:pw@db/queue",
    ],
)
def test_the_queue_may_lie_in_sqlite_redis_or_postgresql(url: str) -> None:
    assert load({"PASSALONG_QUEUE_URL": url}).queue_url == url


def test_the_base_url_is_kept_without_its_last_slash_and_in_lower_case() -> None:
    assert (
        load({"PASSALONG_BASE_URL": "HTTPS://Shop.Example:8443/Share/"}).base_url == "https://shop.example:8443/Share"
    )
    assert load({"PASSALONG_BASE_URL": "http://[::1]:8000/"}).base_url == "http://[::1]:8000"


WRONG = {
    "PASSALONG_DATABASE_URL": [
        "",
        "books",
        "sqlite://",
        "sqlite:///",
        "sqlite:///:memory:",
        "sqlite:///?a=b",
        "mysql://pa:pw@db/books",
        "postgresql+psycopg2://pa:pw@db/books",
        "postgresql://pa:pw@db",
        "postgresql://pa:pw@db/",
        "postgresql://pa:p#w@db/books",
        "postgresql://pa:p%w@db/books",
        "postgresql://db:99999/books",
        "postgresql://db:0/books",
        "sqlite:///x\n.db",
        "postgresql://pa:" + "x" * 5_000,
    ],
    "PASSALONG_QUEUE_URL": ["", "redis://", "redis://host/zero", "amqp://host", "sqlite://"],
    "PASSALONG_KEYS": ["", "[]", "keys", "{", "[" * 100_000],
    "PASSALONG_BASE_URL": [
        "",
        "shop.example",
        "//shop.example",
        "ftp://shop.example",
        "https://",
        "https://shop.example?x=1",
        "https://shop.example/#x",
        "https://user:pw@shop.example",
        "https://shop.example:0",
        "https://shop.example/a//b",
        "https://shop.example/../x",
        "https://shop.example/ x",
        "https://shöp.example",
        "https://shop.example\\evil",
    ],
    "PASSALONG_INSTANCE": ["", "a?b", "a%20b", "a\0b", "~nobody-of-this-name/x", __file__],
    "PASSALONG_MAIL_FROM": ["nobody", "a@b, c@d", "Tea <>", "a@b\nBcc: eve@example.org", "<a@b", "@b", ""],
    "PASSALONG_MAIL_URL": [
        "mail.example",
        "http://mail",
        "smtp://",
        "smtp://mail/x",
        "smtp://mail:0",
        "smtp://u:p/w@m",
    ],
    "PASSALONG_WORKERS": ["", "-1", "65", "two", "1.0", "1e1", " 2", "٣", "9" * 13],
    "PASSALONG_MAX_BODY_BYTES": ["0", "1023", "104857601"],
    "PASSALONG_KEEP_BODIES_DAYS": ["0", "36501"],
    "PASSALONG_TRUSTED_PROXIES": ["-1", "17", "True"],
    "PASSALONG_METRICS_TOKEN": ["short", "with a space in the middle", "ümlaut-ümlaut-ümlaut"],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in WRONG.items() for value in values])
def test_a_wrong_value_is_refused_in_a_sentence_that_begins_with_its_setting(name: str, value: str) -> None:
    message = refusal({name: value})
    assert message.startswith(f"{name} ") and message.endswith(".")


@pytest.mark.parametrize("setting", [setting.variable for setting in SETTINGS])
@pytest.mark.parametrize("value", [True, 1.5, [1], {"a": 1}, b"2", -1])
def test_a_value_of_another_type_is_refused(setting: str, value: object) -> None:
    assert refusal({}, {setting: value}).startswith(f"{setting} ")


def test_every_setting_that_is_refused_somewhere_is_in_the_table() -> None:
    assert set(WRONG) == {setting.variable for setting in SETTINGS}


def test_numbers_are_accepted_at_both_edges() -> None:
    assert load({"PASSALONG_WORKERS": "0"}).workers == 0
    assert load({"PASSALONG_WORKERS": "64"}).workers == 64
    assert load({"PASSALONG_MAX_BODY_BYTES": "104857600"}).max_body_bytes == 104857600


SECRETS = {
    "PASSALONG_DATABASE_URL": POSTGRES,
    "PASSALONG_QUEUE_URL": f"redis://:{CANARY}@redis",
    "PASSALONG_MAIL_URL": f"smtp://u:{CANARY}@mail:25",
    "PASSALONG_KEYS": f'{{"pepper": "{CANARY}"}}',
    "PASSALONG_METRICS_TOKEN": f"{CANARY}-{CANARY}",
}


def test_no_secret_is_in_the_repr() -> None:
    settings = load(SECRETS)
    assert CANARY in settings.database_url and CANARY in settings.metrics_token
    assert CANARY not in repr(settings) and CANARY not in str(settings)
    assert "workers=2" in repr(settings)


@pytest.mark.parametrize("name", SECRETS)
def test_no_secret_is_in_an_error(name: str, tmp_path: Path) -> None:
    wrong = f"{SECRETS[name]} \x07"
    (tmp_path / "secret").write_text(wrong)
    (tmp_path / "passalong.toml").write_text(f"{name} = '{SECRETS[name]} x' oops")
    (tmp_path / "good.toml").write_text(f"{name} = '''{SECRETS[name]} '''")
    for environ in (
        {name: wrong.replace("{", "")},
        {f"{name}_FILE": str(tmp_path / "secret")},
        {"PASSALONG_CONFIG": str(tmp_path / "passalong.toml")},
        {"PASSALONG_CONFIG": str(tmp_path / "good.toml"), f"{name}X": SECRETS[name]},
    ):
        with pytest.raises(PluginError) as caught:
            load(environ)
        assert CANARY not in f"{caught.value!r} {caught.value} {caught.value.fields}"


def test_the_table_has_a_row_for_every_setting() -> None:
    rows = table().splitlines()[2:]
    assert [row.split("`")[1] for row in rows] == [f"PASSALONG_{field.name.upper()}" for field in fields(Settings)]
    assert all(row.count("|") == 5 for row in rows)


def test_the_defaults_in_the_table_are_the_defaults_in_force() -> None:
    for setting in SETTINGS:
        if setting.default not in (None, ""):
            assert setting.default_shown.strip("`") == str(setting.default)
