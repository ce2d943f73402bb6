"""Deliveries on the owner's pages: the log, what each said, and reading them once more."""

import pytest

from plugin.errors import Malformed
from tests.admin_ui.desk import Browser, member
from tests.admin_ui.test_orders import listed
from tests.admin_ui.test_sharers import text_of
from tests.world import Shop, World


@pytest.fixture
def shop(world: World) -> Shop:
    """Give a shop whose first delivery is understood and whose second is not."""
    world.stop_clock("2026-11-22T10:00:00Z")
    shop = world.shop(name="Tea House")
    shop.plan()
    shop.told(shop.order("1001", customer={"id": "c1", "email": "buyer@example.org", "orders_before": 0}))
    body = b'{"type": "order", "data": {"id": "<script>alert(1)</script>"}}'
    shop.post(body, shop.signed(body))
    world.work()
    return shop


def root(shop: Shop) -> str:
    return f"/admin/{shop.key}/deliveries"


def test_the_log_shows_what_became_of_each(shop: Shop, owner: Browser) -> None:
    page = owner.get(root(shop))
    assert len(listed(page)) == 2 and "In quarantine" in page and "Done" in page
    assert len(listed(owner.get(f"{root(shop)}?state=quarantined"))) == 1
    assert len(listed(owner.get(f"{root(shop)}?state=nonsense"))) == 2
    assert "No delivery is in this state" in owner.get(f"{root(shop)}?state=waiting")


def test_a_delivery_is_opened_for_owners_alone(shop: Shop, owner: Browser, world: World) -> None:
    page = owner.get(f"{root(shop)}/dlv_1")
    assert "buyer@example.org" in page and "webhook-signature" in page
    assert "&lt;script&gt;alert(1)" in owner.get(f"{root(shop)}/dlv_2")
    for role in ("manager", "viewer", "payer"):
        assert "buyer@example.org" not in member(world, role).get(f"{root(shop)}/dlv_1")
    owner.get(f"{root(shop)}/dlv_99", expect=404)
    owner.get(f"{root(world.shop(url='https://other.example.com'))}/dlv_1", expect=404)


def test_a_long_body_is_cut(shop: Shop, owner: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("plugin.services.see_deliveries.SHOWN_MAX", 40)
    page = owner.get(f"{root(shop)}/dlv_1")
    assert "It is longer than what is shown here." in page and "buyer@example.org" not in page


def test_an_erased_body_is_said_to_be_gone(shop: Shop, owner: Browser, world: World) -> None:
    world.command("erase", "--email", "buyer@example.org")
    page = owner.get(f"{root(shop)}/dlv_1")
    assert "Its body was erased" in page and "Read it once more" not in page


def test_what_is_in_quarantine_is_read_once_more(
    shop: Shop, owner: Browser, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = shop.order("1002")
    with monkeypatch.context() as broken:
        broken.setattr("plugin.shops.generic.Generic.parse", _fail)
        shop.deliver(order)
        world.work()
    assert len(listed(owner.get(f"{root(shop)}?state=quarantined"))) == 2
    form = f"{root(shop)}?state=quarantined"
    page = owner.get(owner.post(f"{root(shop)}/replay", {}, on=form).headers["Location"])
    assert "Read once more." in text_of(page) and len(listed(page)) == 1
    assert shop.see("1002")["id"] == "1002"
    answer = owner.post(f"{root(shop)}/replay", {"delivery": "dlv_2"}, on=f"{root(shop)}/dlv_2")
    assert "In quarantine" in owner.get(answer.headers["Location"])


def _fail(*_args: object, **_options: object) -> None:
    raise Malformed("Broken on purpose.")


def test_another_shops_delivery_is_not_replayed(shop: Shop, owner: Browser, world: World) -> None:
    other = world.shop(url="https://other.example.com")
    form = {"delivery": "dlv_2", "_form": owner.token(f"{root(shop)}/dlv_2")}
    owner.send(f"{root(other)}/replay", form, expect=404)
