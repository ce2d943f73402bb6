"""A shop of Shopify's: its Admin API over real HTTP with the shapes of the vendor's samples, and its webhooks.

Orders are listed by id, newest first, by cursor; a webhook that failed too often is removed; tokens can end.
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

COMPOSED = Path(__file__).parent / "payloads" / "shopify" / "composed"
SAMPLE = COMPOSED / "shopify_order_multicurrency_noteattr_discount.json"
ORDER: dict[str, Any] = json.loads(SAMPLE.read_text(), parse_float=str)
TOKEN, CLIENT, SECRET = "shpat_fake", "client-fake", "shpss_fake_fake_fake"
DOMAIN = "composed-shop.myshopify.com"


class FakeShopify(FakeShop):
    """The shop; ``tokens`` are those that it accepts, ``scopes`` what the app may do."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self.orders: dict[int, dict[str, Any]] = {}
        self.webhooks: dict[int, dict[str, Any]] = {}
        self.tokens = {TOKEN}
        self.scopes = ["read_orders", "read_products", "write_discounts"]
        self.granted = 0
        self.rules: dict[int, dict[str, Any]] = {}  # price rules, each with the codes made for it
        self.products: dict[str, list[str]] = {}  # the collections of each
        self.described: dict[str, dict[str, Any]] = {}  # what else is told of a product than of all
        self._numbers = iter(range(7_000_000_000_100, 8_000_000_000_000))
        super().__init__(clock)

    def _now(self) -> str:
        return datetime.fromtimestamp(self.clock() // 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%S+00:00")

    # --- what happens in the shop -----------------------------------------------------------------------------------

    def place(self, *prices: str, token: str | None = None, **changes: Any) -> int:
        """Place a paid order of one piece of each price in USD; return its number."""
        number, now = next(self._numbers), self._now()
        base = copy.deepcopy(ORDER["line_items"][0])
        items = [
            {name: base[name] for name in ("product_id", "variant_id", "sku", "title")}
            | {"id": next(self._numbers), "price": price, "quantity": 1, "current_quantity": 1}
            | {"discount_allocations": [], "tax_lines": [], "properties": []}
            for price in prices
        ]
        self.orders[number] = (
            copy.deepcopy(ORDER)
            | {"id": number, "name": f"#{number}", "line_items": items, "refunds": [], "shipping_lines": []}
            | {"created_at": now, "processed_at": now, "updated_at": now, "closed_at": None, "cancelled_at": None}
            | {"note_attributes": [{"name": "_pa", "value": token}] if token else [], "discount_codes": []}
            | {"discount_applications": [], "landing_site": None, "financial_status": "paid", "test": False}
            | changes
        )
        return number

    def refund(self, number: int, index: int) -> dict[str, Any]:
        """Give back one line whole; return the refund."""
        item = self.orders[number]["line_items"][index]
        row = {"line_item_id": item["id"], "quantity": 1, "subtotal": item["price"], "total_tax": "0.00"}
        refund = {
            "id": next(self._numbers), "order_id": number, "created_at": self._now(), "refund_line_items": [row],
            "order_adjustments": [],
            "transactions": [{"kind": "refund", "status": "success", "amount": item["price"], "currency": "USD"}],
        }  # fmt: skip
        item["current_quantity"] = 0
        self.orders[number]["refunds"].append(refund)
        self.orders[number]["updated_at"] = self._now()
        return refund

    def cancel(self, number: int) -> None:
        """Cancel an order."""
        self.orders[number] |= {"cancelled_at": self._now(), "updated_at": self._now()}

    def delete(self, number: int) -> None:
        """Delete an order for good."""
        del self.orders[number]

    # --- what it sends ----------------------------------------------------------------------------------------------

    def send(self, shop: Shop, topic: str, told: int | dict[str, Any]) -> int:
        """Send a webhook about an order as it is now, or with a body of its own; return the status."""
        said = {"id": told} if topic == "orders/delete" else self.orders[told] if isinstance(told, int) else told
        body = json.dumps(said).encode()
        headers = {
            "Content-Type": "application/json",
            "X-Shopify-Topic": topic,
            "X-Shopify-Webhook-Id": f"fake-{next(self._numbers)}",
            "X-Shopify-Shop-Domain": DOMAIN,
            "X-Shopify-Hmac-Sha256": base64.b64encode(hmac.digest(shop.secret.encode(), body, "sha256")).decode(),
        }
        return shop.world.client.post(f"/webhooks/{shop.key}", data=body, headers=headers).status_code

    # --- what it answers --------------------------------------------------------------------------------------------

    def answer(self, method: str, path: str, query: dict[str, str], headers: Mapping[str, str], body: Any) -> Said:
        """Answer one request to the Admin API."""
        if path == "/admin/oauth/access_token":
            return self._grant(body)
        if headers.get("x-shopify-access-token") not in self.tokens:
            return 401, {"errors": "[API] Invalid API key or access token (unrecognized login or wrong password)"}
        if path == "/admin/oauth/access_scopes.json":
            return 200, {"access_scopes": [{"handle": scope} for scope in self.scopes]}
        parts = path.removeprefix("/admin/api/2026-07/").removesuffix(".json").split("/")
        if parts == ["shop"]:
            domain = {"myshopify_domain": self.url.removeprefix("http://")}
            return 200, {"shop": {"name": "Hats", "currency": "USD", "iana_timezone": "America/New_York"} | domain}
        if parts[0] in ("price_rules", "discount_codes"):
            return self._discounts(method, parts, query, body)
        if parts == ["graphql"]:
            return 200, {"data": {"nodes": [self._product(name) for name in body["variables"]["ids"]]}}
        if parts == ["webhooks"]:
            return self._webhooks(method, query, body)
        if "read_orders" not in self.scopes:
            return 403, {"errors": "[API] This action requires merchant approval for read_orders scope."}
        if parts == ["orders"]:
            return self._list(query)
        if parts[0] == "orders" and parts[1].isdigit() and int(parts[1]) in self.orders:
            return 200, {"order": self.orders[int(parts[1])]}
        return 404, {"errors": "Not Found"}

    def _discounts(self, method: str, parts: list[str], query: dict[str, str], body: Any) -> Said:
        if "write_discounts" not in self.scopes:
            return 403, {"errors": "[API] This action requires merchant approval for write_discounts scope."}
        if parts == ["discount_codes", "lookup"]:
            found = [ref for ref, rule in self.rules.items() if query["code"].upper() in rule["codes"]]
            if not found:
                return 404, {"errors": "Not Found"}
            return 303, {}, {"Location": f"{self.url}/admin/api/2026-07/price_rules/{found[0]}/discount_codes/9"}
        if method == "POST" and parts == ["price_rules"]:
            made = {"id": next(self._numbers), "codes": []} | body["price_rule"]
            self.rules[made["id"]] = made
            return 201, {"price_rule": made}
        rule = self.rules.get(int(parts[1]))
        if rule is None:
            return 404, {"errors": "Not Found"}
        if method == "DELETE":
            del self.rules[int(parts[1])]
            return 204, {}
        if method == "POST":
            rule["codes"].append(body["discount_code"]["code"].upper())
            return 201, {"discount_code": {"id": 9} | body["discount_code"]}
        return 200, {"price_rule": rule}

    def _product(self, name: str) -> dict[str, Any] | None:
        ref = name.rpartition("/")[2]
        if ref not in self.products:
            return None
        return {
            "id": name, "title": f"Hat {ref}", "handle": f"hat-{ref}", "description": f"Hat {ref} of wool.",
            "onlineStoreUrl": f"https://hats.example.com/products/hat-{ref}",
            "featuredMedia": {"preview": {"image": {"url": f"https://cdn.example.com/{ref}.png"}}},
            "collections": {"nodes": [{"handle": handle} for handle in self.products[ref]]},
            "priceRangeV2": {"minVariantPrice": {"amount": "45.01", "currencyCode": "USD"}},
        } | self.described.get(ref, {})  # fmt: skip

    def _grant(self, body: Any) -> Said:
        wanted = {"grant_type": "client_credentials", "client_id": CLIENT, "client_secret": SECRET}
        if body != wanted:
            return 400, {"error": "invalid_request"}
        self.granted += 1
        self.tokens = {f"shpat_{self.granted}"}
        return 200, {"access_token": f"shpat_{self.granted}", "scope": "read_orders", "expires_in": 86_399}

    def _list(self, query: dict[str, str]) -> Said:
        if "page_info" in query:
            assert query.keys() == {"page_info", "limit"}  # no other filter may stand beside a cursor
            since, _, last = query["page_info"].partition("|")
        else:
            assert query["status"] == "any"
            since, last = query.get("updated_at_min", ""), ""
        found = sorted(self.orders.values(), key=lambda order: -order["id"])
        if "ids" in query:
            found = [order for order in found if str(order["id"]) in query["ids"].split(",")]
        bound = datetime.fromisoformat(since) if since else datetime.min.replace(tzinfo=UTC)
        found = [order for order in found if datetime.fromisoformat(order["updated_at"]) >= bound]
        found = [order for order in found if not last or order["id"] < int(last)]
        size = int(query["limit"])
        page, more = found[:size], {}
        if len(found) > size:
            address = f"{self.url}/admin/api/2026-07/orders.json?limit={size}&page_info={since.replace('+', '%2B')}|"
            more = {"Link": f'<{address}{page[-1]["id"]}>; rel="next"'}
        return 200, {"orders": page}, more

    def _webhooks(self, method: str, query: dict[str, str], body: Any) -> Said:
        if method == "GET":
            there = [hook for hook in self.webhooks.values() if hook["address"] == query["address"]]
            return 200, {"webhooks": there}
        made = {"id": next(self._numbers)} | body["webhook"]
        self.webhooks[made["id"]] = made
        return 201, {"webhook": made}
