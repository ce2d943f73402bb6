"""Payouts on the pages: what is due is true, what is approved is what was seen, and only those who may move money."""

import csv
import io

import pytest
from sqlalchemy import event, select

from plugin.domain.moment import SECOND, format_moment
from plugin.models import sharer
from plugin.services import public_id
from plugin.services.keep_payout_way import BANK, keep_payout_way
from tests.admin_ui.office import Office, plain
from tests.world import Shop, World


def ready(world: World, *names: str, **details: str) -> tuple[Shop, dict[str, str]]:
    """Give a shop with a sharer each of whom has 10.00 ready, by name."""
    shop = world.shop(**details)
    shop.plan()
    sharers = {name: shop.sharer(name, codes=[name.upper()]) for name in names}
    for name in names:
        shop.told(shop.order(codes=[name.upper()]))
    world.release()
    return shop, sharers


def draft(desk: Office, shop: Shop, currency: str = "USD", **fields: str) -> str:
    """Draft a payout on the page; return its address."""
    sent = {"currency": currency, "rail": "manual", **fields}
    answer = desk.send(f"/{shop.key}/payouts", sent)
    return answer.headers["Location"].removeprefix("/admin").partition("?")[0]


def test_what_is_due_is_shown_and_paid_from_the_draft_to_the_last_payment(world: World) -> None:
    shop, sharers = ready(world, "alice", "bob")
    carl = shop.sharer("carl", codes=["CARL"])
    shop.told(shop.order(codes=["CARL"]))
    world.release()
    world.call("PATCH", f"/sharers/{carl}", {"status": "suspended"}, expect=200)
    owner = Office(world, second_factor=True)
    page = plain(owner.see(f"/{shop.key}/payouts"))
    assert "$20.00" in page and "2 people" in page and "Not approved or suspended $10.00" in page
    place = draft(owner, shop)
    page = plain(owner.see(place))
    assert "$20.00" in page and "carl Is suspended" in page and "alice" in page
    answer = owner.send(f"{place}/approve", {"total": "20.00"})
    assert "The money is set aside" in plain(owner.follow(answer))
    assert shop.balance(sharers["alice"])["in_flight"] == "10.00"
    owner.send(f"{place}/submit")
    items = world.call("GET", f"/payouts/{place.rpartition('/')[2]}", expect=200)["items"]
    owner.send(f"{place}/mark", {"item": items[0]["id"], "state": "failed", "note": "closed account"})
    assert shop.balance(sharers["alice"])["payable"] == "10.00"
    answer = owner.send(f"{place}/mark", {"state": "paid", "note": "bank 77"})
    page = plain(owner.follow(answer))
    assert "bank 77" in page and "closed account" in page and "2 of 2 payments" in page
    assert shop.balance(sharers["bob"])["paid"] == "10.00"
    owner.send(f"{place}/mark", {"item": items[1]["id"], "state": "returned", "note": "came back"})
    assert shop.balance(sharers["bob"])["payable"] == "10.00"
    world.books()


@pytest.mark.parametrize("typed", ["", "20", "20.051", "-20.05", "2e1", "twenty", "٢٠.٠٥"])
def test_only_the_exact_total_approves(world: World, typed: str) -> None:
    shop, sharers = ready(world, "alice")
    shop.told(shop.order(codes=["ALICE"]))
    shop.told(shop.order(codes=["ALICE"], lines=[{"id": "l1", "quantity": 1, "amount": "0.50", "tax": "0.00"}]))
    world.release()
    owner = Office(world, second_factor=True)
    place = draft(owner, shop)
    page = plain(owner.send(f"{place}/approve", {"total": typed}, expect=422).get_data(as_text=True))
    assert "This is not the total of this payout." in page
    assert shop.balance(sharers["alice"])["in_flight"] == "0.00"
    owner.send(f"{place}/approve", {"total": " 20.05 "})
    assert shop.balance(sharers["alice"])["in_flight"] == "20.05"


def test_what_changed_since_it_was_seen_is_not_approved(world: World) -> None:
    shop, sharers = ready(world, "alice", "bob")
    owner = Office(world, second_factor=True)
    place = draft(owner, shop)
    shop.told(shop.order(codes=["ALICE"]))
    world.release()  # alice has more now than the page says
    page = plain(owner.send(f"{place}/approve", {"total": "20.00"}, expect=422).get_data(as_text=True))
    assert "The amounts are no longer those you saw" in page
    assert shop.balance(sharers["bob"])["in_flight"] == "0.00"
    again = owner.send(f"{place}/draft-again")
    assert "$30.00" in plain(owner.follow(again))
    assert "Cancelled" in plain(owner.see(place))
    world.call("PATCH", f"/sharers/{sharers['bob']}", {"status": "suspended"}, expect=200)
    place = again.headers["Location"].removeprefix("/admin").partition("?")[0]
    owner.send(f"{place}/approve", {"total": "30.00"}, expect=422)  # one of them does not qualify any more
    assert shop.balance(sharers["alice"])["in_flight"] == "0.00"
    world.books()


def test_people_are_left_out_of_a_draft_and_stay_out_of_the_next(world: World) -> None:
    shop, sharers = ready(world, "alice", "bob")
    manager = Office(world, "manager")
    place = draft(manager, shop)
    items = world.call("GET", f"/payouts/{place.rpartition('/')[2]}", expect=200)["items"]
    bob = next(one["id"] for one in items if one["sharer"] == sharers["bob"])
    assert "Tick whom to leave out." in manager.send(f"{place}/leave-out", expect=422).get_data(as_text=True)
    page = plain(manager.follow(manager.send(f"{place}/leave-out", {"item": bob})))
    assert "bob Left out by you" in page and "$10.00" in page
    shop.told(shop.order(codes=["ALICE"]))
    world.release()
    page = plain(manager.follow(manager.send(f"{place}/draft-again")))
    assert "bob Left out by you" in page and "$20.00" in page
    assert shop.balance(sharers["bob"])["payable"] == "10.00"
    world.books()


def test_a_draft_and_an_approved_payout_are_cancelled_and_a_submitted_one_is_not(world: World) -> None:
    shop, sharers = ready(world, "alice")
    owner = Office(world, second_factor=True)
    place = draft(owner, shop)
    owner.send(f"{place}/approve", {"total": "10.00"})
    assert "ready again" in plain(owner.follow(owner.send(f"{place}/cancel")))
    assert shop.balance(sharers["alice"])["payable"] == "10.00"
    place = draft(owner, shop)
    owner.send(f"{place}/approve", {"total": "10.00"})
    for step, fields in (("approve", {"total": "10.00"}), ("leave-out", {"item": "itm_1"}), ("draft-again", {})):
        owner.send(f"{place}/{step}", fields, expect=422)
    owner.send(f"{place}/mark", {"state": "paid", "item": "itm_2"}, expect=422)  # not handed over yet
    owner.send(f"{place}/submit")
    owner.send(f"{place}/cancel", expect=422)
    owner.send(f"{place}/mark", {"state": "eaten"}, expect=422)
    owner.send(f"{place}/mark", {"state": "paid", "item": "itm_99"}, expect=404)
    owner.send(f"{place}/mark", {"state": "paid", "note": "x" * 201}, expect=422)
    assert shop.balance(sharers["alice"])["in_flight"] == "10.00"
    world.books()


def test_who_may_do_what(world: World) -> None:
    shop, _ = ready(world, "alice")
    manager, viewer = Office(world, "manager"), Office(world, "viewer")
    payer = Office(world, "payer", second_factor=True)
    viewer.send(f"/{shop.key}/payouts", {"currency": "USD"}, expect=403)
    place = draft(manager, shop)
    assert "A payer or an owner has to approve it." in plain(manager.see(place))
    assert "Approve this payout" not in viewer.see(place)
    for who in (viewer, manager):
        for step in ("approve", "submit", "mark"):
            who.send(f"{place}/{step}", {"total": "10.00", "state": "paid"}, expect=403)
        who.see(f"{place}?format=csv", expect=403)
    viewer.send(f"{place}/cancel", expect=403)
    viewer.send(f"{place}/leave-out", {"item": "itm_1"}, expect=403)
    viewer.send(f"{place}/draft-again", expect=403)
    payer.send(f"{place}/approve", {"total": "10.00"})
    manager.send(f"{place}/cancel", expect=403)  # what is approved is a payer's
    payer.send(f"{place}/cancel")


def test_money_moves_only_with_a_second_factor_and_freshly_signed_in(world: World) -> None:
    shop, sharers = ready(world, "alice")
    owner = Office(world)
    place = draft(owner, shop)
    answer = owner.send(f"{place}/approve", {"total": "10.00"})
    assert "/account/second-factor" in answer.headers["Location"]
    owner = Office(world, second_factor=True)
    world.stop_clock(format_moment(world.context.now() + 16 * 60 * SECOND))
    for step in ("approve", "submit", "mark"):
        answer = owner.send(f"{place}/{step}", {"total": "10.00", "state": "paid"})
        assert "/admin/again" in answer.headers["Location"]
    assert shop.balance(sharers["alice"])["in_flight"] == "0.00"


def test_another_shop_s_payout_is_not_there(world: World) -> None:
    shop, _ = ready(world, "alice")
    other, _ = ready(world, "bob", url="https://other.example.com")
    owner = Office(world, second_factor=True)
    foreign = draft(owner, other).replace(other.key, shop.key)
    owner.see(foreign, expect=404)
    for step in ("approve", "submit", "cancel", "leave-out", "draft-again", "mark"):
        owner.send(f"{foreign}/{step}", {"total": "10.00", "item": "itm_1", "state": "paid"}, expect=404)
    owner.see(f"{foreign}?format=csv", expect=404)
    owner.see(f"/{shop.key}/payouts/pay_zz", expect=404)


@pytest.mark.parametrize(
    "fields",
    [
        {"currency": "USD", "minimum": "a lot"},
        {"currency": "USD", "minimum": "1.234"},
        {"currency": "USD", "minimum": "999999999999999"},
        {"currency": "XX", "minimum": "1"},
        {"currency": "USD", "rail": "carrier-pigeon"},
        {"currency": ""},
    ],
)
def test_a_wrong_draft_is_said_at_its_field(world: World, fields: dict[str, str]) -> None:
    shop, _ = ready(world, "alice")
    owner = Office(world)
    page = owner.send(f"/{shop.key}/payouts", fields, expect=422).get_data(as_text=True)
    assert 'role="alert"' in page or 'aria-invalid="true"' in page



def test_names_are_text_and_no_formula(world: World) -> None:
    shop = world.shop()
    shop.plan()
    for name, code, email in (
        ("<script>alert(1)</script>", "EVE", "eve@example.org"),
        ('=HYPERLINK("https://evil.example")', "MAL", "mallory@example.org"),
    ):
        shop.sharer(name, codes=[code], email=email)
    for code in ("EVE", "MAL"):
        shop.told(shop.order(codes=[code]))
    world.release()
    payer = Office(world, "payer", second_factor=True)
    place = draft(payer, shop)
    assert "<script>alert" not in payer.see(place)
    rows = list(csv.DictReader(io.StringIO(payer.see(f"{place}?format=csv").removeprefix("\ufeff"))))
    assert [row["net"] for row in rows] == ["10.00", "10.00"]
    assert {row["name"][:2] for row in rows} == {"<s", "'="}


def test_a_page_of_any_size_takes_few_statements(world: World) -> None:
    names = [f"s{number}" for number in range(53)]
    shop, _ = ready(world, *names)
    owner = Office(world, second_factor=True)
    place = draft(owner, shop)
    counts: list[str] = []
    event.listen(world.context.database.engine, "before_cursor_execute", lambda *given: counts.append(given[2]))
    for path in (f"/{shop.key}/payouts", place):
        counts.clear()
        page = owner.see(path)
        assert len([one for one in counts if not one.startswith(("BEGIN", "PRAGMA"))]) <= 12, counts
    assert page.count('name="item"') == 50 and "Show more" in page
    assert owner.see(f"{place}?after=50").count('name="item"') == 3


def test_whoever_pays_reads_where_the_money_goes_while_it_is_to_be_paid(world: World) -> None:
    shop, sharers = ready(world, "alice", "bob")
    number = public_id.read(public_id.SHARER, sharers["alice"])
    with world.context.database.reading() as connection:
        shop_id = connection.execute(select(sharer.c.shop_id).where(sharer.c.id == number)).scalar_one()

    def keep(account: str) -> None:
        details = {"holder": "Alice <b>", "bank": "First Bank", "account": account}
        keep_payout_way(world.context, shop_id, number, BANK, details)

    keep("000123456789")
    payer, manager = Office(world, "payer", second_factor=True), Office(world, "manager", second_factor=True)
    place = draft(payer, shop)
    assert "Nothing is to be paid here" in payer.see(f"{place}/pay-to")  # its money is not set aside yet
    payer.send(f"{place}/approve", {"total": "20.00"})
    assert f'href="/admin{place}/pay-to"' in payer.see(place)
    page = payer.see(f"{place}/pay-to")
    assert "000123456789" in page and "First Bank" in page and "Alice &lt;b&gt;" in page and "$10.00" in page
    assert plain(page).count("Has not told yet how to be paid.") == 1 and "Changed after" not in page
    manager.see(f"{place}/pay-to", expect=403)
    answer = Office(world, "payer").browser.client.get(f"/admin{place}/pay-to")
    assert "/account/second-factor" in answer.headers["Location"]
    world.stop_clock(format_moment(world.context.now() + SECOND))
    keep("999999999999")
    page = payer.see(f"{place}/pay-to")
    assert "999999999999" in page and "Changed after this payout was drafted" in page
    payer.send(f"{place}/submit")
    items = world.call("GET", f"/payouts/{place.rpartition('/')[2]}", expect=200)["items"]
    alice = next(one["id"] for one in items if one["sharer"] == sharers["alice"])
    payer.send(f"{place}/mark", {"item": alice, "state": "paid"})
    assert "999999999999" not in payer.see(f"{place}/pay-to")  # what is paid needs no address
    world.stop_clock(format_moment(world.context.now() + 16 * 60 * SECOND))
    answer = payer.browser.client.get(f"/admin{place}/pay-to")
    assert answer.status_code == 303 and "/admin/again" in answer.headers["Location"]
