"""The commands: ``passalong …``, and ``flask passalong …`` in a host app. Each calls one service and prints its answer.

With ``--json``, before or after the command, stdout holds exactly one JSON document; everything else goes to stderr.
What is refused or fails ends with one sentence on stderr and status 1. Nothing heavy is imported before it is needed.
"""

import json
import logging
import sys
import traceback
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from plugin.domain.event_types import EVENT_TYPES
from plugin.errors import BadRequest, Conflict, Malformed, PluginError

if TYPE_CHECKING:
    from flask import Flask

    from plugin.extension import Mounted
    from plugin.installation import Installation
    from plugin.services.add_shop import NewShop
    from plugin.services.context import Context
    from plugin.settings import Settings

_JSON, _DEBUG, _MOUNTED = (f"{__name__}.{name}" for name in ("json", "debug", "mounted"))
View = Callable[..., None]
_ACTOR = "command"
_STATES = ("stored", "done", "waiting", "quarantined")
_SCOPES = ("read", "write", "payout")


# --- how every command behaves --------------------------------------------------------------------------------------


class Failure(click.ClickException):
    """One sentence on stderr, and status 1."""

    def show(self, file: Any = None) -> None:
        click.echo(self.message, err=True)


class Silent(click.exceptions.Exit):
    """Status 1 for what has told its bad news in its answer."""

    def __init__(self) -> None:
        super().__init__(1)


def _switch(name: str, key: str, text: str) -> click.Option:
    """Return a flag that may stand before or after the command, and is remembered for the whole call."""

    def remember(ctx: click.Context, _option: click.Parameter, value: bool) -> None:
        if value:
            ctx.meta[key] = True

    return click.Option([name], is_flag=True, expose_value=False, is_eager=True, callback=remember, help=text)


def _switches() -> list[click.Parameter]:
    return [
        _switch("--json", _JSON, "Print exactly one JSON document."),
        _switch("--debug", _DEBUG, "Show where an unexpected error came from."),
    ]


class Command(click.Command):
    """A command with the switches that all of them have."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params += _switches()


class Commands(click.Group):
    """A group of such commands, which turns every error into one sentence."""

    command_class = Command
    group_class = type

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params += _switches()

    def prepare(self, ctx: click.Context) -> None:
        """Do what the commands of this group need before them."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            self.prepare(ctx)
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except Exception as error:
            if ctx.meta.get(_DEBUG):
                traceback.print_exception(error)
            raise Failure(_sentence(error)) from error


def _sentence(error: Exception) -> str:
    """Return what happened and what to do about it, in one line without any secret."""
    if isinstance(error, PluginError):
        said = {name: _joined(what) for name, what in error.fields.items() if not isinstance(what, str)}
        return " ".join([error.message, *(f"{name}: {one}" for name, one in said.items() if one != error.message)])
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else f"{error.strerror}."
    if type(error).__module__.startswith(("sqlalchemy", "psycopg", "sqlite3", "redis")):
        return f"The database or the queue could not be used ({type(error).__name__}). See: passalong doctor"
    return f"Something unexpected failed ({type(error).__name__}). Run it again with --debug to see where."


def _joined(said: object) -> str:
    return " ".join(map(str, said)) if isinstance(said, list | tuple) else str(said)


def _answer(data: object, lines: Iterable[str]) -> None:
    """Print a command's answer: as JSON where that is asked, else as lines for people."""
    if click.get_current_context().meta.get(_JSON):
        click.echo(json.dumps(data, ensure_ascii=False))
    else:
        for line in lines:
            click.echo(line)


def _listen(level: int) -> None:
    """Have the log on stderr. A host's own logging stays as it is."""
    logging.basicConfig(stream=sys.stderr, level=level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for name in ("alembic", "huey", "waitress"):
        logging.getLogger(name).setLevel(logging.WARNING)


# --- the installation -----------------------------------------------------------------------------------------------


def _mounted() -> "Mounted | None":
    """Return the Passalong that a host app mounted, where this is ``flask passalong``."""
    found: Mounted | None = click.get_current_context().meta.get(_MOUNTED)
    return found


def _settings() -> "Settings":
    from plugin.settings import load

    mounted = _mounted()
    return mounted.installation.settings if mounted else load()


def _open() -> "Context":
    """Open the installation; an empty database is made ready, one of another version is refused."""
    from plugin.installation import open_context

    mounted = _mounted()
    context = mounted.installation.context if mounted else open_context(_settings())
    if not mounted:  # the host's may be in use beside us, and is closed with its process
        click.get_current_context().call_on_close(context.database.close)
    _require_current(context)
    return context


def _require_current(context: "Context") -> None:
    from plugin.migrations import make_ready

    if not make_ready(context.database):
        raise Conflict("other_version", "The database is of another version of Passalong. Run: passalong upgrade")


def _open_app() -> "tuple[Flask, Installation]":
    """Return the app and what is open for it: the host's where there is one, else our own."""
    from plugin.app import create_app
    from plugin.installation import EXTENSION

    mounted = _mounted()
    app = mounted.app if mounted else create_app(_settings())
    installation: Installation = app.extensions[EXTENSION]
    if not mounted:
        click.get_current_context().call_on_close(installation.close)
    return app, installation


def _shop_id(context: "Context", key: str | None) -> int | None:
    from plugin.services.add_shop import find_shop

    return None if key is None else int(find_shop(context, key).id)


def _moment(_ctx: click.Context, _option: click.Parameter, text: str | None) -> int | None:
    """Read an option that is a time."""
    from plugin.domain.moment import parse_moment

    try:
        return None if text is None else parse_moment(text)
    except Malformed as error:
        raise click.BadParameter(f"{error.message} Write it like 2026-11-01T10:00:00Z.") from None


def _moment_or_day(ctx: click.Context, option: click.Parameter, text: str | None) -> int | None:
    """Read an option that is a time, or a day that begins at midnight UTC."""
    return _moment(ctx, option, f"{text}T00:00:00Z" if text and len(text) == len("2026-11-01") else text)


# --- the groups -----------------------------------------------------------------------------------------------------


@click.group(cls=Commands, name="passalong")
@click.version_option(package_name="passalong")
def main() -> None:
    """Signed share links, attribution with a receipt, and commissions that balance to the cent."""
    _listen(logging.INFO if click.get_current_context().invoked_subcommand in ("run", "worker") else logging.WARNING)


@main.group()
def owner() -> None:
    """Owners, who sign in with a password."""


@main.group()
def shop() -> None:
    """Shops and their webhook secrets."""


@main.group()
def token() -> None:
    """API tokens."""


@main.group()
def endpoint() -> None:
    """Addresses to which the events are sent."""


@main.group()
def keys() -> None:
    """The keys that sign links and encrypt what is stored."""


@main.group()
def rollups() -> None:
    """The sums by day, month, sharer, product, channel and link that reports and pages read."""


class _HostCommands(Commands):
    """The same commands on the Passalong that a Flask app has mounted."""

    def prepare(self, ctx: click.Context) -> None:
        from flask.cli import ScriptInfo

        from plugin.extension import HOST_EXTENSION

        app = ctx.ensure_object(ScriptInfo).load_app()
        if HOST_EXTENSION not in app.extensions:
            raise Failure("This app has mounted no Passalong. Call Passalong().init_app(app) where the app is made.")
        ctx.meta[_MOUNTED] = app.extensions[HOST_EXTENSION]


flask_group = _HostCommands("passalong", commands=main.commands, help=main.help)


# --- serving and working --------------------------------------------------------------------------------------------


@main.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", default=8000, show_default=True, type=click.IntRange(0, 65_535), help="0: any free one.")
def run(host: str, port: int) -> None:
    """Upgrade the database, then serve web and worker in one process until SIGTERM or SIGINT."""
    from plugin.migrations import upgrade
    from plugin.serve import Server
    from plugin.worker import Leaving, embedded

    leaving = Leaving()
    app, installation = _open_app()
    settings = installation.settings
    upgrade(installation.context.database)
    server = Server(
        _served(app),
        host=host,
        port=port,
        body_bytes_max=settings.max_body_bytes,
        behind_proxy=settings.trusted_proxies > 0,
    )
    address = f"http://{f'[{host}]' if ':' in host else host}:{server.port}"
    installation.context.doors.append(_door(host, server.port))
    workers = embedded(installation, settings.workers) if settings.workers else None
    _greet(installation, address)
    server.run(leaving)
    installation.intake.stop()
    if workers:
        workers.stop()


def _served(app: "Flask") -> Any:
    """Return what to serve: our app, or the whole host with ours in front."""
    from flask.cli import ScriptInfo

    return click.get_current_context().ensure_object(ScriptInfo).load_app() if _mounted() else app


def _door(host: str, port: int) -> str:
    """Return the address by which this process reaches itself; who listens everywhere is found on this machine."""
    near = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - read, not listened on
    mounted = _mounted()
    return f"http://{f'[{near}]' if ':' in near else near}:{port}{mounted.url_prefix if mounted else ''}"


def _greet(installation: "Installation", address: str) -> None:
    from plugin.services.sign_in import set_up_address

    _tell(f"Passalong listens on {address}; its public address is {installation.settings.base_url}.")
    set_up = set_up_address(installation.context, address)
    if set_up is not None:
        _tell(f"There is no owner yet. Open this address once to become it: {set_up}")


def _tell(line: str) -> None:
    """Say something while a command goes on; with --json not on stdout, where only a document would belong."""
    click.echo(line, err=bool(click.get_current_context().meta.get(_JSON)))


@main.command()
def worker() -> None:
    """Only work, until SIGTERM or SIGINT. Run as many of these as you like."""
    from plugin.installation import open_installation
    from plugin.worker import Leaving, run_forever

    leaving = Leaving()
    mounted = _mounted()
    installation = mounted.installation if mounted else open_installation(_settings())
    _require_current(installation.context)
    _tell("Working. Stop it with Ctrl-C.")
    run_forever(installation, leaving)


@main.command()
def upgrade() -> None:
    """Bring the database to this version; forward only."""
    from plugin import migrations
    from plugin.installation import open_context

    context = open_context(_settings())
    click.get_current_context().call_on_close(context.database.close)
    migrations.upgrade(context.database)
    _answer({"upgraded": True}, ["The database is of this version."])


@main.command()
@click.option("--until-idle", is_flag=True, help="Go on with what comes in meanwhile, until nothing is due.")
def work(until_idle: bool) -> None:
    """Process what is due, in the foreground."""
    from plugin.services.do_work import do_work, work_until_idle

    tally = work_until_idle(_open()) if until_idle else do_work(_open(), until_idle=False)
    said = {"done": tally.done, "waiting": tally.waiting, "quarantined": tally.quarantined}
    _answer(said, [f"{tally.done} done, {tally.waiting} waiting, {tally.quarantined} in quarantine."])


@main.command()
@click.option("--now", metavar="ISO", callback=_moment, help="Release as if it were this time.")
def release(now: int | None) -> None:
    """Make payable what is out of its hold."""
    from plugin.services.release_holds import release_holds

    said = release_holds(_open(), now=now, actor=_ACTOR).to_json()
    amounts: Any = said["amounts"]
    sums = ", ".join(f"{amount} {currency}" for currency, amount in amounts.items())
    _answer(said, [f"{said['released']} orders released" + (f": {sums}." if sums else ".")])


# --- owners, shops, tokens, keys ------------------------------------------------------------------------------------


@owner.command("add")
@click.argument("email")
@click.option("--password-file", type=click.Path(path_type=Path), metavar="F", help="Instead of stdin.")
def add_owner(email: str, password_file: Path | None) -> None:
    """Add an owner; the password comes on stdin."""
    from plugin.services import manage_access

    password = _password(password_file)
    made = manage_access.add_owner(_open(), email, password)
    _answer(made, [f"Added {made['email']} as {made['id']}."])


def _password(file: Path | None) -> str:
    """Return the first line of the file, else of stdin; ask where a person sits at it."""
    try:
        if file is not None:
            lines = file.read_text(encoding="utf-8").splitlines()
        elif sys.stdin.isatty():
            return str(click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True))
        else:
            lines = sys.stdin.buffer.read().decode().splitlines()
    except UnicodeDecodeError:
        raise BadRequest("bad_password", "A password is text in UTF-8.") from None
    return lines[0] if lines else ""


def _describes_shop(*, name: str, currency: str, timezone: str) -> Callable[[View], View]:
    """Take what is said of a shop that may be new; what else counts where nothing is said of some of it is named."""
    options = (
        click.argument("platform"),
        click.argument("url"),
        click.option("--name", help=f"What people call it; default {name}."),
        click.option("--currency", help=f"Its own currency, by ISO 4217; default {currency}."),
        click.option("--timezone", metavar="Z", help=f"Like Asia/Taipei; default {timezone}."),
        click.option("--secret", metavar="S", help="The webhook secret, where the shop made one."),
        click.option("--starts", metavar="ISO", callback=_moment, help="Orders placed before never earn; default now."),
        click.option("--test", "sandbox", is_flag=True, help="A sandbox, whose money is not live."),
        click.option("--credential", "credentials", multiple=True, metavar="KEY=VALUE", help="For the shop's API."),
    )

    def take(view: View) -> View:
        for option in reversed(options):
            view = option(view)
        return view

    return take


@shop.command("add")
@_describes_shop(name="its host", currency="USD", timezone="UTC")
def add_shop(**said: Any) -> None:
    """Add a shop; its webhook secret is shown this once."""
    from plugin.services import add_shop as service

    new = _new_shop(**said)
    made = service.add_shop(_open(), new, actor=_ACTOR)
    lines = [
        f"Added the shop {made['key']}.",
        f"Have it deliver to {made['webhook_url']}",
        f"signed with the secret {made['webhook_secret']}",
    ]
    _answer(made, lines)


@shop.command("connect")
@_describes_shop(**dict.fromkeys(("name", "currency", "timezone"), "what the shop says"))
def connect_shop(**said: Any) -> None:
    """Try a shop's credentials, have it deliver here, and fetch its orders; adds the shop where it is new."""
    from plugin.grants import grant_url
    from plugin.services.connect_shop import connect_shop as connect

    new = _new_shop(**said)
    context = _open()
    try:
        made = connect(context, new, actor=_ACTOR)
    except BadRequest as error:
        address = grant_url(context, new) if error.code == "missing_credentials" else None
        if address is None:
            raise
        raise BadRequest(error.code, f"{error.message} Or approve it in the shop: {address}") from None
    states = [hook["state"] for hook in made["webhooks"]]
    counts = ", ".join(f"{states.count(state)} {state}" for state in ("made", "mended", "kept") if state in states)
    _answer(made, [f"Connected {made['name']} as {made['key']}; webhooks: {counts}. Its orders are being fetched."])


def _new_shop(*, credentials: Sequence[str], sandbox: bool, starts: int | None, **said: Any) -> "NewShop":
    from plugin.services.add_shop import NewShop

    return NewShop(**said, starts_at=starts, live=not sandbox, credentials=_pairs(credentials))


@shop.command("list")
def list_shops() -> None:
    """List the shops, and how far each was reconciled."""
    from plugin.services.list_shops import list_shops as service

    found = service(_open())
    lines = [f"{one['key']}  {one['platform']}  {one['url']}  {one['name']}  {_reconciled(one)}" for one in found]
    _answer({"shops": found}, lines or ["There is no shop yet. Add one: passalong shop add"])


def _reconciled(one: dict[str, Any]) -> str:
    progress = one["reconciled"]
    if progress is None:
        return "cannot be asked"
    if progress["trouble"]:
        return str(progress["trouble"])
    return f"sure until {progress['sure']}" if progress["sure"] else f"{progress['asked']} orders read so far"


def _pairs(texts: Sequence[str]) -> dict[str, str]:
    pairs = [text.partition("=") for text in texts]
    if not all(name and sign for name, sign, _ in pairs):
        raise click.UsageError("Write a credential as KEY=VALUE.")
    return {name: value for name, _, value in pairs}


@shop.command("secret")
@click.argument("key")
@click.option("--rotate", is_flag=True, help="Make a new one.")
@click.option("--overlap", default=24, show_default=True, type=click.IntRange(0, 8_760), metavar="HOURS")
def rotate_secret(key: str, rotate: bool, overlap: int) -> None:
    """Give a shop a new webhook secret; the old one stays valid for the overlap."""
    from plugin.services import add_shop as service

    if not rotate:
        raise click.UsageError("A secret is shown only when it is made: write --rotate to make a new one.")
    made = service.rotate_secret(_open(), key, overlap_hours=overlap)
    _answer(made, [f"The new secret is {made['webhook_secret']}", f"The old one is valid for {overlap} hours more."])


@token.command("add")
@click.argument("name")
@click.option("--shop", "shop_key", metavar="KEY", help="Only for this shop; default all.")
@click.option("--scope", default="read", show_default=True, type=click.Choice(_SCOPES))
def add_token(name: str, shop_key: str | None, scope: str) -> None:
    """Make an API token; it is shown this once."""
    from plugin.services import manage_access

    made = manage_access.add_token(_open(), name, scope=scope, shop_key=shop_key)
    _answer(made, [f"Made {made['id']}. Keep this token, it is not shown again:", made["token"]])


@token.command("revoke")
@click.argument("id")
def revoke_token(id: str) -> None:
    """End an API token at once."""
    from plugin.services import manage_access

    manage_access.revoke_token(_open(), id)
    _answer({"id": id, "token": None}, [f"Revoked {id}."])


@keys.command("rotate")
@click.argument("ring", type=click.Choice(("sign", "encrypt")))
def rotate_key(ring: str) -> None:
    """Make a new key; what older keys made stays valid."""
    _change_keys(lambda settings: _keys_module().rotate(settings, ring), "Made")


@keys.command("retire")
@click.argument("id")
def retire_key(id: str) -> None:
    """Retire a signing key: it accepts only what was signed before now."""
    from plugin import clock

    _change_keys(lambda settings: _keys_module().retire(settings, id, clock.now()), "Retired")


def _keys_module() -> Any:
    from plugin import keys as module

    return module


def _change_keys(change: "Callable[[Settings], str]", verb: str) -> None:
    context = _open()
    name = change(context.settings)
    _answer({"id": name}, [f"{verb} {name}."])


# --- events ---------------------------------------------------------------------------------------------------------


@endpoint.command("add")
@click.argument("url")
@click.option("--shop", "shop_key", metavar="KEY", help="Only this shop's events; default all.")
@click.option("--type", "types", multiple=True, type=click.Choice(EVENT_TYPES), metavar="T", help="Default all.")
def add_endpoint(url: str, shop_key: str | None, types: Sequence[str]) -> None:
    """Have the events from now on sent to an address; its secret is shown this once."""
    from plugin.services import manage_endpoints, show_endpoints

    context = _open()
    new = manage_endpoints.NewEndpoint(url=url, shop_id=_shop_id(context, shop_key), types=types)
    number, secret = manage_endpoints.add_endpoint(context, new)
    made = {**show_endpoints.show_endpoint(context, number), "secret": secret}
    lines = [f"Added {made['id']}. Verify what it gets with this secret, it is not shown again:", secret]
    _answer(made, lines)


@endpoint.command("list")
def list_endpoints() -> None:
    """List where the events go, and how each endpoint stands."""
    from plugin.services.show_endpoints import all_endpoints

    found = all_endpoints(_open())
    lines = (
        f"{one['id']}  {one['shop'] or 'all shops'}  {one['state']}  {one['url']}  sent up to {one['sent']},"
        f" {one['due']} to be tried again, {one['failed']} given up  {one['reason'] or ''}".rstrip()
        for one in found
    )
    _answer({"endpoints": found}, lines)


@endpoint.command("replay")
@click.argument("id")
@click.option("--after", required=True, type=click.IntRange(0), metavar="SEQ", help="Begin after this event.")
def replay_endpoint(id: str, after: int) -> None:
    """Have events sent to an endpoint again, with the same ids."""
    from plugin.services.replay_events import Stretch, replay_events
    from plugin.services.show_endpoints import find_endpoint

    context = _open()
    said = replay_events(context, find_endpoint(context, id, shop_id=None).id, Stretch(after=after))
    _answer(said, [f"The events after {said['after']} up to {said['up_to']} are sent again."])


# --- deliveries and books -------------------------------------------------------------------------------------------


@main.command()
@click.option("--shop", "shop_key", metavar="KEY")
@click.option("--state", type=click.Choice(_STATES))
def deliveries(shop_key: str | None, state: str | None) -> None:
    """List what came in, newest first."""
    from plugin.services.list_deliveries import list_deliveries

    context = _open()
    found = list_deliveries(context, shop_id=_shop_id(context, shop_key), state=state)
    shown = ("id", "shop", "received_at", "state", "topic", "delivery_id", "reason")
    _answer({"deliveries": found}, ("  ".join(str(one[name] or "") for name in shown).rstrip() for one in found))


@main.command()
@click.option("--shop", "shop_key", metavar="KEY", help="All of this shop.")
@click.option("--delivery", metavar="ID", help="One, as `deliveries` shows it.")
@click.option("--all", "everything", is_flag=True, help="All there are.")
def replay(shop_key: str | None, delivery: str | None, everything: bool) -> None:
    """Process deliveries again, from their stored bodies to the books."""
    from plugin.services.replay_deliveries import replay as service

    if not (shop_key or delivery or everything):
        raise click.UsageError("Say what to replay: --shop KEY, --delivery ID or --all.")
    context = _open()
    said = service(context, shop_id=_shop_id(context, shop_key), delivery_id=delivery)
    _answer(said, [f"{said['replayed']} replayed; the balances of {said['changed']} orders moved."])


@main.command()
@click.option("--shop", "shop_key", metavar="KEY", help="Only this shop; default all that can be asked.")
@click.option("--since", metavar="DATE", callback=_moment_or_day, help="Read what changed from then on.")
def reconcile(shop_key: str | None, since: int | None) -> None:
    """Ask shops for their orders, and bring in what no webhook told."""
    from plugin.services.reconcile_now import reconcile as service

    context = _open()

    def told(key: str, asked: int) -> None:
        click.echo(f"Shop {key}: {asked} orders read.", err=True)

    said = service(context, shop_id=_shop_id(context, shop_key), since=since, told=told)
    line = f"{said['asked']} orders read, {said['found']} brought news, {said['missing']} could not be brought in."
    _answer(said, [line, *(["See why: passalong deliveries --state quarantined"] if said["missing"] else [])])


@rollups.command("rebuild")
@click.option("--shop", "shop_key", metavar="KEY", help="Only this shop's.")
def rebuild_rollups(shop_key: str | None) -> None:
    """Derive the rollups anew from orders, transfers and clicks, and mend what differs; deliveries go on meanwhile."""
    from plugin.services.rebuild_rollups import rebuild_rollups as service

    context = _open()
    said = service(context, shop_id=_shop_id(context, shop_key))
    _answer(said, [f"Rollups of {said['shops']} shops derived anew; {said['mended']} rows mended."])


@main.command("check-books")
def check_books() -> None:
    """Derive every balance anew and compare it with the books; status 1 where they differ."""
    from plugin.services.check_books import check_books as service

    report = service(_open())
    verdict = "hold" if report.ok else "DO NOT HOLD"
    said = f"The books {verdict}: {report.transfers} transfers, {report.accounts} accounts."
    _answer(report.to_json(), [said, *report.problems])
    if not report.ok:
        raise Silent


@main.command()
@click.option("--email", metavar="E", help="The buyer's e-mail.")
@click.option("--order", "order_ref", metavar="ID", help="An order of the buyer, by the shop's own id.")
@click.option("--shop", "shop_key", metavar="KEY", help="Only in this shop.")
def erase(email: str | None, order_ref: str | None, shop_key: str | None) -> None:
    """Erase a buyer: raw deliveries, name and address. Amounts and books stay."""
    from plugin.services.erase_person import erase_person

    if email is None and order_ref is None:
        raise click.UsageError("Say whom to erase: --email E or --order ID.")
    context = _open()
    said = erase_person(context, email=email, order_ref=order_ref, shop_id=_shop_id(context, shop_key))
    _answer(said, [f"Erased {said['erased_bodies']} raw deliveries and {said['persons']} persons."])


# --- trying and looking ---------------------------------------------------------------------------------------------


@main.command()
def demo() -> None:
    """Seed the demo shop: signed deliveries go through the real door. Twice does no more than once."""
    from plugin.app import create_app
    from plugin.installation import EXTENSION
    from plugin.services.seed_demo import Clock, Doors, seed_demo

    _, installation = _open_app()
    _require_current(installation.context)
    # Beside the one that runs, whose clock nobody sets back.
    clock = Clock(installation.context.now)
    app = create_app(installation.settings, now=clock)
    click.get_current_context().call_on_close(app.extensions[EXTENSION].close)
    client = app.test_client()
    doors = Doors(
        lambda path, headers, body: client.post(path, headers=dict(headers), data=body).status_code,
        lambda path, headers: client.get(path, headers=dict(headers)).status_code,
    )
    said = seed_demo(app.extensions[EXTENSION].context, doors, clock)
    _answer(said, [f"The demo shop is {said['shop']}: {said['sent']} deliveries sent, {said['paid']} payments made."])


@main.command()
def doctor() -> None:
    """Look at everything an installation needs; status 1 where something is wrong."""
    from plugin.installation import is_ready, open_context
    from plugin.queue import Queue
    from plugin.services.doctor import Check, examine
    from plugin.settings import SettingsError

    try:
        settings = _settings()
        context = open_context(settings)
        is_ready(context.database)
        context.database.close()
        checks = examine(settings, reach_queue=lambda context: Queue(context).ping())
    except SettingsError as error:
        checks = [Check("settings", False, error.message)]
    is_well = all(one.ok for one in checks)
    lines = (f"{'ok  ' if one.ok else 'FAIL'} {one.name}: {one.hint}" for one in checks)
    _answer({"ok": is_well, "checks": [one.to_json() for one in checks]}, lines)
    if not is_well:
        raise Silent
