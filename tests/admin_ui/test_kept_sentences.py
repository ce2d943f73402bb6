"""What is kept in English is read in the reader's language: reasons of deliveries and tasks, what the doctor says."""

import base64
import hmac
import json
import re
from typing import Any

import pytest
from sqlalchemy import text, update

from admin_ui.owner.health import NAMES
from plugin.models import delivery, task
from plugin.services.doctor import examine
from plugin.services.watch_books import ask_check
from tests.admin_ui.desk import Browser, member
from tests.admin_ui.office import plain
from tests.world import Shop, World, guards_off

AT = "2026-11-22T10:00:00Z"
_ENGLISH = re.compile(r"[A-Za-z']+ [a-z']+ [a-z']+")  # names of fields and platforms stand alone
WOO_ORDER = {
    "id": 727, "status": "processing", "currency": "USD", "date_created_gmt": "2026-11-22T09:00:00", "line_items": [],
    "refunds": [], "total": "1.00",
}  # fmt: skip


@pytest.fixture
def reader(world: World) -> Browser:
    """Give the browser of an owner in Taiwan."""
    world.stop_clock(AT)
    return member(world, language="zh-TW,zh;q=0.9,en;q=0.8")


def tell(shop: Shop, topic: str, data: Any) -> None:
    """Deliver as WooCommerce does, or as Shopify where the topic is one of its, and have it read."""
    body = json.dumps(data).encode()
    digest = base64.b64encode(hmac.digest(shop.secret.encode(), body, "sha256")).decode()
    headers = {"X-WC-Webhook-Signature": digest, "X-WC-Webhook-Topic": topic}
    if "/" in topic:
        headers = {"X-Shopify-Hmac-Sha256": digest, "X-Shopify-Topic": topic, "X-Shopify-Webhook-Id": "w1"}
    assert shop.post(body, headers).status_code == 200
    shop.world.work()


def read(shop: Shop, reader: Browser, said: str) -> None:
    """Assert that the newest delivery's reason is said so, in the log and on its page."""
    world = shop.world
    newest = world.deliveries()[0]
    assert newest["reason"] and _ENGLISH.search(newest["reason"])  # kept, and told to commands, in English
    log, one = (plain(reader.get(f"/admin/{shop.key}/deliveries{path}")) for path in ("", f"/{newest['id']}"))
    assert said in log and not _ENGLISH.search(log)
    assert said in one and newest["reason"] not in one


def keep(world: World, reason: str) -> None:
    """Have every delivery carry a reason, as one of another time may."""
    with world.context.database.writing() as connection:
        connection.execute(update(delivery).values(state="quarantined", reason=reason))


def test_a_quarantined_order_of_any_shop(world: World, reader: Browser) -> None:
    shop = world.shop(name="茶行")
    line = {"id": "l1", "quantity": -2, "amount": "1.00"}
    shop.deliver(shop.order("1001", lines=[line]))
    world.work()
    said = "「訂單品項的 quantity」不是 0 到 1000000000 的整數。"
    read(shop, reader, said)
    assert said in plain(reader.get(f"/admin/{shop.key}/connect"))
    assert not _ENGLISH.search(plain(reader.get(f"/admin/{shop.key}/")))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"line_items": [{"id": 1, "quantity": 1, "total": "x"}]}, "「訂單品項的 total」不是十進位數字的字串。"),
        ({"date_created_gmt": "yesterday"}, "「date_created_gmt」不是日期。"),
        ({"currency": ""}, "「訂單內容」缺少 currency。"),
        ({"fee_lines": 7}, "「fee_lines」不是物件的清單。"),
    ],
)
def test_a_quarantined_order_of_woocommerce(world: World, reader: Browser, changes: Any, said: str) -> None:
    shop = world.shop("woocommerce", name="茶行")
    tell(shop, "order.updated", WOO_ORDER | changes)
    read(shop, reader, said)


@pytest.mark.parametrize(
    ("platform", "topic", "data", "said"),
    [
        ("woocommerce", "order.deleted", {"id": 727}, "還不認得這則通知所說的訂單。"),
        ("shopify", "refunds/create", {"order_id": 7}, "必須向商店查詢這筆訂單，但商店沒有提供查詢所需的金鑰。"),
    ],
)
def test_a_delivery_that_waits(
    world: World, reader: Browser, platform: str, topic: str, data: Any, said: str
) -> None:
    shop = world.shop(platform, name="茶行")
    tell(shop, topic, data)
    read(shop, reader, said)


def test_a_body_that_says_no_number(world: World, reader: Browser) -> None:
    shop = world.shop(name="茶行")
    body = b'{"type": "order", "data": NaN}'
    shop.post(body, shop.signed(body))
    world.work()
    read(shop, reader, "內容不是 JSON：NaN 不是數字。")


@pytest.mark.parametrize(
    ("kept", "said"),
    [
        ("<script>alert(1)</script> is missing.", "缺少「&lt;script&gt;alert(1)&lt;/script&gt;」。"),
        ("%(what)s%% {{ 7 }} is missing.", "缺少「%(what)s%% {{ 7 }}」。"),
        ("<b>Nobody</b> says (this)", "&lt;b&gt;Nobody&lt;/b&gt; says (this)"),
        ("Processing failed: The order is missing..", "處理時發生錯誤：缺少「訂單內容」。。"),
    ],
)
def test_hostile_and_unknown_reasons_are_text(world: World, reader: Browser, kept: str, said: str) -> None:
    shop = world.shop(name="茶行")
    shop.deliver(shop.order("1001"))
    keep(world, kept)
    for path in ("deliveries", "deliveries/dlv_1", "connect"):
        assert said in reader.get(f"/admin/{shop.key}/{path}")
    english = member(world)
    assert kept.partition("<")[0] in plain(english.get(f"/admin/{shop.key}/deliveries"))


def test_sentences_within_sentences_go_only_so_deep(world: World, reader: Browser) -> None:
    shop = world.shop(name="茶行")
    shop.deliver(shop.order("1001"))
    keep(world, " is missing." * 900)
    page = reader.get(f"/admin/{shop.key}/deliveries")
    assert "缺少" in page and page.count("is missing.") > 800


def test_the_doctor_speaks_the_readers_language(world: World, reader: Browser) -> None:
    shop = world.shop(name="茶行")
    page = plain(reader.get(f"/admin/{shop.key}/health"))
    assert "帳目的保護" in page and f"商店 {shop.key}" in page
    assert "茶行：還沒收到任何通知。請把 Webhook 網址和密鑰填到商店裡。" in page
    assert not _ENGLISH.search(page.replace("passalong check-books", ""))
    with world.context.database.writing() as connection:
        row = {
            "shop_id": 1, "kind": "ask", "ref": "7", "body": "{}", "state": "failed", "wanted": 1, "attempts": 9,
            "due_at": 0, "changed_at": 0, "reason": "shop.example.com answered 410 Gone: it wants no more events.",
        }  # fmt: skip
        connection.execute(task.insert().values(row))
    said = f"1 項工作徹底失敗；最近一項是商店 {shop.key} 的 ask 7：shop.example.com 回應 410 Gone，表示不再接收事件。"
    assert said in plain(reader.get(f"/admin/{shop.key}/health"))
    kept = "1 failed for good; the last, ask 7 of shop"
    assert kept in plain(member(world).get(f"/admin/{shop.key}/health"))


def test_what_a_check_of_the_books_found(world: World, reader: Browser) -> None:
    shop = world.shop(name="茶行")
    shop.plan()
    shop.sharer("alice", codes=["A"])
    shop.told(shop.order("1001", codes=["A"]))
    with guards_off(world) as connection:
        connection.execute(text("UPDATE pa_transfer SET amount = amount + 1"))
        connection.execute(text("UPDATE pa_shop_day SET orders = orders + 1"))
        connection.execute(text("DELETE FROM pa_order_state"))
    ask_check(world.context, 1)
    world.work()
    page = plain(reader.get(f"/admin/{shop.key}/books"))
    assert f"商店 {shop.key}：訂單 1001：1 筆狀態（寫於第 " in page and " 位）不見了" in page
    assert re.search(f"商店 {shop.key}：訂單 1001：transfer [0-9a-f]+ 未經帳務程序就被改動", page)
    assert "訂單 1001 沒有任何狀態：它的標準紀錄不見了" in page
    assert "orders：帳上為 2，應為 1" in page
    assert not _ENGLISH.search(page)
    english = plain(member(world).get(f"/admin/{shop.key}/books"))
    assert re.search(f"shop {shop.key}: order 1001: transfer [0-9a-f]+ was changed behind the books' back", english)


def test_every_check_of_the_doctor_has_a_name_for_people(world: World) -> None:
    shop = world.shop()
    checks = examine(world.context.settings, reach_queue=lambda context: None)
    assert {one.name for one in checks} - NAMES.keys() == {f"shop {shop.key}"}
    assert len(checks) >= len(NAMES) - 1  # of the shops it speaks one by one, where there is any


def test_the_trouble_with_a_shop_that_does_not_answer(world: World, reader: Browser) -> None:
    shop = world.shop("woocommerce", name="茶行")
    with world.context.database.writing() as connection:
        row = {
            "shop_id": 1, "kind": "reconcile", "ref": "orders", "body": "{}", "state": "due", "wanted": 1,
            "attempts": 3, "due_at": 0, "changed_at": 0,
            "reason": "shop.example.com does not answer in JSON. Check that this is the right address.",
        }  # fmt: skip
        connection.execute(task.insert().values(row))
    page = plain(reader.get(f"/admin/{shop.key}/"))
    assert "shop.example.com 回應的不是 JSON，請確認位址是否正確。" in page and not _ENGLISH.search(page)
