"""The way out: what a server puts off or refuses, what nobody may read on the way, and what stands in the log."""

import json
import logging
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from plugin import mail
from plugin.models import task
from plugin.settings import load
from tests.mails.post_office import PostOffice, send_to
from tests.receiver import Certificate
from tests.world import Clock, Shop, World

ADDRESS = "alice@example.org"


@pytest.fixture
def shop(posting: World) -> Shop:
    """Give a shop with a sharer who is about to earn for the first time."""
    shop = posting.shop(name="Tea House")
    shop.plan()
    shop.sharer("alice", codes=["ALICE"])
    posting.work()
    return shop


def buy(shop: Shop) -> None:
    """Have somebody buy by the sharer's code."""
    shop.told(shop.order(codes=["ALICE"]))


def task_of(world: World) -> Any:
    """Return the one task of a mail."""
    with world.context.database.reading() as connection:
        return connection.execute(select(task).where(task.c.kind == "mail")).one()


# --- a server that does not take it -----------------------------------------------------------------------------------


@pytest.mark.parametrize("stage", ["at_rcpt", "at_data"])
def test_what_is_put_off_is_tried_again_under_the_same_id(
    posting: World, office: PostOffice, shop: Shop, clock: Clock, stage: str
) -> None:
    getattr(office, stage).extend(["451 4.7.1 greylisted", "450 4.2.0 busy"])
    buy(shop)
    row = task_of(posting)
    assert (row.state, row.reason) == ("due", "The mail could not be handed over: the server answered 451 4.7.1.")
    posting.work()
    assert office.tries == 1
    for _ in range(2):
        clock.add(60)
        posting.work()
    first = office.only()
    assert first.to == ADDRESS
    assert office.tries == 3
    assert task_of(posting).state == "done"
    clock.add(600)
    posting.work()
    assert office.take() == []


@pytest.mark.parametrize(
    ("stage", "answer", "codes"),
    [
        ("at_rcpt", f"550 5.1.1 <{ADDRESS}>: no such user", "550 5.1.1"),
        ("at_rcpt", "554 no", "554"),
        ("at_data", "554 5.7.1 spam", "554 5.7.1"),
    ],
)
def test_what_is_refused_has_failed_for_good_with_the_reason(
    posting: World,
    office: PostOffice,
    shop: Shop,
    clock: Clock,
    caplog: pytest.LogCaptureFixture,
    stage: str,
    answer: str,
    codes: str,
) -> None:
    getattr(office, stage).append(answer)
    buy(shop)
    row = task_of(posting)
    assert (row.state, row.reason) == ("failed", f"The mail is refused for good: the server answered {codes}.")
    clock.add(7 * 86_400)
    posting.work()
    assert office.tries == 1
    assert ADDRESS not in caplog.text


def test_a_server_that_is_away_is_waited_for_two_days(
    posting: World, office: PostOffice, shop: Shop, clock: Clock
) -> None:
    office.close()
    buy(shop)
    row = task_of(posting)
    assert row.state == "due"
    assert row.reason == "The mail could not be handed over: the server cannot be reached (ConnectionRefusedError)."
    for _ in range(20):
        clock.add(57_600)
        posting.work()
    assert task_of(posting).state == "failed"


def test_a_server_that_is_away_keeps_nobody_waiting(
    posting: World, office: PostOffice, shop: Shop, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("bob", "carol"):
        shop.sharer(name, codes=[name.upper()])
    tries: list[Any] = []

    def away(address: Any, *more: Any, **named: Any) -> socket.socket:
        tries.append(address)
        raise TimeoutError

    for code in ("ALICE", "BOB", "CAROL"):
        shop.deliver(shop.order(codes=[code]))
    with monkeypatch.context() as patch:
        patch.setattr(socket, "create_connection", away)
        posting.work()
        assert len(tries) == 1
        clock.add(59)
        posting.work()
        assert len(tries) == 1
    clock.add(6)  # a mail is never tried again within five seconds
    posting.work()
    assert sorted(one.to for one in office.take()) == [f"{name}@example.org" for name in ("alice", "bob", "carol")]


def test_a_mail_whose_turn_comes_late_is_left_to_the_next_worker(
    posting: World, office: PostOffice, shop: Shop, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.sharer("bob", codes=["BOB"])
    send = mail.Postman.send

    def slow(self: mail.Postman, *args: Any, **more: Any) -> None:
        send(self, *args, **more)
        clock.add(100)

    for code in ("ALICE", "BOB"):
        shop.deliver(shop.order(codes=[code]))
    with monkeypatch.context() as patch:
        patch.setattr(mail.Postman, "send", slow)
        posting.work()
    assert [one.to for one in office.take()] == [ADDRESS]
    clock.add(100)
    posting.work()
    assert [one.to for one in office.take()] == ["bob@example.org"]


@pytest.mark.parametrize("takes", [True, False])
def test_an_address_in_another_script_needs_a_server_that_takes_it(
    posting: World, offices: list[PostOffice], takes: bool
) -> None:
    office = PostOffice(takes_any_script=takes)
    offices.append(office)
    send_to(posting, f"smtp://127.0.0.1:{office.port}")
    shop = posting.shop()
    shop.plan()
    shop.sharer("ünïcode", codes=["ALICE"])
    buy(shop)
    assert task_of(posting).state == ("done" if takes else "failed")
    assert [one.to for one in office.take()] == (["ünïcode@example.org"] if takes else [])


@pytest.mark.parametrize(
    "email", ["a,b@example.org", 'a"b@example.org', "<a@example.org>", "a@x..example", f"a@{'x' * 70}.example", "a@b@c"]
)
def test_what_is_no_address_has_failed(posting: World, office: PostOffice, email: str) -> None:
    shop = posting.shop()
    shop.plan()
    shop.sharer(email=email, codes=["ALICE"])
    buy(shop)
    row = task_of(posting)
    assert (row.state, row.reason) == ("failed", "The mail is refused for good: the recipient's address is none.")
    assert office.tries == 0


@pytest.mark.parametrize("email", ["a@b\r\nRCPT TO:<eve@example.org>", "a@b\nBcc: eve@example.org", "a@\u2028b"])
def test_an_address_never_ends_its_line(email: str) -> None:
    with pytest.raises(mail.MailRefused):
        mail._address(email)


def test_a_domain_in_another_script_is_written_as_servers_read_it(posting: World, office: PostOffice) -> None:
    shop = posting.shop()
    shop.plan()
    shop.sharer("mei", email="mei@茶.example", codes=["ALICE"])
    buy(shop)
    assert office.only().to == f"mei@{'茶'.encode('idna').decode()}.example"


# --- dying ------------------------------------------------------------------------------------------------------------

DYING = Path(__file__).with_name("dying.py")


def test_a_worker_that_dies_before_writing_it_down_leaves_it_to_the_next_under_the_same_id(
    posting: World, office: PostOffice, shop: Shop, clock: Clock
) -> None:
    shop.deliver(shop.order(codes=["ALICE"]))
    settings = posting.context.settings
    told = {
        "settings": {
            f"PASSALONG_{name.upper()}": str(value) for name, value in asdict(settings).items() if value != ""
        },
        "now": clock.at,
    }
    done = subprocess.run([sys.executable, str(DYING), json.dumps(told)], capture_output=True, check=False)
    assert done.returncode == -9, done.stderr
    first = office.only()
    posting.work()
    assert office.take() == []  # it is still leased
    clock.add(181)
    posting.work()
    second = office.only()
    assert (second.id, second.to, second.text) == (first.id, first.to, first.text)
    assert task_of(posting).state == "done"


# --- encryption and signing in ----------------------------------------------------------------------------------------


@pytest.fixture
def certificate(tmp_path: Path) -> Certificate:
    """Give a certificate for mail.example."""
    return Certificate(tmp_path, name="mail.example")


@pytest.fixture
def offices() -> Iterator[list[PostOffice]]:
    """Close the servers a test has opened."""
    opened: list[PostOffice] = []
    yield opened
    for one in opened:
        one.close()


@pytest.fixture
def far(monkeypatch: pytest.MonkeyPatch, certificate: Certificate) -> None:
    """Have the name mail.example lead to this machine, and its certificate be known."""
    real = socket.create_connection


    def here(address: tuple[str, int], *more: Any, **named: Any) -> socket.socket:
        return real(("127.0.0.1", address[1]), *more, **named)

    monkeypatch.setattr(socket, "create_connection", here)
    trusting = ssl.create_default_context
    monkeypatch.setattr(ssl, "create_default_context", lambda *_, **__: trusting(cadata=certificate.public))


@pytest.mark.usefixtures("far")
@pytest.mark.parametrize("is_smtps", [True, False])
def test_a_mail_goes_encrypted_and_signed_in_where_the_server_can(
    posting: World, shop: Shop, certificate: Certificate, offices: list[PostOffice], is_smtps: bool
) -> None:
    far = PostOffice(certificate.server, is_smtps=is_smtps, user=("shop", "p@ss #1"))
    offices.append(far)
    scheme = "smtps" if is_smtps else "smtp"
    send_to(posting, f"{scheme}://shop:p%40ss%20%231@mail.example:{far.port}")
    buy(shop)
    taken = far.only()
    assert taken.encrypted
    assert taken.user == b"shop"


@pytest.mark.usefixtures("far")
def test_a_wrong_password_is_no_fault_of_the_recipient(
    posting: World, shop: Shop, certificate: Certificate, offices: list[PostOffice]
) -> None:
    far = PostOffice(certificate.server, user=("shop", "right"))
    offices.append(far)
    send_to(posting, f"smtp://shop:wr0ng-s3cret@mail.example:{far.port}")
    buy(shop)
    row = task_of(posting)
    assert row.state == "due"
    assert row.reason.startswith("The mail could not be handed over: the server does not let us sign in (535")
    assert "wr0ng" not in row.reason


@pytest.mark.usefixtures("far")
def test_a_password_is_never_sent_in_the_clear(
    posting: World, shop: Shop, offices: list[PostOffice]
) -> None:
    far = PostOffice(user=("shop", "secret"))
    offices.append(far)
    send_to(posting, f"smtp://shop:secret@mail.example:{far.port}")
    buy(shop)
    assert far.tries == 0
    assert "no encryption" in task_of(posting).reason


@pytest.mark.usefixtures("far")
def test_a_certificate_of_somebody_else_is_not_believed(
    posting: World, shop: Shop, certificate: Certificate, offices: list[PostOffice]
) -> None:
    far = PostOffice(certificate.server)
    offices.append(far)
    send_to(posting, f"smtp://other.example:{far.port}")
    buy(shop)
    assert far.tries == 0
    assert "SSLCertVerificationError" in task_of(posting).reason


# --- no server --------------------------------------------------------------------------------------------------------


def test_without_a_server_the_mail_stands_in_the_log_once(
    posting: World, office: PostOffice, shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    send_to(posting, "")
    with caplog.at_level(logging.INFO, "plugin.mail"):
        buy(shop)
    (record,) = [one for one in caplog.records if one.name == "plugin.mail"]
    assert record.levelno == logging.WARNING
    for part in (ADDRESS, "Your first commission: $10.00", "http://127.0.0.1:8000/me/"):
        assert part in record.getMessage()
    assert office.take() == []
    assert task_of(posting).state == "done"


# --- the sender -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("base_url", "sender"),
    [
        ("https://shop.example.com/share", "Passalong <no-reply@shop.example.com>"),
        ("http://127.0.0.1:8000", "Passalong <no-reply@[127.0.0.1]>"),
        ("http://[::1]:8000", "Passalong <no-reply@[IPv6:::1]>"),
    ],
)
def test_the_sender_is_of_the_public_address_unless_told(base_url: str, sender: str) -> None:
    assert load({"PASSALONG_BASE_URL": base_url}).mail_from == sender


def test_the_sender_can_be_named(posting: World, office: PostOffice, shop: Shop) -> None:
    told = load({"PASSALONG_MAIL_FROM": "茶之家 <hello@shop.example.com>"})
    object.__setattr__(posting.context.settings, "mail_from", told.mail_from)
    buy(shop)
    taken = office.only()
    assert taken.sender == "hello@shop.example.com"
    assert str(taken.message["From"]) == "茶之家 <hello@shop.example.com>"
    assert taken.id.endswith("@shop.example.com>")
