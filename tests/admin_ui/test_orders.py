"""Orders on the owner's pages: found by state and number, explained in a receipt that adds up, decided by hand."""

import re
from html import unescape

import pytest
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from sqlalchemy import select

from plugin import migrations
from plugin.models import orders, standing
from tests.admin_ui.desk import Browser, member
from tests.admin_ui.test_sharers import text_of
from tests.world import Shop, World

LATER = "2026-11-03T10:00:00Z"


def listed(page: str) -> list[str]:
    """Return the numbers of the orders on a page, in order."""
    return [unescape(one) for one in re.findall(r'<th scope="row"><a href="[^"]*">([^<]*)</a>', page)]


def orders_everywhere(world: World) -> Shop:
    """Make a shop with an order in every state of its way."""
    world.stop_clock("2026-11-05T10:00:00Z")
    shop = world.shop(name="Tea House")
    shop.plan({"commission": {"default": {"percent": "10"}}, "upline": {"percents": ["2"]}, "hold_days": 14})
    head = shop.sharer("head")
    shop.sharer("alice", codes=["A"], referred_by=head)
    refund = {"id": "r1", "amount": "100.00", "lines": [{"line_id": "l1", "quantity": 2, "amount": "100.00"}]}
    for number, ref in enumerate(("paid", "payable", "pending", "held", "reversed", "expected", "none")):
        moment = f"2026-11-01T10:0{number}:00Z"
        times = {"placed_at": moment, "updated_at": moment, "paid_at": moment}
        codes = [] if ref == "none" else ["A"]
        unpaid = {"payment": "unpaid", "paid_at": None} if ref == "expected" else {}
        shop.deliver(shop.order(ref, codes=codes, **(times | unpaid)))
    world.work()
    world.release("2026-11-15T10:00:30Z")  # the first alone
    shop.pay()
    world.release("2026-11-15T10:01:30Z")  # and the second
    body = {"shop": shop.key, "reason": "Looks odd"}
    world.call("POST", "/orders/held/hold", body, expect=200)
    shop.told(shop.order("reversed", codes=["A"], placed_at="2026-11-01T10:04:00Z", updated_at=LATER, refunds=[refund]))
    return shop


pytestmark = pytest.mark.past(made_by=orders_everywhere)


def root(shop: Shop) -> str:
    return f"/admin/{shop.key}/orders"


@pytest.mark.parametrize(
    ("state", "found"),
    [
        ("", ["#none", "#expected", "#reversed", "#held", "#pending", "#payable", "#paid"]),
        ("pending", ["#pending"]),
        ("held", ["#held"]),
        ("payable", ["#payable"]),
        ("paid", ["#paid"]),
        ("reversed", ["#reversed"]),
        ("expected", ["#expected"]),
        ("nobody", ["#none"]),
        ("nonsense", ["#none", "#expected", "#reversed", "#held", "#pending", "#payable", "#paid"]),
    ],
)
def test_orders_are_found_by_where_they_stand(shop: Shop, owner: Browser, state: str, found: list[str]) -> None:
    assert listed(owner.get(f"{root(shop)}?state={state}")) == found


@pytest.mark.parametrize(
    ("page", "marked"),
    [
        ("", [("page", "Home")]), ("orders", [("page", "Orders")]), ("orders/paid", [("true", "Orders")]),
        ("sharers/shr_1", [("true", "Sharers")]), ("books", []),
    ],
)  # fmt: skip
def test_the_menu_marks_where_one_is(shop: Shop, owner: Browser, page: str, marked: list[tuple[str, str]]) -> None:
    (menu, _) = re.findall(r'<nav aria-label="Pages">.*?</nav>', owner.get(f"/admin/{shop.key}/{page}"), re.DOTALL)
    assert re.findall(r'aria-current="(\w+)">.*?<span>(\w+)</span>', menu) == marked


def test_an_order_that_is_held_stands_there_before_anything_is_earned(shop: Shop, owner: Browser) -> None:
    shop.world.call("POST", "/orders/expected/hold", {"shop": shop.key, "reason": "Looks odd"}, expect=200)
    assert listed(owner.get(f"{root(shop)}?state=held")) == ["#expected", "#held"]
    assert listed(owner.get(f"{root(shop)}?state=expected")) == []


@pytest.mark.parametrize("text", ["paid", "%23paid", " paid "])
def test_an_order_is_found_by_id_and_number(shop: Shop, owner: Browser, text: str) -> None:
    assert listed(owner.get(f"{root(shop)}?q={text}")) == ["#paid"]


def test_states_follow_the_money_to_its_end(shop: Shop, owner: Browser, world: World) -> None:
    payout = shop.draft()
    shop.step(payout, "approve")
    assert listed(owner.get(f"{root(shop)}?state=in_flight")) == ["#payable"]
    shop.step(payout, "cancel")
    assert listed(owner.get(f"{root(shop)}?state=payable")) == ["#payable"]
    payout = shop.pay()
    assert listed(owner.get(f"{root(shop)}?state=paid")) == ["#payable", "#paid"]
    shop.mark(payout, payout["items"][0], "returned")
    shop.mark(payout, payout["items"][1], "returned")
    assert listed(owner.get(f"{root(shop)}?state=payable")) == ["#payable"]


def test_what_an_older_release_stored_is_found_after_the_migration(shop: Shop, world: World) -> None:
    module = migrations._scripts().get_revision("0012").module
    database, tables = world.context.database, (orders, standing)
    with database.writing() as connection:
        kept = [connection.execute(select(table).order_by(*table.primary_key)).all() for table in tables]
        for index in ("ix_pa_order_state", "ix_pa_order_number", "ix_pa_delivery_shop"):
            connection.exec_driver_sql(f"DROP INDEX {index}")
        for column in ("state", "number"):
            connection.exec_driver_sql(f"ALTER TABLE pa_order DROP COLUMN {column}")
        connection.exec_driver_sql("DROP TABLE pa_standing")
        with Operations.context(MigrationContext.configure(connection)):
            module.upgrade()
        again = [connection.execute(select(table).order_by(*table.primary_key)).all() for table in tables]
    assert again == kept and {row.state for row in kept[0]} >= {"paid", "payable", "pending", "held", "reversed"}


# --- the receipt ------------------------------------------------------------------------------------------------------


def test_the_receipt_says_why_and_adds_up(shop: Shop, owner: Browser) -> None:
    page = text_of(owner.get(f"{root(shop)}/reversed"))
    assert "The buyer used this sharer's coupon code. alice" in page
    assert "Earned by the order $10.00 Taken back −$10.00 Earns now $0.00" in page
    assert "Refunded in all $100.00" in page
    assert "Taken back: $10.00" in page and "Invited the sharer" in page


@pytest.mark.parametrize(
    ("language", "words"), [("zh-Hant", "買家使用了"), ("zh-Hans", "买家使用了"), ("ja", "購入者が")]
)
def test_the_receipt_is_said_in_every_language(shop: Shop, world: World, language: str, words: str) -> None:
    assert words in member(world, language=language).get(f"{root(shop)}/paid")


def test_an_order_whose_id_holds_slashes_has_its_pages(shop: Shop, owner: Browser) -> None:
    shop.told(shop.order("gid://shop/Order/7", codes=["A"]))
    page = owner.get(f"{root(shop)}?q=gid://shop/Order/7")
    address = re.search(r'<th scope="row"><a href="([^"]*)"', page)
    assert address and "alice" in owner.get(unescape(address[1]))
    owner.get(f"{unescape(address[1])}/attribution")


def test_refused_evidence_is_shown_with_its_reason(shop: Shop, owner: Browser) -> None:
    shop.told(shop.order("forged", attributes={"_pa": "AAAAforgedforgedforged"}))
    page = text_of(owner.get(f"{root(shop)}/forged"))
    assert "Does not count" in page and "it is not one of this shop" in page


# --- the owner's word -------------------------------------------------------------------------------------------------


def test_an_order_is_given_by_hand_and_the_books_follow(shop: Shop, owner: Browser, world: World) -> None:
    page = f"{root(shop)}/none/attribution"
    form = {"sharer": "shr_2", "reason": "She brought him <i>"}
    answer = owner.post(page, form)
    seen = owner.get(answer.headers["Location"])
    assert "She brought him &lt;i&gt;" in seen and "The shop gave it to this sharer by hand." in seen
    assert shop.receipt("none")["winner"] == "shr_2"
    owner.post(page, {"sharer": "nobody", "reason": "No"})
    assert shop.receipt("none")["winner"] is None and listed(owner.get(f"{root(shop)}?state=nobody")) == ["#none"]
    world.books()


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"reason": "x"}, "Choose a sharer"),
        ({"sharer": "shr_2", "reason": " "}, "Say why"),
        ({"sharer": "shr_99", "reason": "kept"}, "There is no such sharer"),
        ({"sharer": "<b>", "reason": "kept"}, "There is no such sharer"),
    ],
)
def test_a_wrong_word_is_shown_again_and_decides_nothing(
    shop: Shop, owner: Browser, form: dict[str, str], said: str
) -> None:
    answer = owner.post(f"{root(shop)}/none/attribution", form, expect=422)
    assert said in text_of(answer.get_data(as_text=True))
    assert shop.receipt("none")["winner"] is None


def test_money_is_kept_back_and_goes_on_by_a_decision(shop: Shop, owner: Browser) -> None:
    page = f"{root(shop)}/pending"
    assert "Say why" in owner.post(f"{page}/hold", {"reason": ""}, on=page, expect=422).get_data(as_text=True)
    owner.post(f"{page}/hold", {"reason": "Ask the buyer"}, on=page)
    assert listed(owner.get(f"{root(shop)}?state=held")) == ["#held", "#pending"]
    owner.post(f"{page}/attribution", {"sharer": "shr_2", "reason": "All well"})
    assert listed(owner.get(f"{root(shop)}?state=pending")) == ["#pending"]
    owner.send(f"{root(shop)}/paid/hold", {"reason": "x", "_form": owner.token(page)}, expect=409)


def test_no_order_of_another_shop_is_seen_or_given(shop: Shop, owner: Browser, world: World) -> None:
    other = world.shop(url="https://other.example.com")
    owner.get(f"{root(other)}/paid", expect=404)
    owner.get(f"{root(other)}/paid/attribution", expect=404)
    foreign = other.sharer("dora")
    answer = owner.post(f"{root(shop)}/none/attribution", {"sharer": foreign, "reason": "x"}, expect=422)
    assert "There is no such sharer" in answer.get_data(as_text=True)


def test_the_orders_of_a_sharer_are_listed_page_by_page(world: World, shop: Shop, owner: Browser) -> None:
    alice, head = "shr_2", "shr_1"
    own = ["#expected", "#reversed", "#held", "#pending", "#payable", "#paid"]
    page = owner.get(f"{root(shop)}?sharer={alice}")
    assert listed(page) == own and "Only the orders of alice." in page
    assert f"/{shop.key}/orders?sharer={alice}" in owner.get(f"/admin/{shop.key}/sharers/{alice}")
    assert listed(owner.get(f"{root(shop)}?sharer={alice}&state=held")) == ["#held"]
    assert listed(owner.get(f"{root(shop)}?sharer={alice}&q=none")) == []
    empty = owner.get(f"{root(shop)}?sharer={head}")  # who invited her gets none of them
    assert listed(empty) == [] and "No order fits" in empty
    found, following = [], ""
    while following is not None:
        path = f"/orders?shop={shop.key}&sharer={alice}&limit=2{following and f'&cursor={following}'}"
        said = world.call("GET", path, expect=200)
        found, following = found + [one["number"] for one in said["items"]], said["next"]
    assert found == own
    body = {"shop": shop.key, "sharer": head, "reason": "it was hers"}
    world.call("POST", "/orders/paid/attribution", body, expect=200)
    assert "Counted are the orders up to" in owner.get(f"{root(shop)}?sharer={head}")
    world.work()
    page = owner.get(f"{root(shop)}?sharer={head}")
    assert listed(page) == ["#paid"] and "Counted are" not in page


def test_nobody_s_orders_and_another_shop_s_sharers_are_not_there(world: World, shop: Shop, owner: Browser) -> None:
    other = world.shop(url="https://other.example.com")
    theirs = other.sharer("zoe")
    for name in (theirs, "shr_99", "x", "shr_0", "shr_" + "9" * 30):
        owner.get(f"{root(shop)}?sharer={name}", expect=404)
        world.call("GET", f"/orders?shop={shop.key}&sharer={name}", expect=404)


def test_the_orders_of_a_sharer_with_many_are_pages(world: World, shop: Shop, owner: Browser) -> None:
    for number in range(60):
        shop.deliver(shop.order(f"m{number}", codes=["A"]))
    world.work()
    page = owner.get(f"{root(shop)}?sharer=shr_2")
    assert len(listed(page)) == 50
    following = unescape(page.split('<p class="row"><a class="button" href="')[1].partition('"')[0])
    assert "sharer=shr_2" in following
    assert len(set(listed(page)) | set(listed(owner.get(following)))) == 66


def test_what_stands_beside_a_word_follows_the_marks_of_the_language(world: World, shop: Shop) -> None:
    path = f"/admin/{shop.key}/orders/pending"
    assert "Recommended it: " in text_of(member(world).get(path))
    page = text_of(member(world, language="zh-TW").get(path))
    assert "分享的人：" in page and "訂單賺得：US$10.00" in page and "就會入帳。2026年" in page
