"""A shop, its sharers and its orders, driven through the doors their users use: webhooks, links, the JSON API."""

import itertools
import json
from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from typing import Any

from click.testing import CliRunner
from flask import Flask
from flask.cli import ScriptInfo
from sqlalchemy import Connection, NullPool, create_engine, text
from werkzeug.test import TestResponse

from plugin.cli import flask_group
from plugin.domain.moment import SECOND, format_moment, parse_moment
from plugin.domain.money import format_minor
from plugin.extension import HOST_EXTENSION, Mounted
from plugin.outbound import Outbound
from plugin.services.add_shop import NewShop, add_shop
from plugin.services.check_books import Report, check_books
from plugin.services.context import Context
from plugin.services.do_work import do_work
from plugin.services.manage_access import add_token
from plugin.services.process_inbox import Tally
from plugin.services.release_holds import release_holds
from plugin.shops import generic

PLACED = "2026-11-01T10:00:00Z"
LONG_AGO = "2020-01-01T00:00:00Z"
TEN = {"commission": {"default": {"percent": "10"}}}


class Clock:
    """A clock that stands still until it is told otherwise."""

    def __init__(self, at: str) -> None:
        self.at = parse_moment(at)

    def __call__(self) -> int:
        return self.at

    def set(self, at: str) -> None:
        """Set the clock to a time, also back."""
        self.at = parse_moment(at)

    def iso(self) -> str:
        """Return the time as ISO 8601."""
        return format_moment(self.at)

    def add(self, seconds: int) -> None:
        """Let time go by."""
        self.at += seconds * SECOND


class World:
    """An installation seen from outside. Workers do not run by themselves: :meth:`work` does what is due."""

    def __init__(self, app: Flask) -> None:
        self.app = app
        self.client = app.test_client()
        self.context: Context = app.extensions["passalong"].context
        self.token = add_token(self.context, "test", scope="payout", shop_key=None)["token"]
        self._numbers = itertools.count(1)

    def go_on_from(self, earlier: "World") -> None:
        """Take over from the world whose files and database these were: its token, numbers used, and stopped clock."""
        self.token = earlier.token
        self._numbers = copy(earlier._numbers)
        if isinstance(earlier.context.now, Clock):
            self.stop_clock(earlier.context.now.iso())

    def stop_clock(self, at: str) -> Clock:
        """Stop the installation's clock at a time; return it, to be moved by hand."""
        clock = Clock(at)
        object.__setattr__(self.context, "now", clock)
        object.__setattr__(self.context, "outbound", Outbound(now=clock))
        return clock

    # --- the API ----------------------------------------------------------------------------------------------------

    def call(self, method: str, path: str, body: Any = None, *, expect: int | None = None, **headers: str) -> Any:
        """Call the JSON API; where a status is expected, assert it and return the JSON."""
        response = self.response(method, path, body, **headers)
        if expect is not None:
            assert response.status_code == expect, (method, path, response.status_code, response.get_data(as_text=True))
        return response.get_json()

    def response(self, method: str, path: str, body: Any = None, **headers: str) -> TestResponse:
        """Call the JSON API and return the whole response."""
        sent = {"Authorization": f"Bearer {self.token}", **{k.replace("_", "-"): v for k, v in headers.items()}}
        return self.client.open(f"/api/v1{path}", method=method, json=body, headers=sent)

    def command(self, *args: str, expect: int | None = 0) -> Any:
        """Run ``flask passalong`` on this installation; return its JSON, or what it said instead on stderr."""
        host = Flask("host")
        host.extensions[HOST_EXTENSION] = Mounted(self.app, "/passalong")
        script = ScriptInfo(create_app=lambda: host)
        done = CliRunner().invoke(flask_group, ["--json", *args], obj=script)
        assert expect in (None, done.exit_code), (args, done.exit_code, done.output)
        return json.loads(done.stdout) if done.stdout else done.stderr

    # --- a small world ----------------------------------------------------------------------------------------------

    def shop(self, platform: str = "generic", **details: Any) -> "Shop":
        """Add a shop whose orders earn from long ago."""
        new = NewShop(platform, details.pop("url", "https://shop.example.com"), starts_at=0, **details)
        return Shop(self, add_shop(self.context, new, actor="test"))

    def number(self) -> int:
        """Return a number not used before."""
        return next(self._numbers)

    def deliveries(self) -> list[dict[str, Any]]:
        """Return what came in, oldest first, as the owner sees it."""
        found: list[dict[str, Any]] = self.command("deliveries")["deliveries"]
        return sorted(found, key=lambda one: int(one["id"].removeprefix("dlv_")))

    def work(self) -> Tally:
        """Do all that is due."""
        return do_work(self.context)

    def release(self, now: str = "2035-01-01T00:00:00Z") -> dict[str, Any]:
        """Release what is due at a time."""
        return release_holds(self.context, now=parse_moment(now), actor="test").to_json()

    def books(self) -> Report:
        """Check the books and assert that they hold."""
        report = check_books(self.context)
        assert report.ok, report.problems
        return report


class Shop:
    """One shop and what can happen in it."""

    def __init__(self, world: World, made: dict[str, str]) -> None:
        self.world = world
        self.key, self.secret = made["key"], made["webhook_secret"]

    def plan(self, plan: dict[str, Any] | None = None, *, since: str | None = LONG_AGO, expect: int = 200) -> Any:
        """Put a plan; by default ten percent of everything since long ago."""
        body = TEN if plan is None else plan
        suffix = f"?from={since}" if since else ""
        return self.world.call("PUT", f"/shops/{self.key}/plan{suffix}", body, expect=expect)

    def sharer(self, name: str = "alice", **details: Any) -> str:
        """Enrol a sharer who counts since long ago; return the id."""
        body = {"shop": self.key, "email": f"{name}@example.org", "name": name, "since": LONG_AGO} | details
        made: str = self.world.call("POST", "/sharers", body, expect=201)["id"]
        return made

    def link(self, sharer: str, **details: Any) -> Any:
        """Issue a link."""
        return self.world.call("POST", "/links", {"sharer": sharer, **details}, expect=201)

    def click(self, link: Any) -> str:
        """Open a share link as a buyer would and return the click token that the shop's address then carries."""
        response = self.world.client.get(f"/s/{link['code']}", headers={"User-Agent": "Mozilla/5.0"})
        assert response.status_code == 302, response.status_code
        location = response.headers["Location"]
        return location.split("pa=", 1)[1].split("&", 1)[0].split("#", 1)[0]

    def order(self, ref: str | None = None, **changes: Any) -> dict[str, Any]:
        """Return a paid order of 100.00 USD, changed as told."""
        ref = ref or f"order-{self.world.number()}"
        return {
            "id": ref,
            "number": f"#{ref}",
            "updated_at": PLACED,
            "placed_at": PLACED,
            "paid_at": PLACED,
            "currency": "USD",
            "status": "open",
            "payment": "paid",
            "customer": {"id": f"c-{ref}", "email": f"{ref}@buyers.example".lower(), "orders_before": 0},
            "lines": [{"id": "l1", "product_id": "p1", "sku": "S", "quantity": 2, "amount": "100.00", "tax": "0.00"}],
            "shipping": {"amount": "0.00", "tax": "0.00"},
            "total": "100.00",
            "refunds": [],
            "codes": [],
            "attributes": {},
        } | changes

    def post(self, body: bytes, headers: dict[str, str]) -> TestResponse:
        """Bring bytes to the shop's door."""
        return self.world.client.post(f"/webhooks/{self.key}", data=body, headers=headers)

    def signed(self, body: bytes, *, delivery_id: str | None = None, at: int | None = None) -> dict[str, str]:
        """Return the headers of a delivery of the generic shop."""
        delivery_id = delivery_id or f"msg_{self.world.number()}"
        at = self.world.context.now() // SECOND if at is None else at
        return {
            "Content-Type": "application/json",
            "webhook-id": delivery_id,
            "webhook-timestamp": str(at),
            "webhook-signature": generic.sign(self.secret, delivery_id, at, body),
        }

    def deliver(self, order: dict[str, Any], *, delivery_id: str | None = None, expect: int = 200) -> dict[str, Any]:
        """Send an order signed through the door; return it."""
        body = json.dumps({"type": "order", "data": order}).encode()
        response = self.post(body, self.signed(body, delivery_id=delivery_id))
        assert response.status_code == expect, (response.status_code, response.get_data(as_text=True))
        return order

    def told(self, order: dict[str, Any], **kwargs: Any) -> Any:
        """Deliver an order, work, and return how the API shows it."""
        self.deliver(order, **kwargs)
        self.world.work()
        return self.see(order["id"])

    def see(self, ref: str) -> Any:
        """Return how the API shows an order."""
        return self.world.call("GET", f"/orders/{ref}?shop={self.key}", expect=200)

    def receipt(self, ref: str) -> Any:
        """Return an order's receipt."""
        return self.world.call("GET", f"/orders/{ref}/receipt?shop={self.key}", expect=200)

    def balance(self, sharer: str, currency: str = "USD") -> dict[str, str]:
        """Return a sharer's balances in a currency; zeros where there is none yet."""
        balances = self.world.call("GET", f"/sharers/{sharer}/balances", expect=200)["balances"]
        names = ("pending", "held", "payable", "in_flight", "paid", "earned")
        nothing = dict.fromkeys(names, format_minor(0, currency))
        return next((one for one in balances if one["currency"] == currency), nothing)

    # --- paying out -------------------------------------------------------------------------------------------------

    def draft(self, currency: str = "USD", *, expect: int = 201, **details: Any) -> Any:
        """Draft a payout by hand of everybody who could be paid."""
        body = {"shop": self.key, "rail": "manual", "currency": currency, **details}
        return self.world.call("POST", "/payouts", body, expect=expect)

    def step(self, payout: Any, verb: str, *, expect: int = 200) -> Any:
        """Approve, submit or cancel a payout; return it as it then is."""
        answer = self.world.call("POST", f"/payouts/{payout['id']}/{verb}", {}, expect=expect)
        return self.world.call("GET", f"/payouts/{payout['id']}", expect=200) if expect == 200 else answer

    def mark(self, payout: Any, item: Any, state: str = "paid", *, expect: int = 200, **details: Any) -> Any:
        """Mark one item of a payout; return the payout as it then is."""
        path = f"/payouts/{payout['id']}/items/{item['id']}/mark"
        answer = self.world.call("POST", path, {"state": state, **details}, expect=expect)
        return self.world.call("GET", f"/payouts/{payout['id']}", expect=200) if expect == 200 else answer

    def pay(self, currency: str = "USD", **details: Any) -> Any:
        """Pay everybody who can be paid, the whole way; return the payout."""
        payout = self.draft(currency, **details)
        self.step(payout, "approve")
        payout = self.step(payout, "submit")
        for item in payout["items"]:
            payout = self.mark(payout, item, reference="bank 1")
        return payout


@contextmanager
def guards_off(world: World) -> Iterator[Connection]:
    """Open a connection on which no trigger and no foreign key looks; the guards are there again afterwards."""
    engine = create_engine(world.context.database.engine.url, poolclass=NullPool)
    with engine.connect() as connection, connection.begin():
        if world.context.database.is_sqlite:
            connection.exec_driver_sql("PRAGMA synchronous = OFF")
        if not world.context.database.is_sqlite:
            connection.execute(text("SET LOCAL session_replication_role = replica"))
            yield connection
            return
        query = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND name LIKE 'pa_%'"
        triggers = connection.execute(text(query)).all()
        for name, _ in triggers:
            connection.exec_driver_sql(f"DROP TRIGGER {name}")
        yield connection
        for _, statement in triggers:
            connection.exec_driver_sql(statement)
