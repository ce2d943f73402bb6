"""The test order: real calls through our own door, a sandbox that touches nothing of the shop, and faults in words."""

import threading
import time
from collections.abc import Iterator

import pytest

from plugin.serve import Server
from plugin.services.try_order import show_try
from tests.admin_ui.desk import Browser, member
from tests.world import Shop, World


class _Stay:
    """Says that a server shall stay until told."""

    asked = False


@pytest.fixture
def door(world: World) -> Iterator[str]:
    """Serve the installation as ``passalong run`` does, and let it know where."""
    server = Server(world.app, host="127.0.0.1", port=0, body_bytes_max=2**20, behind_proxy=False)
    stay = _Stay()
    thread = threading.Thread(target=server.run, args=(stay,))
    thread.start()
    address = f"http://127.0.0.1:{server.port}"
    world.context.doors.append(address)
    yield address
    stay.asked = True
    thread.join()


@pytest.fixture
def shop(world: World) -> Shop:
    """Give a shop that pays ten percent."""
    shop = world.shop(name="Hats <b>")
    shop.plan(since=None)
    return shop


@pytest.fixture
def manager(world: World) -> Browser:
    """Give the browser of a manager."""
    return member(world, "manager")


def tried(world: World, shop: Shop, manager: Browser) -> str:
    """Press the button, let the worker work, and return what the page says at the end."""
    path = f"/admin/{shop.key}/try"
    manager.post(path)
    assert "hx-trigger" in manager.get(f"{path}/progress", HX_Request="true")
    end = time.monotonic() + 60
    while time.monotonic() < end:
        world.work()
        page = manager.get(f"{path}/progress", HX_Request="true")
        if "hx-trigger" not in page:
            return page
        time.sleep(0.1)
    raise AssertionError(page)


def test_a_test_order_walks_from_the_click_to_the_last_cent_and_back(
    world: World, door: str, shop: Shop, manager: Browser
) -> None:
    page = tried(world, shop, manager)
    assert page.count('<li class="done">') == 6 and "It works" in page
    assert page.count("$10.00") == 2 and "Earned" in page and "Taken back" in page and "$0.00" in page
    world.books()
    shops = {one["key"]: one for one in world.command("shop", "list")["shops"]}
    (sandbox,) = set(shops) - {shop.key}
    assert shops[sandbox]["live"] is False
    assert world.call("GET", f"/orders?shop={shop.key}", expect=200)["items"] == []
    assert [one for one in world.deliveries() if one["shop"] == shop.key] == []
    # Once more, under a new plan, in the same sandbox.
    shop.plan({"commission": {"default": {"percent": "20"}}}, since=None)
    page = tried(world, shop, manager)
    assert page.count("$20.00") == 2 and len(world.command("shop", "list")["shops"]) == 2
    world.books()


def test_a_plan_that_pays_nothing_is_said_before_anything_is_sent(
    world: World, door: str, manager: Browser
) -> None:
    shop = world.shop()
    page = tried(world, shop, manager)
    assert "Your plan pays nothing yet" in page and 'class="refused"' in page
    assert len(world.command("shop", "list")["shops"]) == 1


def test_rules_that_are_for_others_move_no_money_and_the_page_says_so(
    world: World, door: str, shop: Shop, manager: Browser
) -> None:
    rules = [{"id": "shoes", "when": {"collections": ["shoes"]}, "pay": {"percent": "20"}}]
    shop.plan({"commission": {"rules": rules}}, since=None)
    assert "It moved no money" in tried(world, shop, manager)


def test_a_door_that_does_not_answer_is_a_sentence(world: World, shop: Shop, manager: Browser) -> None:
    world.context.doors.append("http://127.0.0.1:1")
    page = tried(world, shop, manager)
    assert "did not answer its own call" in page and "refuses the connection" in page


def test_the_calls_go_where_this_process_listens_whatever_a_request_says(
    world: World, door: str, shop: Shop, manager: Browser
) -> None:
    path = f"/admin/{shop.key}/try"
    cookie = manager.client.get_cookie("passalong_owner", path="/admin")
    assert cookie is not None
    manager.client.set_cookie(cookie.key, cookie.value, domain="evil.example", path="/admin")
    form = {"_form": manager.token(path)}
    assert manager.client.post(path, data=form, base_url="http://evil.example").status_code == 303
    for _ in range(20):
        world.work()
        time.sleep(0.05)
    with world.context.database.reading() as connection:
        number = connection.exec_driver_sql(f"SELECT id FROM pa_shop WHERE key = '{shop.key}'").scalar_one()
    progress = show_try(world.context, number)
    assert progress is not None and progress["fault"] is None and progress["next"] is None
