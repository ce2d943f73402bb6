"""A small installation with the JSON API alone: orders are fed straight into the inbox, past the door."""

import hashlib
import json
from typing import Any

from flask import Flask
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from plugin.models import delivery, metadata
from plugin.services.add_shop import NewShop, add_shop, find_shop
from plugin.services.check_books import check_books
from plugin.services.digest import PURPOSE, row_mac
from plugin.services.manage_access import add_token
from plugin.services.process_inbox import seal
from tests.world import Shop, World

TEN_PERCENT = {"commission": {"default": {"percent": "10"}}}


class FedShop(Shop):
    """A shop whose deliveries are stored as the door would store them."""

    def deliver(self, order: dict[str, Any], *, delivery_id: str | None = None, expect: int = 200) -> dict[str, Any]:
        """Store a delivery of the order; return the order."""
        context = self.world.context
        body = json.dumps({"type": "order", "data": order}).encode()
        row = {
            "shop_id": find_shop(context, self.key).id,
            "delivery_id": delivery_id or f"msg_{self.world.number()}",
            "topic": "order",
            "body_sha": hashlib.sha256(body).digest(),
            "received_at": context.now(),
        }
        row["mac"] = row_mac(context.keys.mac_key(PURPOSE), "pa_delivery", row)
        row |= {"body": seal(context, "{}", body), "state": "stored", "attempts": 0, "due_at": row["received_at"]}
        with context.database.writing() as connection:
            connection.execute(delivery.insert().values(row))
        return order


class Installation(World):
    """The API seen from outside."""

    def __init__(self, app: Flask) -> None:
        super().__init__(app)
        self.main_token = self.token

    def shop(self, platform: str = "generic", **details: Any) -> FedShop:
        """Add a shop whose orders earn from long ago."""
        new = NewShop(platform, details.pop("url", "https://shop.example.com"), starts_at=0, **details)
        return FedShop(self, add_shop(self.context, new, actor="test"))

    def use(self, scope: str, shop: Shop | None = None) -> None:
        """Speak with a fresh token from now on."""
        self.token = add_token(self.context, "other", scope=scope, shop_key=shop.key if shop else None)["token"]

    def use_main(self) -> None:
        """Speak with the token that may do everything again."""
        self.token = self.main_token

    def refused(self, method: str, path: str, body: Any = None, *, status: int, code: str, **headers: str) -> Any:
        """Call, assert the whole shape of the problem, and return it."""
        return self.problem(self.response(method, path, body, **headers), status=status, code=code)

    def refused_raw(self, method: str, path: str, body: Any, *, status: int, code: str) -> Any:
        """Call with any JSON, null too, and assert the whole shape of the problem."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.problem(self.raw(method, path, raw), status=status, code=code)

    def raw(self, method: str, path: str, body: bytes, content_type: str = "application/json") -> TestResponse:
        """Call with bytes as the body."""
        headers = {"Authorization": f"Bearer {self.token}"}
        return self.client.open(
            f"/api/v1{path}", method=method, data=body, content_type=content_type, headers=headers
        )

    def problem(self, response: TestResponse, *, status: int, code: str) -> Any:
        """Assert the whole shape of a problem and return it."""
        told = response.get_json(force=True)
        assert (response.status_code, told.get("code")) == (status, code), (response.request, told)
        assert response.content_type == "application/problem+json"
        assert told.keys() - {"errors"} == {"type", "title", "status", "detail", "code"}
        assert (told["status"], "errors" in told) == (status, status == 422)
        return told

    def counts(self) -> dict[str, int]:
        """Return how many rows each table has."""
        with self.context.database.reading() as connection:
            return {
                name: connection.execute(select(func.count()).select_from(table)).scalar_one()
                for name, table in metadata.tables.items()
            }

    def assert_books(self) -> None:
        """Assert that the books prove themselves."""
        report = check_books(self.context)
        assert report.ok, report.problems
