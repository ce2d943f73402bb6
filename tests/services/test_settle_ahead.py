"""Orders are worked out before their shop's record is taken; what is written meanwhile counts none the less."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from plugin.services import process_inbox, settle_order
from plugin.services.process_inbox import drain
from tests.world import PLACED, Shop, World

Meanwhile = Callable[[Callable[[], Any]], None]


@pytest.fixture
def shop(world: World) -> Shop:
    """Give a shop that pays ten percent, without a sharer."""
    shop = world.shop()
    shop.plan()
    return shop


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Meanwhile:
    """Have something happen once, after a worker has worked its orders out and before it takes the record."""

    def arrange(happens: Callable[[], Any]) -> None:
        foresee = process_inbox.foresee

        def then(*args: Any) -> Any:
            foreseen = foresee(*args)
            assert foreseen is not None and foreseen.drawn
            monkeypatch.setattr(process_inbox, "foresee", foresee)
            happens()
            return foreseen

        monkeypatch.setattr(process_inbox, "foresee", then)

    return arrange


@pytest.fixture
def drawn_late(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Give the list of the orders that are worked out while the record is held."""
    refs: list[str] = []
    draw_now = settle_order._draw_now

    def note(recorder: Any, works: Any) -> Any:
        refs.extend(work.ref for work in works)
        return draw_now(recorder, works)

    monkeypatch.setattr(settle_order, "_draw_now", note)
    return refs


def with_token(shop: Shop, token: str, **changes: Any) -> dict[str, Any]:
    """Return an order that a click led to."""
    return shop.order(attributes={"pa": token}, **changes)


def earned(world: World, shop: Shop, order: dict[str, Any]) -> list[tuple[str, str]]:
    """Return who earns what by the order, after the books were checked."""
    world.books()
    return [(one["sharer"], one["amount"]) for one in shop.see(order["id"])["commissions"]]


def test_new_orders_are_worked_out_before_the_record_is_taken(
    world: World, shop: Shop, drawn_late: list[str]
) -> None:
    alice = shop.sharer()
    orders = [with_token(shop, shop.link(alice)["code"]) for _ in range(3)]
    for order in orders:
        shop.deliver(order)
    world.work()
    assert drawn_late == []
    assert [earned(world, shop, order) for order in orders] == [[(alice, "10.00")]] * 3
    shop.told(orders[0] | {"status": "cancelled", "updated_at": "2026-11-02T00:00:00Z"})
    assert drawn_late == [orders[0]["id"]]


def test_a_plan_that_is_put_meanwhile_counts(world: World, shop: Shop, meanwhile: Meanwhile) -> None:
    alice = shop.sharer()
    order = shop.deliver(with_token(shop, shop.link(alice)["code"]))
    meanwhile(lambda: shop.plan({"commission": {"default": {"percent": "20"}}}))
    world.work()
    assert earned(world, shop, order) == [(alice, "20.00")]


def test_a_suspension_meanwhile_counts(world: World, shop: Shop, meanwhile: Meanwhile) -> None:
    alice = shop.sharer()
    world.stop_clock(PLACED)
    order = shop.deliver(with_token(shop, shop.link(alice)["code"]))
    meanwhile(lambda: world.call("PATCH", f"/sharers/{alice}", {"status": "suspended"}, expect=200))
    world.work()
    assert earned(world, shop, order) == []


def test_a_code_that_is_given_meanwhile_counts(world: World, shop: Shop, meanwhile: Meanwhile) -> None:
    order = shop.deliver(shop.order(codes=["SPRING"]))
    made: list[str] = []
    meanwhile(lambda: made.append(shop.sharer(codes=["SPRING"])))
    world.work()
    assert earned(world, shop, order) == [(made[0], "10.00")]


def test_what_another_worker_takes_in_meanwhile_is_not_taken_for_new(
    world: World, shop: Shop, meanwhile: Meanwhile
) -> None:
    alice = shop.sharer()
    order = shop.deliver(with_token(shop, shop.link(alice)["code"]))

    def other_worker() -> None:
        shop.deliver(order | {"updated_at": "2026-11-02T00:00:00Z", "status": "cancelled"})
        world.work()

    meanwhile(other_worker)
    world.work()
    assert earned(world, shop, order) == [(alice, "0.00")]


def test_a_deletion_in_the_same_batch_counts(world: World) -> None:
    captured = Path(__file__).parent.parent / "shops" / "payloads" / "woocommerce" / "captured"
    world.stop_clock("2026-11-23T00:00:00Z")
    shop = world.shop("woocommerce", secret=(captured / "secret.txt").read_text().strip())
    shop.plan()
    for name in ("13-order-updated-set-paid-twd", "15-order-deleted-trashed"):
        headers = dict(json.loads((captured / f"{name}.headers.json").read_text())["headers"])
        assert shop.post((captured / f"{name}.body.json").read_bytes(), headers).status_code == 200
    assert drain(world.context).done == 2
    seen = shop.see("23")
    assert seen["status"] == "cancelled" and "deleted_in_shop" in seen["flags"]
    world.books()


def test_what_is_put_off_does_not_count_yet(world: World, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    alice, settle = shop.sharer(), process_inbox.settle
    order = shop.deliver(with_token(shop, shop.link(alice)["code"]))
    shop.deliver(order | {"updated_at": "2026-11-02T00:00:00Z", "status": "cancelled"})

    def fail(recorder: Any, works: Any, **told: Any) -> Any:
        if any(work.story.cancelled for work in works):
            raise ArithmeticError
        return settle(recorder, works, **told)

    monkeypatch.setattr(process_inbox, "settle", fail)
    world.work()
    assert [one["state"] for one in world.deliveries()] == ["done", "stored"]
    assert earned(world, shop, order) == [(alice, "10.00")]


def test_an_order_that_cannot_be_worked_out_is_put_off_and_keeps_no_other_waiting(
    world: World, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice, draw = shop.sharer(), settle_order._draw
    bad, good = (shop.deliver(with_token(shop, shop.link(alice)["code"])) for _ in range(2))

    def fail(work: Any, deciding: Any) -> Any:
        if work.ref == bad["id"]:
            raise ArithmeticError
        return draw(work, deciding)

    monkeypatch.setattr(settle_order, "_draw", fail)
    world.work()
    assert earned(world, shop, good) == [(alice, "10.00")]
    assert [one["state"] for one in world.deliveries()] == ["stored", "done"]
    assert world.deliveries()[0]["reason"] == "Processing failed: ArithmeticError."
