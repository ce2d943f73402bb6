"""A WooCommerce shop of our own: its REST API over real HTTP with the shapes of the captured answers, and its webhooks.

It behaves as the captured shop did: the body of a webhook is the order as it is when it is sent, refunds come without
lines, a refund that is deleted moves no date and sends nothing, and nothing that is lost is sent again.
"""

import base64
import copy
import hmac
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.shops.fake_shop import FakeShop, Said
from tests.world import Shop

CAPTURED = Path(__file__).parent / "payloads" / "woocommerce" / "captured"
ORDER: dict[str, Any] = json.loads((CAPTURED / "03-order-created-coupon-ref.body.json").read_text())
KEY, SECRET = "ck_fake", "cs_fake"


class FakeWooCommerce(FakeShop):
    """The shop."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self.orders: dict[int, dict[str, Any]] = {}
        self.refunds: dict[int, list[dict[str, Any]]] = {}
        self.key, self.may_only_read = KEY, False
        self.namespaces = ["wp/v2", "wc/v3"]
        self.products: dict[str, list[str]] = {}  # the categories of each
        self.described: dict[str, dict[str, Any]] = {}  # what else is told of a product than of all
        self.coupons: dict[int, dict[str, Any]] = {}
        self.webhooks: dict[int, dict[str, Any]] = {}
        self.secrets: dict[int, str] = {}
        self._numbers = iter(range(100, 10_000_000))
        super().__init__(clock)

    def _now(self) -> str:
        """Return this second as the shop writes it: UTC without saying so."""
        return datetime.fromtimestamp(self.clock() // 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%S")

    def _touch(self, number: int) -> None:
        self.orders[number]["date_modified_gmt"] = self._now()

    # --- what happens in the shop -----------------------------------------------------------------------------------

    def place(self, *lines: tuple[str, str, int], token: str | None = None, **changes: Any) -> int:
        """Place a paid order; ``lines`` are (amount, tax, quantity). Return its number."""
        number, now = next(self._numbers), self._now()
        base = copy.deepcopy(ORDER["line_items"][0])
        items = [
            base | {"id": next(self._numbers), "total": total, "total_tax": tax, "quantity": quantity}
            for total, tax, quantity in lines
        ]
        meta = [{"id": 1, "key": "_pa", "value": token}] if token else []
        self.orders[number] = (
            copy.deepcopy(ORDER)
            | {"id": number, "number": str(number), "status": "processing", "line_items": items, "refunds": []}
            | dict.fromkeys(("date_created_gmt", "date_modified_gmt", "date_paid_gmt"), now)
            | {"date_completed_gmt": None, "coupon_lines": [], "fee_lines": [], "meta_data": meta}
            | changes
        )
        self.refunds[number] = []
        return number

    def refund(
        self,
        number: int,
        amount: str,
        *lines: tuple[int, int, str, str],
        shipping: tuple[str, str] | None = None,
        fee: tuple[str, str] | None = None,
    ) -> int:
        """Give money back; ``lines`` are (index, quantity, amount, tax), ``shipping`` and ``fee`` (amount, tax)."""
        one, items = next(self._numbers), self.orders[number]["line_items"]
        row = {
            "id": one,
            "date_created_gmt": self._now(),
            "amount": amount,
            "reason": "",
            "line_items": [
                {
                    "id": next(self._numbers),
                    "quantity": -quantity,
                    "total": f"-{total}",
                    "total_tax": f"-{tax}",
                    "meta_data": [{"id": 1, "key": "_refunded_item_id", "value": str(items[index]["id"])}],
                }
                for index, quantity, total, tax in lines
            ],
            "shipping_lines": [{"total": f"-{shipping[0]}", "total_tax": f"-{shipping[1]}"}] if shipping else [],
            "fee_lines": [{"total": f"-{fee[0]}", "total_tax": f"-{fee[1]}"}] if fee else [],
        }
        self.refunds[number].insert(0, row)  # newest first
        self._list_refunds(number)
        self._touch(number)
        return one

    def delete_refund(self, number: int, one: int) -> None:
        """Take a refund back: the order's date stays, and no webhook is sent."""
        self.refunds[number] = [row for row in self.refunds[number] if row["id"] != one]
        self._list_refunds(number)

    def _list_refunds(self, number: int) -> None:
        rows = [{"id": row["id"], "reason": "", "total": f"-{row['amount']}"} for row in self.refunds[number]]
        self.orders[number]["refunds"] = rows

    def trash(self, number: int) -> None:
        """Put an order into the bin."""
        self.orders[number]["status"] = "trash"
        self._touch(number)

    def delete(self, number: int) -> None:
        """Delete an order for good."""
        del self.orders[number], self.refunds[number]

    # --- what it sends ----------------------------------------------------------------------------------------------

    def send(self, shop: Shop, topic: str, number: int) -> int:
        """Send a webhook about an order as it is now; return the status it was answered with."""
        if topic == "order.deleted":
            told: dict[str, Any] = {"id": number}
        elif topic.startswith("action."):
            told = {"action": topic.removeprefix("action."), "arg": number}
        else:
            told = self.orders[number]
        body = json.dumps(told).encode()
        headers = {
            "Content-Type": "application/json",
            "X-WC-Webhook-Topic": topic,
            "X-WC-Webhook-Delivery-ID": f"fake-{next(self._numbers)}",
            "X-WC-Webhook-Signature": base64.b64encode(hmac.digest(shop.secret.encode(), body, "sha256")).decode(),
        }
        return shop.world.client.post(f"/webhooks/{shop.key}", data=body, headers=headers).status_code

    # --- what it answers --------------------------------------------------------------------------------------------

    def answer(self, method: str, path: str, query: dict[str, str], headers: Mapping[str, str], body: Any) -> Said:
        """Answer one request to the REST API."""
        if path == "/wp-json/":
            return 200, {"name": "Hats & more", "namespaces": self.namespaces, "timezone_string": "Asia/Taipei"}
        if headers.get("authorization") != "Basic " + base64.b64encode(f"{self.key}:{SECRET}".encode()).decode():
            return 401, {"code": "woocommerce_rest_cannot_view", "message": "Sorry", "data": {"status": 401}}
        if method != "GET" and self.may_only_read:
            return 401, {"code": "woocommerce_rest_cannot_create", "message": "Sorry", "data": {"status": 401}}
        parts = path.removeprefix("/wp-json/wc/v3/").split("/")
        if parts == ["data", "currencies", "current"]:
            return 200, {"code": "USD", "name": "United States (US) dollar", "symbol": "&#36;"}
        if parts[0] == "coupons":
            return self._coupons(method, parts[1:], query, body)
        if parts == ["products"]:
            there = [ref for ref in query["include"].split(",") if ref in self.products]
            return 200, [self._product(ref) for ref in there]
        if parts[0] == "webhooks":
            return self._webhooks(method, parts[1:], query, body)
        if parts == ["orders"]:
            return self._list(query)
        if parts[0] == "orders" and parts[1].isdigit():
            number = int(parts[1])
            if number not in self.orders:
                return 404, {"code": "woocommerce_rest_shop_order_invalid_id", "data": {"status": 404}}
            if parts[2:] == ["refunds"]:
                size, page = int(query["per_page"]), int(query["page"])
                return 200, self.refunds[number][(page - 1) * size : page * size]
            return 200, self.orders[number]
        return 404, {"code": "rest_no_route", "data": {"status": 404}}

    def _coupons(self, method: str, parts: list[str], query: dict[str, str], body: Any) -> Said:
        if method == "GET":
            return 200, [one for one in self.coupons.values() if one["code"] == query["code"].lower()]
        if method == "DELETE":
            return (200, self.coupons.pop(int(parts[0]))) if int(parts[0]) in self.coupons else (404, {})
        if any(one["code"] == body["code"].lower() for one in self.coupons.values()):
            return 400, {"code": "woocommerce_rest_coupon_code_already_exists", "data": {"status": 400}}
        made = {"id": next(self._numbers)} | body | {"code": body["code"].lower()}  # as WooCommerce keeps them
        self.coupons[made["id"]] = made
        return 201, made

    def _product(self, ref: str) -> dict[str, Any]:
        categories = [{"id": 1, "name": slug.upper(), "slug": slug} for slug in self.products[ref]]
        return {
            "id": int(ref), "name": f"Hat {ref}", "permalink": f"https://hats.example.com/product/hat-{ref}/",
            "short_description": f"<p>Hat {ref} of <b>wool</b>.</p>\n", "description": "<p>Long.</p>", "price": "45.01",
            "images": [{"src": f"https://cdn.example.com/{ref}.png"}], "categories": categories,
        } | self.described.get(ref, {})  # fmt: skip

    def _list(self, query: dict[str, str]) -> Said:
        found = [order for order in self.orders.values() if order["status"] != "trash"]
        if "include" in query:
            wanted = query["include"].split(",")
            found = [order for order in found if str(order["id"]) in wanted]
        if "modified_after" in query:
            assert query["dates_are_gmt"] == "true"
            found = [order for order in found if order["date_modified_gmt"] > query["modified_after"]]
        found.sort(key=lambda order: int(order["id"]), reverse=query.get("order") != "asc")
        start = int(query.get("offset", "0"))
        return 200, found[start : start + int(query["per_page"])], {"X-WP-Total": str(len(found))}

    def _webhooks(self, method: str, parts: list[str], query: dict[str, str], body: Any) -> Said:
        if method == "GET":
            size, page = int(query["per_page"]), int(query["page"])
            return 200, list(self.webhooks.values())[(page - 1) * size : page * size]
        if method == "POST":
            made = {"id": next(self._numbers)} | {name: body[name] for name in ("topic", "delivery_url", "status")}
            self.webhooks[made["id"]], self.secrets[made["id"]] = made, body["secret"]
            return 201, made
        one = self.webhooks[int(parts[0])]
        one["status"] = body["status"]
        return 200, one
