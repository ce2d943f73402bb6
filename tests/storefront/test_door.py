"""The script's own door: who gets which script, how long it may be kept, and what a wrong key or no database meets."""

import re
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.exc import OperationalError
from werkzeug.test import TestResponse

from plugin.services import find_storefront
from plugin.storefront import make_script
from tests.world import World

BYTES_MAX = 2_048
DOCUMENTS = Path(__file__).parents[2] / "docs" / "shops"
PLATFORMS = ("shopify", "woocommerce", "generic")


def get(world: World, key: str, **headers: str) -> TestResponse:
    """Ask for a shop's script."""
    return world.client.get(f"/pa/{key}.js", headers={name.replace("_", "-"): text for name, text in headers.items()})


@pytest.fixture
def ticks(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Stop the clock by which look-ups age."""
    stopped = [100.0]
    monkeypatch.setattr(find_storefront.time, "monotonic", lambda: stopped[0])
    return stopped


def test_a_shop_gets_its_script_with_headers_that_let_any_page_embed_and_keep_it(world: World) -> None:
    response = get(world, world.shop("woocommerce").key)
    assert response.status_code == 200 and b"wc/store/checkout" in response.data
    assert response.headers["Content-Type"] == "text/javascript; charset=utf-8"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert response.headers["Cache-Control"] == "public, max-age=300"
    assert response.headers["ETag"] and "Set-Cookie" not in response.headers


def test_who_has_the_script_already_gets_nothing_again(world: World) -> None:
    shop = world.shop()
    tag = get(world, shop.key).headers["ETag"]
    for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        response = get(world, shop.key, If_None_Match=known)
        assert (response.status_code, response.data) == (304, b"") and response.headers["ETag"] == tag
        assert response.headers["Cache-Control"] == "public, max-age=300"
    assert get(world, shop.key, If_None_Match='"other"').status_code == 200


def test_asking_for_the_head_tells_the_size_alone(world: World) -> None:
    shop = world.shop()
    response = world.client.head(f"/pa/{shop.key}.js")
    assert response.data == b"" and int(response.headers["Content-Length"]) == len(get(world, shop.key).data)


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("days", [0, 30, 36_500])
def test_the_script_is_under_two_kilobytes_and_says_nothing_of_how_it_was_written(platform: str, days: int) -> None:
    script = make_script(platform, days)[0].decode()
    assert len(script.encode()) < BYTES_MAX
    assert f"({days}," in script and "//" not in script and "/*" not in script
    # Every name of ours is one letter, and what is no name of ours is left as it was.
    assert not re.search(r"\$\w", script) and '"passalong"' in script and "localStorage" in script
    # Nothing that a Content-Security-Policy without unsafe-eval or unsafe-inline would stop.
    assert not re.search(r"eval|Function\(|innerHTML|createElement\(.script|javascript:|document\.write", script)
    assert not re.search(r"cookie\s*=", script)


def test_each_platform_gets_what_its_pages_need_and_no_more(world: World) -> None:
    said = {platform: make_script(platform, 30)[0] for platform in PLATFORMS}
    assert b"cart/update.js" in said["shopify"] and b"form.checkout" in said["woocommerce"]
    assert not any(word in said["generic"] for word in (b"cart", b"checkout"))
    assert get(world, world.shop().key).data == said["generic"]


def test_the_documents_read_what_the_script_sends() -> None:
    script = make_script("woocommerce", 30)[0].decode()
    assert re.search(r'\)\("passalong",\{_pa:\w=\w\}\)', script) and '.name="_pa"' in script
    lines = (DOCUMENTS / "woocommerce.md").read_text()
    assert "'namespace'       => 'passalong'" in lines and "$sent['passalong']['_pa']" in lines
    assert "$_POST['_pa']" in lines and "update_meta_data( '_pa', $value )" in lines
    for name in ("woocommerce", "shopify", "other"):
        lines = (DOCUMENTS / f"{name}.md").read_text()
        assert "https://share.example.com/pa/KEY.js" in lines and "passalong.consent(false)" in lines
        assert 'data-consent="required"' in lines


def test_nothing_secret_is_in_the_script(world: World) -> None:
    shop = world.shop("woocommerce", credentials={"consumer_key": "ck_1", "consumer_secret": "cs_1"})
    text = get(world, shop.key).text
    assert not any(secret in text for secret in (shop.secret, shop.secret.removeprefix("whsec_"), "ck_1", "cs_1"))


def test_the_window_is_the_plan_s_and_follows_it(world: World, ticks: list[float]) -> None:
    shop = world.shop()
    before = get(world, shop.key)
    assert b"(30," in before.data
    shop.plan({"attribution": {"window_days": 7}}, since=None)
    assert get(world, shop.key).data == before.data
    ticks[0] += find_storefront.CHECK_SECONDS
    after = get(world, shop.key)
    assert b"(7," in after.data and after.headers["ETag"] != before.headers["ETag"]


def test_of_several_plans_in_force_the_last_put_counts_and_one_to_come_does_not(
    world: World, ticks: list[float]
) -> None:
    clock = world.stop_clock("2026-11-01T10:00:00Z")
    shop = world.shop()
    shop.plan({"attribution": {"window_days": 7}}, since="2026-10-05T00:00:00Z")
    shop.plan({"attribution": {"window_days": 9}}, since="2026-10-01T00:00:00Z")
    assert b"(9," in get(world, shop.key).data
    shop.plan({"attribution": {"window_days": 11}}, since="2026-11-01T09:00:00Z")
    clock.set("2026-11-01T08:59:59Z")
    ticks[0] += 2
    assert b"(9," in get(world, shop.key).data
    clock.set("2026-11-01T09:00:00Z")
    ticks[0] += 2
    assert b"(11," in get(world, shop.key).data


@pytest.mark.parametrize(
    "key", ["nothing", "0" * 16, "..", "%00", "a%00b", "%F0%9F%92%A9", "x" * 5_000, "'%20OR%201=1", "a b", "shop.js"]
)
def test_an_unknown_key_gets_an_empty_script(world: World, key: str) -> None:
    world.shop()
    response = get(world, key)
    assert (response.status_code, response.data) == (404, b"/**/\n")
    assert response.headers["Content-Type"] == "text/javascript; charset=utf-8"
    assert response.headers["Cache-Control"] == "no-store" and response.headers["X-Content-Type-Options"] == "nosniff"


def look_ups(world: World) -> list[str]:
    """Return a list that grows by every look-up in the database from now on."""
    asked: list[str] = []
    event.listen(
        world.context.database.engine,
        "before_cursor_execute",
        lambda *told: asked.append(told[2]) if told[2].startswith("SELECT") else None,
    )
    return asked


def test_a_shop_is_looked_up_once_in_a_second_whatever_is_asked(world: World, ticks: list[float]) -> None:
    shop = world.shop()
    asked = look_ups(world)
    for _ in range(5):
        assert get(world, shop.key).status_code == 200 and get(world, "nothing").status_code == 404
    assert len(asked) == 2
    ticks[0] += find_storefront.CHECK_SECONDS
    get(world, shop.key)
    assert len(asked) == 3


def test_guessing_keys_fills_no_memory_and_pushes_no_shop_out(
    world: World, ticks: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    unknown = world.app.extensions["passalong"].storefronts._unknown
    monkeypatch.setattr(unknown, "_most", 3)
    shop = world.shop()
    get(world, shop.key)
    for number in range(10):
        assert get(world, f"guess{number}").status_code == 404
    asked = look_ups(world)
    assert get(world, shop.key).status_code == 200 and not asked
    assert len(unknown) <= 3


def test_a_known_shop_is_served_while_the_database_is_away(world: World, ticks: list[float]) -> None:
    known, other = world.shop(), world.shop()
    script = get(world, known.key).data

    tried: list[int] = []

    def away(*_: Any) -> Any:
        tried.append(1)
        raise OperationalError("SELECT", {}, Exception("away"))

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(world.context.database, "reading", away)
        ticks[0] += 10
        assert [get(world, known.key).data for _ in range(3)] == [script] * 3
        assert len(tried) == 1, "the database is tried once in a second, and not by every page"
        response = get(world, other.key)
        assert (response.status_code, response.data) == (503, b"/**/\n") and int(response.headers["Retry-After"]) > 0
        assert response.headers["Cache-Control"] == "no-store"
    assert get(world, other.key).status_code == 200
