"""The set-up guide: the reward and its example, the payout way, invitations, and putting the guide away."""

import re

import pytest

from tests.admin_ui.desk import Browser, member
from tests.world import Clock, Shop, World


@pytest.fixture
def shop(world: World, clock: Clock) -> Shop:
    """Give a shop without a plan; the clock stands."""
    return world.shop(currency="USD")


@pytest.fixture
def manager(world: World, shop: Shop) -> Browser:
    """Give the browser of a manager."""
    return member(world, "manager")


def plan(world: World, shop: Shop) -> dict[str, object]:
    """Return the plan in force."""
    found: dict[str, object] = world.call("GET", f"/shops/{shop.key}/plan", expect=200)
    return found


def done(browser: Browser, shop: Shop) -> list[bool]:
    """Return which of the guide's five steps are done."""
    page = browser.get(f"/admin/{shop.key}/")
    guide = page.partition('aria-labelledby="guide-title"')[2].partition("</section>")[0]
    return ["done" in tag for tag in re.findall(r"<li( class=\"done\")?>", guide)]


# --- the reward -----------------------------------------------------------------------------------------------------


def test_the_reward_is_a_version_of_the_plan_that_keeps_its_rules(world: World, shop: Shop, manager: Browser) -> None:
    rules = [{"id": "shoes", "when": {"collections": ["shoes"]}, "pay": {"percent": "20"}}]
    shop.plan({"commission": {"rules": rules}, "attribution": {"window_days": 7}}, since=None)
    before = plan(world, shop)
    form = {"percent": "12,5 %", "cashback": "3", "hold_days": "14"}
    manager.post(f"/admin/{shop.key}/reward", form)
    after = plan(world, shop)
    assert after["version"] == before["version"] + 1  # type: ignore[operator]
    assert after["hold_days"] == 14 and after["buyer"] == {"cashback_percent": "3"}
    assert after["commission"] == before["commission"] | {"default": {"percent": "12.5"}}  # type: ignore[operator]
    assert after["attribution"] == before["attribution"]
    manager.post(f"/admin/{shop.key}/reward", form)
    assert plan(world, shop)["version"] == after["version"], "the same again is no new version"


@pytest.mark.parametrize(
    ("form", "field"),
    [
        ({"percent": "a lot", "cashback": "0", "hold_days": "30"}, "percent"),
        ({"percent": "101", "cashback": "0", "hold_days": "30"}, "percent"),
        ({"percent": "10", "cashback": "-1", "hold_days": "30"}, "cashback"),
        ({"percent": "60", "cashback": "50", "hold_days": "30"}, "cashback"),
        ({"percent": "10", "cashback": "0", "hold_days": "1.5"}, "hold_days"),
        ({"percent": "10", "cashback": "0", "hold_days": "９"}, "hold_days"),
        ({"percent": "10", "cashback": "0", "hold_days": "999999999999"}, "hold_days"),
    ],
)
def test_a_wrong_reward_is_said_at_its_field_and_changes_nothing(
    world: World, shop: Shop, manager: Browser, form: dict[str, str], field: str
) -> None:
    page = manager.post(f"/admin/{shop.key}/reward", form, expect=422).get_data(as_text=True)
    assert f'id="{field}-error"' in page
    assert f'value="{form["percent"]}"' in page, "what was typed is lost"
    assert plan(world, shop)["version"] == 1


def test_the_example_reckons_with_an_order_of_a_hundred_until_there_are_orders(
    world: World, shop: Shop, manager: Browser
) -> None:
    path = f"/admin/{shop.key}/reward/example?percent=12.5&cashback=3&hold_days=14"
    page = manager.get(path, HX_Request="true")
    assert [part in page for part in ("An order, for example", "$100.00", "−$12.50", "−$3.00", "$84.50")] == [True] * 5
    shop.plan()
    link = shop.link(shop.sharer())
    placed = {"placed_at": "2026-11-20T10:00:00Z", "attributes": {"_pa": link["code"]}}
    for ref, amount in (("a", "40.00"), ("b", "60.00")):
        lines = [{"id": "l1", "product_id": "p1", "quantity": 1, "amount": amount}]
        shop.told(shop.order(ref, **placed, lines=lines))
    page = manager.get(path, HX_Request="true")
    assert "Your average order" in page and "$50.00" in page and "−$6.25" in page
    assert "appears here" in manager.get(path.replace("12.5", "x"), HX_Request="true")
    manager.get(path, expect=303)


# --- paying out -----------------------------------------------------------------------------------------------------


def test_paying_out_can_wait_or_has_a_day_and_a_minimum(world: World, shop: Shop, manager: Browser) -> None:
    path = f"/admin/{shop.key}/payout-habit"
    manager.post(path, {"habit": "later"})
    assert done(manager, shop)[2] and plan(world, shop)["version"] == 1
    manager.post(path, {"habit": "monthly", "minimum": "20", "day": "7"})
    assert plan(world, shop)["payout"] == {"minimum": {"USD": "20"}}
    assert 'value="7"' in manager.get(path)
    for form, field in (({"minimum": "20", "day": "31"}, "day"), ({"minimum": "much", "day": "7"}, "minimum")):
        page = manager.post(path, {"habit": "monthly", **form}, expect=422).get_data(as_text=True)
        assert f'id="{field}-error"' in page
    assert plan(world, shop)["payout"] == {"minimum": {"USD": "20"}}


# --- inviting -------------------------------------------------------------------------------------------------------


def test_who_is_invited_is_an_approved_sharer_with_a_link_that_works(
    world: World, shop: Shop, manager: Browser, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    path = f"/admin/{shop.key}/invite"
    written = "Mei <mei@example.org>\n bob@example.org, " '"<script>alert(1)</script>" <eve@example.org>'
    manager.post(path, {"addresses": written})
    page = manager.get(path)
    assert "Mei" in page and "bob@example.org" in page and "<script>alert(1)" not in page
    codes = re.findall(r"/s/([A-Za-z0-9_-]+)<", page)
    assert len(codes) == 3 and len(set(codes)) == 3
    for code in codes:
        assert shop.click({"code": code})
    sharers = world.call("GET", f"/sharers?shop={shop.key}", expect=200)["items"]
    assert [one["status"] for one in sharers] == ["approved"] * 3
    world.work()
    mails = [one.getMessage() for one in caplog.records if "invites you to recommend it" in one.getMessage()]
    assert len(mails) == 3 and sum("mei@example.org" in mail for mail in mails) == 1
    manager.post(path, {"addresses": "MEI@example.org"})
    assert len(world.call("GET", f"/sharers?shop={shop.key}", expect=200)["items"]) == 3


@pytest.mark.parametrize("written", ["", " , ;\n", "mei@example.org, nobody", "a b@example.org", "@", "x@y\x00"])
def test_where_one_address_is_none_nobody_is_invited(world: World, shop: Shop, manager: Browser, written: str) -> None:
    page = manager.post(f"/admin/{shop.key}/invite", {"addresses": written}, expect=422).get_data(as_text=True)
    assert 'id="addresses-error"' in page
    assert world.call("GET", f"/sharers?shop={shop.key}", expect=200)["items"] == []


def test_more_than_a_hundred_at_once_are_refused(world: World, shop: Shop, manager: Browser) -> None:
    many = "\n".join(f"p{number}@example.org" for number in range(101))
    manager.post(f"/admin/{shop.key}/invite", {"addresses": many}, expect=422)


def test_who_may_join_is_kept(world: World, shop: Shop, manager: Browser) -> None:
    path = f"/admin/{shop.key}/invite"
    assert "For every buyer" not in manager.get(path)
    manager.post(f"{path}/join", {"join_mode": "open"}, on=path)
    page = manager.get(path)
    assert "For every buyer" in page and f"/join/{shop.key}&#34;&gt;Share and earn&lt;/a&gt;" in page
    theirs = member(world, "manager", language="zh-TW").get(path)
    assert f"/join/{shop.key}&#34;&gt;分享賺佣金&lt;/a&gt;" in theirs  # in the language of whoever puts it there
    manager.post(f"{path}/join", {"join_mode": "anyone"}, on=path, expect=422)


# --- the guide ------------------------------------------------------------------------------------------------------


def test_the_guide_follows_what_is_done_and_can_be_put_away(world: World, shop: Shop, manager: Browser) -> None:
    assert done(manager, shop) == [False] * 5
    manager.post(f"/admin/{shop.key}/reward", {"percent": "10", "cashback": "0", "hold_days": "30"})
    shop.sharer()
    shop.told(shop.order())
    assert done(manager, shop) == [True, True, False, True, False]
    home = f"/admin/{shop.key}/"
    manager.post(f"/admin/{shop.key}/guide", {"away": "yes"}, on=home)
    assert "guide-title" not in manager.get(home)
    manager.post(f"/admin/{shop.key}/guide", {"away": "no"}, on=home)
    assert "guide-title" in manager.get(home)
    assert "guide-title" not in member(world, "viewer").get(home)


def test_who_may_not_manage_changes_nothing(world: World, shop: Shop) -> None:
    for role in ("viewer", "payer"):
        browser = member(world, role)
        token = browser.token("/admin/account")
        for page in ("reward", "payout-habit", "invite", "try"):
            browser.get(f"/admin/{shop.key}/{page}", expect=403)
            browser.send(f"/admin/{shop.key}/{page}", {"_form": token}, expect=403)
