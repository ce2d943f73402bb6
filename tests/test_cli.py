"""The commands: exactly one JSON document, one sentence for what fails, and the statuses 0, 1 and 2."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import text

from plugin.cli import _SCOPES, _STATES, main
from plugin.database import Database
from plugin.keys import RINGS
from plugin.services import list_deliveries, manage_access
from plugin.settings import Settings
from plugin.shops import generic
from tests.world import World

ROOT = Path(__file__).parents[1]


def environment(settings: Settings, **more: str) -> dict[str, str]:
    """Return settings as the environment names them."""
    return {
        "PASSALONG_DATABASE_URL": settings.database_url,
        "PASSALONG_QUEUE_URL": settings.queue_url,
        "PASSALONG_INSTANCE": str(settings.instance),
    } | more


class Commands:
    """The commands on one installation."""

    def __init__(self, settings: Settings) -> None:
        self.env = environment(settings)

    def __call__(self, *words: str, expect: int = 0, stdin: str | None = None) -> Result:
        """Run a command and assert its status."""
        result = CliRunner().invoke(main, list(words), env=self.env, input=stdin)
        assert result.exit_code == expect, (words, result.exit_code, result.stdout, result.stderr)
        return result

    def json(self, *words: str, expect: int = 0, stdin: str | None = None) -> Any:
        """Run a command with --json and return what it prints, which is one document and nothing else."""
        return json.loads(self(*words, "--json", expect=expect, stdin=stdin).stdout)

    def refused(self, *words: str, stdin: str | None = None) -> str:
        """Run a command that must be refused, and return its one sentence."""
        result = self(*words, expect=1, stdin=stdin)
        assert result.stdout == ""
        assert result.stderr.count("\n") == 1 and "Traceback" not in result.stderr, result.stderr
        return result.stderr.strip()


@pytest.fixture
def passalong(settings: Settings) -> Commands:
    """Give the commands."""
    return Commands(settings)


# --- how all of them behave -----------------------------------------------------------------------------------------


def test_json_stands_before_or_after_the_command_or_between(passalong: Commands) -> None:
    for words in (["--json", "token", "add", "x"], ["token", "add", "x", "--json"], ["token", "--json", "add", "x"]):
        result = passalong(*words)
        assert set(json.loads(result.stdout)) == {"id", "token"}
        assert result.stdout.count("\n") == 1


def test_without_json_people_read_lines(passalong: Commands) -> None:
    assert passalong("token", "add", "x").stdout.startswith("Made tok_1.")


def test_wrong_usage_is_status_2(passalong: Commands) -> None:
    for words in (
        ["nothing"],
        ["shop"],
        ["shop", "add", "generic"],
        ["shop", "add", "generic", "https://shop.example.com", "--credential", "no-equal-sign"],
        ["shop", "add", "generic", "https://shop.example.com", "--starts", "yesterday"],
        ["shop", "secret", "key"],
        ["token", "add", "x", "--scope", "everything"],
        ["deliveries", "--state", "lost"],
        ["replay"],
        ["erase"],
        ["release", "--now", "2026-11-01T10:00:00"],
        ["keys", "rotate", "pepper"],
        ["run", "--port", "99999"],
        ["work", "--surprise"],
    ):
        assert passalong(*words, expect=2).stdout == "", words


def test_what_is_refused_is_one_sentence_and_status_1(passalong: Commands) -> None:
    assert "no shop with this key" in passalong.refused("deliveries", "--shop", "nothing")
    assert "generic" in passalong.refused("shop", "add", "magento", "https://shop.example.com")
    assert "ISO 4217" in passalong.refused("shop", "add", "generic", "https://shop.example.com", "--currency", "EURO")
    assert "dlv_" in passalong.refused("replay", "--delivery", "17", "--json")
    assert "tok_" in passalong.refused("token", "revoke", "nothing")
    assert "such key" in passalong.refused("keys", "retire", "sign:Z")


def test_a_wrong_setting_is_one_sentence_that_names_it(passalong: Commands) -> None:
    passalong.env["PASSALONG_WORKERS"] = "many"
    assert passalong.refused("upgrade").startswith("PASSALONG_WORKERS must be a whole number")


def test_a_database_that_is_away_is_one_sentence(passalong: Commands) -> None:
    passalong.env["PASSALONG_DATABASE_URL"] = "postgresql+psycopg://nobody:secret7@127.0.0.1:1/nothing"
    said = passalong.refused("work")
    assert "doctor" in said and "secret7" not in said


def test_an_unexpected_error_shows_where_only_with_debug(
    passalong: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise KeyError("an inner detail")

    monkeypatch.setattr("plugin.services.do_work.drain", fail)
    assert "--debug" in passalong.refused("work")
    assert "an inner detail" not in passalong.refused("work")
    assert "an inner detail" in passalong("work", "--debug", expect=1).stderr


def test_any_command_makes_an_empty_database_ready(passalong: Commands, tmp_path: Path) -> None:
    passalong.env["PASSALONG_DATABASE_URL"] = f"sqlite:///{tmp_path}/empty.db"
    assert passalong.json("deliveries") == {"deliveries": []}


def test_a_database_of_another_version_is_left_alone(passalong: Commands, settings: Settings) -> None:
    database = Database(settings.database_url)
    with database.writing() as connection:
        connection.execute(text("UPDATE pa_version SET version_num = '0000'"))
    assert "passalong upgrade" in passalong.refused("work")
    for command in ("upgrade", "run"):
        assert "by a newer Passalong" in passalong.refused(command)
    database.close()


def test_upgrade_twice_is_upgrade_once(passalong: Commands, tmp_path: Path) -> None:
    passalong.env["PASSALONG_DATABASE_URL"] = f"sqlite:///{tmp_path}/empty.db"
    assert passalong.json("upgrade") == passalong.json("upgrade") == {"upgraded": True}


def test_the_words_a_command_accepts_are_those_of_the_services() -> None:
    assert list_deliveries.STATES == _STATES
    assert manage_access.SCOPES == _SCOPES
    assert set(RINGS) == {"sign", "encrypt"}


def test_every_command_says_what_it_does(passalong: Commands) -> None:
    help_text = passalong("--help").stdout
    for name in ("run", "worker", "upgrade", "work", "release", "check-books", "demo", "doctor", "replay", "erase"):
        assert re.search(rf"^  {name} +\w", help_text, re.MULTILINE), name
        assert "--json" in passalong(name, "--help").stdout
    assert re.search(r"passalong, version \d", CliRunner().invoke(main, ["--version"]).stdout) or not installed()


def installed() -> bool:
    """Tell whether this tree is installed, so that it has a version."""
    return Path(sys.executable).with_name("passalong").exists()


# --- owners, shops, tokens, keys ------------------------------------------------------------------------------------


def test_an_owner_s_password_comes_on_stdin_or_in_a_file(passalong: Commands, tmp_path: Path) -> None:
    made = passalong.json("owner", "add", "me@example.com", stdin="a long password\n")
    assert made == {"id": "own_1", "email": "me@example.com"}
    file = tmp_path / "password"
    file.write_text("another password\n")
    assert passalong.json("owner", "add", "you@example.com", "--password-file", str(file))["id"] == "own_2"
    assert "already" in passalong.refused("owner", "add", "me@example.com", stdin="a long password\n")
    assert "10 to 1000 characters." in passalong.refused("owner", "add", "new@example.com", stdin="short\n")
    assert "No such file" in passalong.refused("owner", "add", "new@example.com", "--password-file", "/nothing")


def test_a_shop_is_added_with_all_that_is_said_of_it(passalong: Commands, settings: Settings) -> None:
    secret = generic.SHOP.new_secret()
    words = ["--name", "My shop", "--currency", "TWD", "--timezone", "Asia/Taipei", "--secret", secret, "--test"]
    words += ["--starts", "2026-01-01T00:00:00+08:00", "--credential", "key=a=b", "--credential", "secret=s"]
    made = passalong.json("shop", "add", "generic", "https://shop.example.com", *words)
    assert set(made) == {"key", "platform", "webhook_url", "webhook_secret"}
    assert made["webhook_secret"] == secret
    assert made["webhook_url"] == f"http://127.0.0.1:8000/webhooks/{made['key']}"
    database = Database(settings.database_url)
    with database.reading() as connection:
        row = connection.execute(text("SELECT name, currency, timezone, starts_at, live FROM pa_shop")).one()
    assert tuple(row) == ("My shop", "TWD", "Asia/Taipei", 1_767_196_800_000_000, False)
    database.close()


def test_a_secret_is_rotated(passalong: Commands) -> None:
    made = passalong.json("shop", "add", "generic", "https://shop.example.com")
    fresh = passalong.json("shop", "secret", made["key"], "--rotate", "--overlap", "2")
    assert set(fresh) == {"webhook_secret"}
    assert fresh["webhook_secret"] != made["webhook_secret"]


def test_a_token_opens_the_api_until_it_is_revoked(passalong: Commands, world: World) -> None:
    shop = world.shop()
    made = passalong.json("token", "add", "shop's own", "--shop", shop.key, "--scope", "write")
    world.token = made["token"]
    shop.sharer()
    assert passalong.json("token", "revoke", made["id"])["id"] == made["id"]
    world.call("GET", "/sharers/shr_1", expect=401)


def test_keys_are_rotated_and_retired(passalong: Commands) -> None:
    assert passalong.json("keys", "rotate", "sign") == {"id": "sign:B"}
    assert passalong.json("keys", "retire", "sign:A") == {"id": "sign:A"}
    assert passalong.json("keys", "rotate", "encrypt") == {"id": "encrypt:B"}
    assert "newest" in passalong.refused("keys", "retire", "sign:B")


# --- deliveries and books -------------------------------------------------------------------------------------------


def test_deliveries_are_listed_by_shop_and_state(passalong: Commands, world: World) -> None:
    shop, other = world.shop(), world.shop()
    shop.told(shop.order(), delivery_id="good")
    shop.post(b"[]", shop.signed(b"[]", delivery_id="bad"))
    other.deliver(other.order(), delivery_id="elsewhere")
    assert [one["delivery_id"] for one in passalong.json("deliveries")["deliveries"]] == ["elsewhere", "bad", "good"]
    world.work()
    (bad,) = passalong.json("deliveries", "--state", "quarantined", "--shop", shop.key)["deliveries"]
    assert bad | {"received_at": ""} == {
        "id": "dlv_2",
        "shop": shop.key,
        "delivery_id": "bad",
        "topic": "order",
        "state": "quarantined",
        "received_at": "",
        "reason": "The body is not an object.",
    }
    assert bad["received_at"].endswith("Z")
    assert passalong("deliveries", "--state", "done", "--shop", shop.key).stdout.startswith("dlv_1  ")


def test_work_does_what_is_due_and_release_what_is_out_of_hold(passalong: Commands, world: World) -> None:
    shop = world.shop()
    shop.plan()
    shop.sharer(codes=["ALICE"])
    shop.deliver(shop.order("o1", codes=["ALICE"]))
    shop.post(b"[]", shop.signed(b"[]"))
    assert passalong.json("work", "--until-idle") == {"done": 1, "waiting": 0, "quarantined": 1}
    assert passalong.json("work") == {"done": 0, "waiting": 0, "quarantined": 0}
    assert passalong.json("release", "--now", "2026-11-30T10:00:00Z") == {"released": 0, "amounts": {}}
    assert passalong.json("release", "--now", "2026-12-01T10:00:00Z") == {"released": 1, "amounts": {"USD": "10.00"}}
    assert passalong("release").stdout == "0 orders released.\n"


def test_replay_moves_nothing_where_all_was_well(passalong: Commands, world: World) -> None:
    shop = world.shop()
    shop.plan()
    alice = shop.sharer(codes=["ALICE"])
    for ref in ("o1", "o2", "o3"):
        shop.told(shop.order(ref, codes=["ALICE"]))
    transfers = world.books().transfers
    assert passalong.json("replay", "--all") == {"replayed": 3, "changed": 0}
    assert passalong.json("replay", "--shop", shop.key) == {"replayed": 3, "changed": 0}
    assert passalong.json("replay", "--delivery", "dlv_2") == {"replayed": 1, "changed": 0}
    assert shop.balance(alice)["pending"] == "30.00"
    assert world.books().transfers == transfers


def test_replay_finds_what_was_in_quarantine_before_a_fix(
    passalong: Commands, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = world.shop()
    shop.plan()
    shop.sharer(codes=["ALICE"])
    with monkeypatch.context() as broken:

        def misread(*_: object) -> None:
            raise generic.Malformed("a fault of ours")

        broken.setattr(type(generic.SHOP), "parse", misread)
        shop.deliver(shop.order(codes=["ALICE"]))
        world.work()
    assert passalong.json("deliveries")["deliveries"][0]["reason"] == "a fault of ours"
    assert passalong.json("replay", "--all") == {"replayed": 1, "changed": 1}
    assert passalong.json("deliveries")["deliveries"][0]["state"] == "done"
    world.books()


def test_check_books_is_status_1_where_they_do_not_hold(passalong: Commands, world: World) -> None:
    shop = world.shop()
    shop.plan()
    shop.sharer(codes=["ALICE"])
    shop.told(shop.order("o1", codes=["ALICE"]))
    assert passalong.json("check-books") == {"ok": True, "transfers": 1, "accounts": 2, "problems": []}
    with world.context.database.writing() as connection:
        connection.execute(text("UPDATE pa_account SET balance = balance + 1 WHERE purpose = 'pending'"))
    said = passalong.json("check-books", expect=1)
    assert said["ok"] is False and said["problems"]
    assert "DO NOT HOLD" in passalong("check-books", expect=1).stdout


def test_a_buyer_is_erased(passalong: Commands, world: World) -> None:
    shop = world.shop()
    shop.told(shop.order("o1", customer={"id": "c1", "email": "Buyer@Example.org"}))
    shop.told(shop.order("o2"))
    assert passalong.json("erase", "--email", "buyer@example.org") == {"erased_bodies": 1, "persons": 0}
    assert passalong.json("erase", "--order", "o2", "--shop", shop.key) == {"erased_bodies": 1, "persons": 0}
    assert passalong.json("replay", "--all") == {"replayed": 2, "changed": 0}


# --- the demo and the doctor ----------------------------------------------------------------------------------------


def test_the_demo_twice_is_the_demo_once(passalong: Commands, world: World) -> None:
    said = passalong.json("demo")
    assert said["sent"] > said["processed"] > 0 and said["paid"] > 0
    before = world.books().to_json(), len(passalong.json("deliveries")["deliveries"])
    assert passalong.json("keys", "rotate", "sign") == {"id": "sign:B"}
    assert passalong.json("demo") == said | {"processed": 0, "paid": 0}
    assert before == (world.books().to_json(), len(passalong.json("deliveries")["deliveries"]))


def test_the_demo_shows_something_of_everything(passalong: Commands, world: World) -> None:
    key = passalong.json("demo")["shop"]
    orders = [f"demo-{1000 + number}" for number in range(85)]
    seen = {ref: world.call("GET", f"/orders/{ref}?shop={key}", expect=200) for ref in orders}
    assert {one["currency"] for one in seen.values()} == {"USD", "TWD", "JPY"}
    assert {one["status"] for one in seen.values()} == {"open", "cancelled"}
    assert {one["payment"] for one in seen.values()} >= {"paid", "chargeback"}
    assert any(float(one["refunded"]) for one in seen.values())
    states = {commission["state"] for one in seen.values() for commission in one["commissions"]}
    assert states >= {"pending", "held", "payable", "paid", "reversed"}
    assert {commission["role"] for one in seen.values() for commission in one["commissions"]} == {"direct", "upline"}
    receipts = [world.call("GET", f"/orders/{ref}/receipt?shop={key}", expect=200) for ref in orders]
    assert {item["kind"] for one in receipts for item in one["evidence"] if item["accepted"]} == {"coupon", "link"}
    assert any(not item["accepted"] for one in receipts for item in one["evidence"])
    states_of = [one["state"] for one in passalong.json("deliveries")["deliveries"]]
    assert states_of.count("quarantined") == 1 and set(states_of) == {"quarantined", "done"}


def test_the_doctor_finds_a_new_installation_well(passalong: Commands) -> None:
    said = passalong.json("doctor")
    assert said["ok"] is True, said
    names = [check["name"] for check in said["checks"]]
    assert names == [
        *("settings", "instance", "keys", "base_url", "database", "queue"),
        *("migrations", "guards", "clock", "inbox", "tasks", "endpoints", "shops"),
    ]
    assert all(set(check) == {"name", "ok", "hint"} and check["hint"] for check in said["checks"])


def failing(said: Any) -> dict[str, str]:
    """Return the hints of what is not well."""
    assert said["ok"] is False
    return {check["name"]: check["hint"] for check in said["checks"] if not check["ok"]}


def test_the_doctor_says_what_to_do(passalong: Commands, settings: Settings) -> None:
    passalong("doctor")
    (settings.instance / "keys.json").chmod(0o644)
    passalong.env["PASSALONG_BASE_URL"] = "http://shop.example.com"
    hints = failing(passalong.json("doctor", expect=1))
    assert set(hints) == {"keys", "base_url"}
    assert "chmod 600" in hints["keys"]


def test_the_doctor_names_a_wrong_setting_a_database_and_a_queue_that_are_away(passalong: Commands) -> None:
    passalong.env["PASSALONG_QUEUE_URL"] = "sqlite:////nothing/here/queue.db"
    assert set(failing(passalong.json("doctor", expect=1))) == {"queue"}
    passalong.env["PASSALONG_DATABASE_URL"] = "postgresql+psycopg://nobody@127.0.0.1:1/nothing"
    said = failing(passalong.json("doctor", expect=1))
    assert set(said) == {"database", "queue"} and "See that it runs" in said["database"]
    passalong.env["PASSALONG_DATABASE_URL"] = "sqlite:////nothing/here/books.db"
    assert "See that its folder is there" in failing(passalong.json("doctor", expect=1))["database"]
    passalong.env["PASSALONG_WORKERS"] = "many"
    assert "PASSALONG_WORKERS" in failing(passalong.json("doctor", expect=1))["settings"]


def test_the_doctor_sees_a_guard_that_is_gone(passalong: Commands, world: World) -> None:
    with world.context.database.writing() as connection:
        on = "" if world.context.database.is_sqlite else " ON pa_transfer"
        connection.execute(text(f"DROP TRIGGER pa_transfer_book{on}"))
    assert "pa_transfer_book" in failing(passalong.json("doctor", expect=1))["guards"]


def test_the_doctor_sees_that_nobody_works(passalong: Commands, world: World) -> None:
    shop = world.shop()
    shop.deliver(shop.order())
    assert passalong.json("doctor")["ok"] is True
    with world.context.database.writing() as connection:
        connection.execute(text("UPDATE pa_delivery SET due_at = due_at - 3600000000"))
    assert "passalong worker" in failing(passalong.json("doctor", expect=1))["inbox"]


# --- real processes -------------------------------------------------------------------------------------------------

Start = Callable[..., "subprocess.Popen[str]"]


def command() -> list[str]:
    """Return the real console script where this tree is installed, else what it does."""
    script = Path(sys.executable).with_name("passalong")
    return [str(script)] if script.exists() else [sys.executable, "-c", "from plugin.cli import main; main()"]


@pytest.fixture
def start(settings: Settings) -> Iterator[Start]:
    """Give a way to start a command as a process; what still runs at the end is killed."""
    started: list[subprocess.Popen[str]] = []
    base = {name: value for name, value in os.environ.items() if not name.startswith("PASSALONG_")}

    def begin(*words: str, **more: str) -> "subprocess.Popen[str]":
        env = base | environment(settings, **more) | {"PYTHONPATH": str(ROOT)}
        pipe = subprocess.PIPE
        process = subprocess.Popen([*command(), *words], env=env, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
        started.append(process)
        return process

    yield begin
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


def address_of(process: "subprocess.Popen[str]") -> str:
    """Return the address that a started server tells."""
    assert process.stdout
    line = process.stdout.readline()
    match = re.search(r"http://\S+?:\d+", line)
    assert match, line + (process.stderr.read() if process.stderr else "")
    return match[0]


def leaves(process: "subprocess.Popen[str]", number: int) -> str:
    """Send a signal, assert a clean end within a few seconds, and return what was said on stderr."""
    process.send_signal(number)
    _, said = process.communicate(timeout=10)
    assert process.returncode == 0, said
    assert "Traceback" not in said
    return said


def wait_until_done(world: World, number: int, seconds: float = 10) -> None:
    """Wait until so many deliveries are done."""
    end = time.monotonic() + seconds
    while True:
        with world.context.database.reading() as connection:
            done = connection.execute(text("SELECT count(*) FROM pa_delivery WHERE state = 'done'")).scalar_one()
        if done >= number:
            return
        assert time.monotonic() < end, "it was not processed in time"
        time.sleep(0.05)


def test_the_console_script_prints_one_document(start: Start) -> None:
    process = start("--json", "token", "add", "x")
    said, _ = process.communicate(timeout=30)
    assert set(json.loads(said)) == {"id", "token"}
    process = start("deliveries", "--shop", "nothing", "--json")
    said, error = process.communicate(timeout=30)
    assert (said, process.returncode, error.count("\n")) == ("", 1, 1)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_run_serves_works_and_leaves_when_asked(start: Start, world: World, number: int) -> None:
    process = start("run", "--port", "0")
    address = address_of(process)
    assert process.stdout and "/admin/setup/" in process.stdout.readline()
    shop = world.shop()
    post(address, shop.key, shop.secret, shop.order("o1"))
    wait_until_done(world, 1)
    assert leaves(process, number) == ""


def post(address: str, key: str, secret: str, order: dict[str, Any]) -> int:
    """Deliver an order over the network."""
    body, at = json.dumps({"type": "order", "data": order}).encode(), int(time.time())
    headers = {
        "webhook-id": order["id"],
        "webhook-timestamp": str(at),
        "webhook-signature": generic.sign(secret, order["id"], at, body),
    }
    request = urllib.request.Request(f"{address}/webhooks/{key}", data=body, headers=headers)  # noqa: S310 - our own
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
        return int(answer.status)


def test_run_in_web_only_leaves_the_work_to_a_worker(start: Start, world: World) -> None:
    web = start("run", "--port", "0", PASSALONG_WORKERS="0")
    address = address_of(web)
    shop = world.shop()
    assert post(address, shop.key, shop.secret, shop.order("o1")) == 200
    time.sleep(1)
    with world.context.database.reading() as connection:
        assert connection.execute(text("SELECT state FROM pa_delivery")).scalar_one() == "stored"
    workers = [start("worker") for _ in range(2)]
    for worker in workers:  # whatever the other one has done meanwhile: a signal is heard from here on
        assert worker.stdout and "Working" in worker.stdout.readline()
    wait_until_done(world, 1, 20)
    post(address, shop.key, shop.secret, shop.order("o2"))
    wait_until_done(world, 2)
    for worker in workers:
        leaves(worker, signal.SIGTERM)
    leaves(web, signal.SIGTERM)
    world.books()


def test_run_on_a_port_that_is_taken_is_one_sentence(start: Start) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        process = start("run", "--port", str(taken.getsockname()[1]))
        said, error = process.communicate(timeout=30)
    assert process.returncode == 1
    assert said == "" and "--port" in error and error.count("\n") == 1, error


def test_a_body_that_is_far_too_large_is_413_and_the_server_lives_on(start: Start, world: World) -> None:
    process = start("run", "--port", "0", PASSALONG_MAX_BODY_BYTES="1024")
    address = address_of(process)
    shop = world.shop()
    for size in (1025, 3_000_000):
        request = urllib.request.Request(f"{address}/webhooks/{shop.key}", data=b"x" * size)  # noqa: S310
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request, timeout=10)  # noqa: S310
        assert refused.value.code == 413
        refused.value.close()
    assert post(address, shop.key, shop.secret, {"id": "o1"}) == 200
    leaves(process, signal.SIGTERM)
