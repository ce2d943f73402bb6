"""The plan as forms: what is typed is what is saved, what cannot be read is said at its field, nothing saves early."""

import re
from html import unescape
from typing import Any

import pytest

from tests.admin_ui.office import Office, plain
from tests.world import Shop, World

WHOLE: dict[str, Any] = {
    "attribution": {
        "window_days": 45,
        "model": "first",
        "priority": ["link", "manual", "coupon"],
        "new_customers_only": True,
        "self_purchase": "hold",
        "binding": {
            "mode": "latest",
            "valid_days": 90,
            "protected_days": 7,
            "max_orders": 3,
            "extend_on_order": True,
        },
    },
    "commission": {
        "include_tax": True,
        "include_shipping": True,
        "rules": [
            {
                "id": "shoes, red",
                "when": {
                    "products": ["p1", "p, 2"],
                    "collections": ["shoes"],
                    "skus": ["S"],
                    "groups": ["vip"],
                    "channels": ["line"],
                    "campaigns": ["1111"],
                    "customer": "new",
                    "from": "2026-11-01T00:00:00Z",
                    "until": "2026-12-01T00:30:15Z",
                },
                "pay": {"percent": "12.5"},
            },
            {"id": "gift", "when": {"skus": ["G"]}, "pay": {"per_item": {"USD": "5.00", "TWD": "150"}}},
            {"id": "big", "when": {}, "pay": {"per_order": {"KWD": "1.250"}}},
            {"id": "none", "when": {}, "pay": {"none": True}},
        ],
        "default": {"percent": "8"},
        "order_cap": {"USD": "50.00"},
    },
    "upline": {"percents": ["2"]},
    "buyer": {"cashback_percent": "3.5"},
    "hold_days": 14,
    "payout": {"minimum": {"USD": "20.00", "TWD": "600"}},
}


def typed(page: str) -> dict[str, str]:
    """Return the fields of the plan's form as a browser would send them, without any button."""
    form = page[page.index('name="version"') - 200 : page.rindex("</form>")]
    fields: dict[str, str] = {}
    for tag in re.findall(r"<input\b[^>]*>", form):
        given = dict(re.findall(r'([\w-]+)="([^"]*)"', tag))
        if given.get("type") == "checkbox" and "checked" not in tag:
            continue
        if "name" in given and given["name"] != "_form":
            fields[unescape(given["name"])] = unescape(given.get("value", ""))
    for name, body in re.findall(r'<textarea[^>]* name="([^"]+)"[^>]*>(.*?)</textarea>', form, re.DOTALL):
        fields[name] = unescape(body)
    for name, body in re.findall(r'<select[^>]* name="([^"]+)"[^>]*>(.*?)</select>', form, re.DOTALL):
        values = re.findall(r'<option value="([^"]*)"( selected)?', body)
        fields[name] = next((value for value, chosen in values if chosen), values[0][0])
    return fields


def current(shop: Shop) -> Any:
    """Return the plan in force, as the API shows it."""
    return shop.world.call("GET", f"/shops/{shop.key}/plan", expect=200)


def test_a_plan_goes_through_the_form_unchanged(world: World) -> None:
    shop = world.shop(timezone="Asia/Taipei")
    shop.plan(WHOLE, since=None)
    before = current(shop)
    office = Office(world, "manager")
    fields = typed(office.see(f"/{shop.key}/plan"))
    page = office.follow(office.send(f"/{shop.key}/plan", fields | {"do": "save"}))
    assert "Orders placed from then on are reckoned by it." in plain(page)
    after = current(shop)
    assert after.pop("version") == before.pop("version") + 1
    before.pop("in_force_from"), after.pop("in_force_from")
    assert after == before


def test_rules_are_added_moved_and_removed_with_nothing_saved(world: World) -> None:
    shop = world.shop()
    shop.plan(WHOLE, since=None)
    before, office, path = current(shop), Office(world, "manager"), f"/{shop.key}/plan"

    def press(fields: dict[str, str], button: str) -> dict[str, str]:
        page = office.send(path, fields | {"do": button}, expect=200).get_data(as_text=True)
        return typed(page)

    fields = typed(office.see(path)) | {"hold_days": "99 bottles"}
    fields = press(fields, "add")
    assert (fields["rules"], fields["rule-4-id"], fields["hold_days"]) == ("5", "rule-1", "99 bottles")
    fields = press(fields, "up-1")
    assert (fields["rule-0-id"], fields["rule-1-id"]) == ("gift", "shoes, red")
    fields = press(fields, "down-0")
    assert (fields["rule-0-id"], fields["rule-0-products"]) == ("shoes, red", "p1\np, 2")
    fields = press(fields, "remove-0")
    assert (fields["rules"], fields["rule-0-id"], fields["rule-0-amounts"]) == ("4", "gift", "TWD 150, USD 5.00")
    for nothing in ("remove-77", "up-0", "show", ""):
        fields = press({**fields, "hold_days": "14"}, nothing)
        assert fields["rules"] == "4"
    assert current(shop) == before


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("window_days", "a month", "Write a whole number of days."),
        ("hold_days", "-1", "Write a whole number of days."),
        ("hold_days", "3651", "Write a whole number of days."),
        ("upline", "101", "Write a percentage from 0 to 100"),
        ("cashback", "1.23456", "Write a percentage from 0 to 100"),
        ("cap", "fifty", "Write the currency and the amount"),
        ("cap", "XXX 5", "Write the currency and the amount"),
        ("minimum", "USD 5 TWD 6", "Write the currency and the amount"),
        ("default-percent", "", "Write what it pays"),
        ("default-form", "free", "Write what it pays"),
        ("rule-0-id", "gift", ""),
        ("rule-1-amounts", "", "Write what it pays"),
        ("rule-0-products", "x" * 256, "Write one on each line"),
        ("rule-0-from", "tomorrow", "Write a day and a time."),
        ("rule-0-customer", "nice", "Choose one of these."),
        ("priority-1", "link", "Name each kind once."),
        ("model", "best", "Choose one of these."),
        ("max_orders", "9999999999", "Write a whole number."),
        ("since", "2099-01-01T00:00", "It must not lie in the future."),
        ("since", "soon", "Write a day and a time."),
    ],
)
def test_what_cannot_be_read_is_said_at_its_field_and_nothing_is_lost(
    world: World, field: str, value: str, sentence: str
) -> None:
    shop = world.shop()
    shop.plan(WHOLE, since=None)
    before, office = current(shop), Office(world, "manager")
    fields = typed(office.see(f"/{shop.key}/plan")) | {field: value, "do": "save"}
    page = office.send(f"/{shop.key}/plan", fields, expect=422).get_data(as_text=True)
    assert sentence in plain(page)
    if field not in ("model", "default-form", "rule-0-customer"):
        assert typed(page)[field] == value
    assert current(shop) == before


def test_past_orders_are_reckoned_before_anything_is_saved(world: World) -> None:
    shop = world.shop()
    shop.plan()
    shop.sharer("alice", codes=["ALICE"])
    world.stop_clock("2026-11-22T10:00:00Z")
    shop.told(shop.order("o1", codes=["ALICE"]))
    office = Office(world, "manager")
    fields = typed(office.see(f"/{shop.key}/plan"))
    fields |= {"default-percent": "20", "do": "what-if", "period": "30"}
    page = plain(office.send(f"/{shop.key}/plan", fields, expect=200).get_data(as_text=True))
    assert "now $10.00, then $20.00" in page and "1 order would come out otherwise" in page and "o1" in page
    assert "the sharer earns $20.00" in page
    assert current(shop)["commission"]["default"] == {"percent": "10"}
    taken = office.send(f"/{shop.key}/plan", fields | {"do": "save", "since": "2026-11-01T00:00"}, expect=422)
    assert "is already decided" in plain(taken.get_data(as_text=True))


def test_what_somebody_else_changed_meanwhile_is_not_overwritten(world: World) -> None:
    shop = world.shop()
    shop.plan()
    office = Office(world, "manager")
    fields = typed(office.see(f"/{shop.key}/plan")) | {"hold_days": "7", "do": "save"}
    shop.plan({"hold_days": 60, "commission": {"default": {"percent": "10"}}}, since=None)
    page = office.send(f"/{shop.key}/plan", fields, expect=422).get_data(as_text=True)
    assert "Somebody changed the plan meanwhile." in plain(page) and current(shop)["hold_days"] == 60
    office.send(f"/{shop.key}/plan", typed(page) | {"do": "save"})
    assert current(shop)["hold_days"] == 7


def test_versions_say_what_changed(world: World) -> None:
    shop = world.shop()
    shop.plan(since=None)
    shop.plan(WHOLE, since=None)
    page = plain(Office(world, "viewer").see(f"/{shop.key}/plan/versions"))
    assert "Everything else pays: nothing → 10%" in page
    assert "Hold in days: 30 → 14" in page and "Of several touches: The last touch wins → The first touch wins" in page
    assert "Rule “gift” is new and pays NT$150, $5.00 per item" in page
    assert "Least amount to pay out: none → NT$600, $20.00" in page


def test_the_example_is_reckoned_by_the_plan_s_own_rules(world: World) -> None:
    shop = world.shop(currency="TWD")
    office, path = Office(world, "viewer"), f"/{shop.key}/plan"
    fields = typed(office.see(path)) | {"default-form": "percent", "default-percent": "12.55", "upline": "2"}
    page = plain(office.send(f"{path}/example", fields, expect=200).get_data(as_text=True))
    assert "A friend buys for NT$1,000: the sharer earns NT$126." in page and "earns NT$20." in page
    capped = plain(office.send(f"{path}/example", fields | {"cap": "TWD 100"}, expect=200).get_data(as_text=True))
    assert "the sharer earns NT$100." in capped
    wrong = office.send(f"{path}/example", fields | {"hold_days": "x"}, expect=200).get_data(as_text=True)
    assert "an example stands here" in wrong


def test_who_may_change_the_plan(world: World) -> None:
    shop = world.shop()
    for role in ("viewer", "payer"):
        office = Office(world, role)
        page = office.see(f"/{shop.key}/plan")
        assert "Save as a new version" not in page and "but not change it" in plain(page)
        office.send(f"/{shop.key}/plan", typed(page) | {"do": "save"}, expect=403)
