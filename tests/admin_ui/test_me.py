"""Me: what a person says of themselves, how they are paid, their data, signing out everywhere, leaving."""

import io
import json
import zipfile

import pytest
from sqlalchemy import select

from plugin.models import payout_way, session, task
from plugin.services import tickets
from tests.admin_ui.desk import Browser
from tests.admin_ui.seat import set_program, sharer_browser, wanted_tickets
from tests.mails.post_office import PostOffice, send_to
from tests.world import Clock, Shop, World

IBAN = {"kind": "bank", "holder": "Alice", "bank": "Tea Bank", "account": "DE89 3704 0044 0532 0130 00"}


@pytest.fixture
def shop(world: World, clock: Clock) -> Shop:
    """Give a shop that pays ten percent."""
    shop = world.shop(name="Tea House")
    shop.plan()
    return shop


@pytest.fixture
def alice(shop: Shop) -> Browser:
    """Give the browser of alice, who earned something."""
    sharer = shop.sharer("alice", codes=["A"])
    shop.told(shop.order(codes=["A"]))
    return sharer_browser(shop.world, sharer)


def test_name_language_and_mails_are_kept(shop: Shop, alice: Browser) -> None:
    page = f"/me/{shop.key}/profile"
    assert 'value="alice"' in alice.get(page)
    alice.post(f"{page}/me", {"name": " Alice   <b> ", "language": "ja"}, on=page)
    shown = alice.get(page)
    assert 'value="Alice &lt;b&gt;"' in shown and 'lang="ja"' in shown
    known = shop.world.call("GET", "/sharers/shr_1", expect=200)
    assert (known["name"], known["locale"]) == ("Alice <b>", "ja")
    alice.post(f"{page}/me", {"name": "x" * 81, "language": "en"}, on=page, expect=422)
    alice.post(f"{page}/me", {"name": "x", "language": "tlh"}, on=page, expect=422)
    alice.post(f"{page}/mails", {"mails": ["paid"]}, on=page)
    shown = alice.get(page)
    assert 'value="paid" checked' in shown and 'value="ready" checked' not in shown
    alice.post(f"{page}/mails", {"mails": ["ready", "sign_in", "x"]}, on=page)
    assert 'value="ready" checked' in alice.get(page)


def test_how_one_is_paid_is_asked_only_once_something_is_earned(shop: Shop, alice: Browser) -> None:
    bob = sharer_browser(shop.world, shop.sharer("bob"))
    assert "/profile/way" not in bob.get(f"/me/{shop.key}/profile")
    assert "/profile/way" in alice.get(f"/me/{shop.key}/profile")


def test_how_one_is_paid_is_sealed_masked_and_told(
    shop: Shop, alice: Browser, clock: Clock, office: PostOffice
) -> None:
    send_to(shop.world, f"smtp://127.0.0.1:{office.port}")
    page = f"/me/{shop.key}/profile/way"
    alice.post(page, IBAN)
    shown = alice.get(f"/me/{shop.key}/profile") + alice.get(page)
    assert "…0 00" in shown and "3704" not in shown and "Tea Bank" not in shown
    with shop.world.context.database.reading() as connection:
        (row,) = connection.execute(select(payout_way)).all()
        wanted = connection.execute(select(task.c.body).where(task.c.kind == "mail")).scalars().all()
    assert b"3704" not in row.details and not any("3704" in body for body in wanted)
    shop.world.work()
    (told,) = [one for one in office.mails if "changed" in one.subject]
    assert told.recipients == ["alice@example.org"] and "3704" not in told.text and "Tea House" in told.text
    for wrong in ({"kind": "bank", "holder": "A"}, {"kind": "paypal", "email": "x"}, {"kind": "gold"}, {},
                  {"kind": "other", "words": "x" * 201}, {"kind": "other", "words": "a\x00b"}):  # fmt: skip
        alice.post(page, wrong, on=page, expect=422)
    alice.post(page, {"kind": "paypal", "email": "alice@pay.example"}, on=page)
    assert "a…@pay.example" in alice.get(f"/me/{shop.key}/profile")
    clock.add(1)
    alice.post(page, {"forget": "1"}, on=page)
    with shop.world.context.database.reading() as connection:
        assert connection.execute(select(payout_way)).all() == []


def test_a_change_of_how_one_is_paid_takes_a_new_mail_after_a_while(shop: Shop, alice: Browser, clock: Clock) -> None:
    page = f"/me/{shop.key}/profile/way"
    token = alice.token(page)
    clock.add(16 * 60)
    assert "/again?next=" in alice.client.get(page).headers["Location"]
    assert "/again?next=" in alice.send(page, {**IBAN, "_form": token}).headers["Location"]
    with shop.world.context.database.reading() as connection:
        assert connection.execute(select(payout_way)).all() == []
    again = alice.client.get(page).headers["Location"]
    alice.post(f"/me/{shop.key}/again", {"next": page}, on=again, expect=200)
    purpose, text = wanted_tickets(shop.world)[-1]
    assert purpose == tickets.SIGN_IN
    assert alice.post(f"/me/enter/{text}").headers["Location"] == page
    alice.post(page, IBAN)
    with shop.world.context.database.reading() as connection:
        assert len(connection.execute(select(session)).all()) == 1  # the old one ended
    alice.post(f"/me/{shop.key}/again", {"next": "https://evil.example/"}, on=f"/me/{shop.key}/again", expect=200)
    (_, text) = wanted_tickets(shop.world)[-1]
    assert alice.post(f"/me/enter/{text}").headers["Location"] == f"/me/{shop.key}/"


def test_my_data_is_all_of_mine_and_nothing_of_others(shop: Shop, alice: Browser) -> None:
    bob = shop.sharer("bob", codes=["BOB"], referred_by="shr_1")
    shop.told(shop.order("theirs", codes=["BOB"]))
    shop.link("shr_1", channel="=1+1")
    alice.post(f"/me/{shop.key}/profile/way", IBAN)
    answer = alice.post(f"/me/{shop.key}/profile/data", on=f"/me/{shop.key}/profile", expect=200)
    file = zipfile.ZipFile(io.BytesIO(answer.data))
    whole = {name: file.read(name).decode() for name in file.namelist()}
    told = json.loads(whole["person.json"])
    assert told["email"] == "alice@example.org" and told["shops"][0]["paid_to"]["account"] == IBAN["account"]
    assert [one["code"] for one in told["shops"][0]["changes"] if "code" in one] == ["A"]
    assert "10.00" in whole[f"{shop.key}/statement.csv"] and "'=1+1" in whole[f"{shop.key}/links.csv"]
    text = "".join(whole.values())
    assert bob not in text and "bob" not in text.lower() and "buyers.example" not in text
    assert "attachment" in answer.headers["Content-Disposition"]


def test_signing_out_everywhere_spares_this_device_alone(shop: Shop, alice: Browser) -> None:
    phone = sharer_browser(shop.world, "shr_1")
    bob = sharer_browser(shop.world, shop.sharer("bob"))
    phone.get(f"/me/{shop.key}/")
    alice.post(f"/me/{shop.key}/profile/sign-out", on=f"/me/{shop.key}/profile")
    phone.get(f"/me/{shop.key}/", expect=303)
    alice.get(f"/me/{shop.key}/")
    bob.get(f"/me/{shop.key}/")


def test_leaving_takes_the_shops_name_keeps_what_was_earned_and_can_be_taken_back(
    shop: Shop, alice: Browser, clock: Clock
) -> None:
    set_program(shop.world, shop, join_mode="open")
    page = f"/me/{shop.key}/profile/leave"
    alice.post(page, {"shop_name": "Tea"}, expect=422)
    clock.add(1)
    alice.post(page, {"shop_name": " tea  house "})
    assert shop.world.call("GET", "/sharers/shr_1", expect=200)["status"] == "suspended"
    home = alice.get(f"/me/{shop.key}/")
    assert "do not share for this shop" in home and "$10.00" in home
    assert shop.balance("shr_1")["earned"] == "10.00"
    now = clock.iso()
    assert shop.told(shop.order(codes=["A"], placed_at=now, updated_at=now, paid_at=now))["commissions"] == []
    with shop.world.context.database.writing() as connection:
        number = tickets.issue(connection, tickets.JOIN, now=clock(), shop_id=1, email="alice@example.org")
        text = tickets.show(shop.world.context, connection, number)
    clock.add(1)
    Browser(shop.world).post(f"/join/{shop.key}/{text}")
    assert shop.world.call("GET", "/sharers/shr_1", expect=200)["status"] == "approved"


def test_whom_the_shop_suspended_does_not_come_back_by_themselves(shop: Shop, alice: Browser, clock: Clock) -> None:
    set_program(shop.world, shop, join_mode="open")
    clock.add(1)
    shop.world.call("PATCH", "/sharers/shr_1", {"status": "suspended"}, expect=200)
    with shop.world.context.database.writing() as connection:
        number = tickets.issue(connection, tickets.JOIN, now=clock(), shop_id=1, email="alice@example.org")
        text = tickets.show(shop.world.context, connection, number)
    Browser(shop.world).post(f"/join/{shop.key}/{text}")
    assert shop.world.call("GET", "/sharers/shr_1", expect=200)["status"] == "suspended"
    alice.post(f"/me/{shop.key}/profile/leave", {"shop_name": "Tea House"})
    assert shop.world.call("GET", "/sharers/shr_1", expect=200)["status"] == "suspended"
