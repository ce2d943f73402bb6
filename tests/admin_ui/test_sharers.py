"""Sharers on the owner's pages: the list and what it counts, changes of many, one sharer with links, codes, money."""

import csv
import io
import re
from html import unescape
from typing import Any

import pytest
from sqlalchemy import select

from plugin.models import note, person
from tests.admin_ui.desk import Browser, member
from tests.world import LONG_AGO, Shop, World

TAGS = re.compile(r"<[^>]+>|\s+")


def text_of(page: str) -> str:
    """Return what is read on a page, on one line."""
    return unescape(re.sub(r" +", " ", TAGS.sub(" ", page)))


def names(page: str) -> list[str]:
    """Return who is listed, in order."""
    return [unescape(one) for one in re.findall(r'<th scope="row"><a href="[^"]*">([^<]*)</a>', page)]


def three_sharers(world: World) -> Shop:
    """Make a shop with three sharers, one of whom waits; Alice brought an order of 100.00 by a click."""
    world.stop_clock("2026-11-01T09:59:00Z")  # a click that came after its order would not count
    shop = world.shop(name="Tea House")
    shop.plan()
    alice = shop.sharer("alice", codes=["ALICE10"], group="guides")
    shop.sharer("bob", status="pending")
    shop.sharer("王小明", email="carol@example.org")
    token = shop.click(shop.link(alice))
    shop.told(shop.order("1001", attributes={"_pa": token}))
    return shop


pytestmark = pytest.mark.past(made_by=three_sharers)


def root(shop: Shop) -> str:
    return f"/admin/{shop.key}"


# --- the list ---------------------------------------------------------------------------------------------------------


def test_the_list_says_what_came_of_each(shop: Shop, owner: Browser, world: World) -> None:
    world.work()
    page = owner.get(f"{root(shop)}/sharers")
    assert names(page) == ["王小明", "bob", "alice"]
    row = text_of(page[page.index(">alice<") :])
    assert "Approved guides" in row and "$100.00" in row and "$10.00" in row
    assert "Waiting for approval" in text_of(page)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("q=ALICE10", ["alice"]),
        ("q=alice10", ["alice"]),
        ("q=bob@example.org", ["bob"]),
        ("q=小明", ["王小明"]),
        ("q=CARO", ["王小明"]),
        ("q=%25", []),
        ("q=shr_2", ["bob"]),
        ("q=shr_999999999999999999", []),
        ("status=pending", ["bob"]),
        ("group=guides", ["alice"]),
        ("status=pending&group=guides", []),
        ("status=nothing", ["王小明", "bob", "alice"]),
    ],
)
def test_sharers_are_found_by_what_is_remembered(shop: Shop, owner: Browser, query: str, found: list[str]) -> None:
    assert names(owner.get(f"{root(shop)}/sharers?{query}")) == found


def test_a_long_list_goes_on_where_it_ended(shop: Shop, owner: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("admin_ui.owner.sharers.PAGE", 2)
    first = owner.get(f"{root(shop)}/sharers")
    following = re.search(r'href="([^"]*after=[^"]*)"', first)
    assert following and names(first) == ["王小明", "bob"]
    assert names(owner.get(unescape(following[1]))) == ["alice"]


def test_many_are_changed_at_once_and_the_others_are_named(shop: Shop, owner: Browser, world: World) -> None:
    ids = ["shr_1", "shr_2", "shr_77"]
    form = {"id": ids, "action": "suspend"}
    answer = owner.post(f"{root(shop)}/sharers/change", form, on=f"{root(shop)}/sharers")
    page = text_of(owner.get(answer.headers["Location"]))
    assert "2 sharers were changed." in page and "shr_77" in page
    assert [world.call("GET", f"/sharers/{name}")["status"] for name in ids[:2]] == ["suspended"] * 2
    assert names(owner.get(f"{root(shop)}/sharers?status=suspended")) == ["bob", "alice"]
    form = {"id": ["shr_2"], "action": "group", "group_name": "new"}
    owner.post(f"{root(shop)}/sharers/change", form, on=f"{root(shop)}/sharers")
    assert world.call("GET", "/sharers/shr_2")["group"] == "new"
    assert names(owner.get(f"{root(shop)}/sharers?group=new")) == ["bob"]
    owner.post(f"{root(shop)}/sharers/change", {"action": "explode"}, on=f"{root(shop)}/sharers", expect=422)


def test_another_shops_sharers_are_not_changed(shop: Shop, owner: Browser, world: World) -> None:
    other = world.shop(url="https://other.example.com")
    theirs = other.sharer("dora")
    form = {"id": [theirs], "action": "suspend"}
    answer = owner.post(f"{root(shop)}/sharers/change", form, on=f"{root(shop)}/sharers")
    assert "changed=0" in answer.headers["Location"]
    assert world.call("GET", f"/sharers/{theirs}")["status"] == "approved"
    owner.get(f"{root(shop)}/sharers/{theirs}", expect=404)


def test_the_file_holds_the_same_and_no_formula(shop: Shop, owner: Browser) -> None:
    shop.sharer('=HYPERLINK("http://evil.example")', email="evil@example.org", group="@SUM(A1)")
    response = owner.client.get(f"{root(shop)}/sharers.csv")
    assert response.data.startswith(b"\xef\xbb\xbf") and response.content_type.startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(response.data.decode("utf-8-sig"))))
    assert [row["name"] for row in rows] == ["'=HYPERLINK(\"http://evil.example\")", "王小明", "bob", "alice"]
    assert rows[0]["group"] == "'@SUM(A1)"
    assert (rows[-1]["sales"], rows[-1]["commission"], rows[-1]["currency"]) == ("100.00", "10.00", "USD")


# --- one sharer -------------------------------------------------------------------------------------------------------


def test_a_sharers_balances_add_up_and_the_statement_says_why(shop: Shop, owner: Browser) -> None:
    page = text_of(owner.get(f"{root(shop)}/sharers/shr_1"))
    assert "On the way $10.00" in page and "Earned in all $10.00" in page
    statement = text_of(owner.get(f"{root(shop)}/sharers/shr_1/statement"))
    assert "Earned by the order The order earned it. It waits until the return period is over." in statement
    assert "1001" in statement


def test_what_was_paid_stands_on_the_statement(shop: Shop, owner: Browser, world: World) -> None:
    world.release()
    shop.pay()
    page = text_of(owner.get(f"{root(shop)}/sharers/shr_1/statement"))
    assert "Paid bank 1 $10.00" in page and "Earned in all $10.00" in page


def post(owner: Browser, shop: Shop, action: str, form: Any, *, sharer: str = "shr_1", expect: int = 303) -> str:
    """Send a form of the sharer's page; return the page that is then seen."""
    page = f"{root(shop)}/sharers/{sharer}"
    answer = owner.post(f"{page}/{action}", form, on=page, expect=expect)
    return answer.get_data(as_text=True) if expect != 303 else owner.get(answer.headers["Location"])


def test_status_and_group_change_with_a_reason_that_stays(shop: Shop, owner: Browser, world: World) -> None:
    page = post(owner, shop, "standing", {"status": "suspended", "group": "", "reason": "Spams <b>friends</b>"})
    assert "Suspended" in text_of(page) and "Spams &lt;b&gt;friends" in page
    seen = world.call("GET", "/sharers/shr_1")
    assert (seen["status"], seen["group"]) == ("suspended", None)
    assert "Must be one of" in text_of(post(owner, shop, "standing", {"status": "king"}, expect=422))


def test_a_link_is_made_to_the_own_shop_only(shop: Shop, owner: Browser, world: World) -> None:
    page = post(owner, shop, "links", {"url": "https://shop.example.com/p/1", "channel": "LINE"})
    code = re.search(r"/s/([A-Za-z0-9_-]+)</code>", page)
    assert code and world.client.get(f"/s/{code[1]}").headers["Location"].startswith("https://shop.example.com/p/1")
    wrong = post(owner, shop, "links", {"url": "https://evil.example/"}, expect=422)
    assert "It must be an address of your own shop." in text_of(wrong) and "https://evil.example/" in wrong


def test_codes_are_given_and_taken(shop: Shop, owner: Browser, world: World) -> None:
    post(owner, shop, "codes", {"code": "SPRING"})
    assert world.call("GET", "/sharers/shr_1")["codes"] == ["ALICE10", "SPRING"]
    assert "another sharer's" in text_of(post(owner, shop, "codes", {"code": "spring"}, sharer="shr_3", expect=422))
    assert "Write a code" in text_of(post(owner, shop, "codes", {"code": " "}, expect=422))
    post(owner, shop, "codes/end", {"code": "ALICE10"})
    assert world.call("GET", "/sharers/shr_1")["codes"] == ["SPRING"]


def test_notes_are_kept_and_only_seen_by_the_shop(shop: Shop, owner: Browser) -> None:
    page = post(owner, shop, "notes", {"text": "Met at the fair <script>"})
    assert "Met at the fair &lt;script&gt;" in page
    assert "one to two thousand" in text_of(post(owner, shop, "notes", {"text": "  "}, expect=422))


def test_a_viewer_changes_nothing(shop: Shop, world: World) -> None:
    viewer = member(world, "viewer")
    page = viewer.get(f"{root(shop)}/sharers/shr_1")
    assert "Keep the note" not in page and "Erase this person" not in page
    token = viewer.token("/admin/account")
    for action in ("standing", "notes", "links", "codes", "codes/end", "erase"):
        viewer.send(f"{root(shop)}/sharers/shr_1/{action}", {"_form": token, "text": "x"}, expect=403)


def test_erasing_takes_the_typed_word_and_leaves_the_amounts(shop: Shop, owner: Browser, world: World) -> None:
    post(owner, shop, "notes", {"text": "Lives in Tainan"})
    erase = f"{root(shop)}/sharers/shr_1/erase"
    assert "Type the word" in text_of(owner.post(erase, {"word": "yes"}, expect=422).get_data(as_text=True))
    answer = owner.post(erase, {"word": "erase"})
    page = text_of(owner.get(answer.headers["Location"]))
    assert "alice" not in page and "Tainan" not in page and "Earned in all $10.00" in page
    with world.context.database.reading() as connection:
        row = connection.execute(select(person).where(person.c.id == 1)).one()
        assert (row.name, row.email) == (None, None) and connection.execute(select(note)).all() == []
    world.books()


def test_who_was_enrolled_long_ago_stands_as_the_newest_fact_says(shop: Shop, owner: Browser, world: World) -> None:
    made = shop.sharer("dora", since=LONG_AGO, status="pending")
    world.call("PATCH", f"/sharers/{made}", {"status": "approved", "group": "g"}, expect=200)
    world.call("PATCH", f"/sharers/{made}", {"group": None}, expect=200)
    page = owner.get(f"{root(shop)}/sharers?q=dora")
    assert "Approved" in page and names(owner.get(f"{root(shop)}/sharers?group=g")) == []
