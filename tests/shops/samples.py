"""The data of the contract suite: what each platform sends and what it must come to, one JSON file per platform.

What stands in a file is told in tests/shops/contract/README.md. Nothing here knows a platform by name.
"""

import base64
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from plugin import shops
from plugin.domain.moment import parse_moment
from plugin.errors import Malformed
from plugin.shops.base import ASKED_GONE, ASKED_LISTED, ASKED_ORDER, Shop
from tests.shops.mutations import holds

HERE = Path(__file__).parent
FOLDER = HERE / "contract"
# What a delivery holds, by the fields of Said: ids of orders, and the kind of what the platform asks of us.
SAYS = ("orders", "deleted", "asks", "request")


@dataclass(frozen=True, slots=True)
class Sample:
    """A delivery with its finished signature, which holds at ``at`` (microseconds since 1970)."""

    name: str
    topic: str
    headers: Mapping[str, str]
    body: bytes
    at: int
    says: Mapping[str, Any] = field(default_factory=dict)

    @property
    def lower(self) -> dict[str, str]:
        """Return the headers as an adapter gets them."""
        return {name.lower(): value for name, value in self.headers.items()}


@dataclass(frozen=True, slots=True)
class Told:
    """A story: which deliveries arrive, and what the books say of each order in the end."""

    name: str
    arrive: tuple[str, ...]
    expected: Mapping[str, Mapping[str, Any]]
    codes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Samples:
    """All that is known of a platform beside its adapter."""

    shop: Shop
    url: str
    secret: str
    at: int
    topics: tuple[str, ...]
    deliveries: Mapping[str, Sample]
    pings: Mapping[str, Sample]
    answers: Mapping[str, Sample]
    stories: tuple[Told, ...]
    unasked: tuple[str, ...]
    nonsense: tuple[str, ...]
    late: tuple[str, str, str]
    another_shop: Mapping[str, str] | None

    def good(self) -> list[Sample]:
        """Return the deliveries that are understood."""
        return [one for name, one in self.deliveries.items() if name not in self.nonsense]

    @property
    def paid(self) -> Sample:
        """Return a delivery of a paid order of which nothing was given back yet."""
        return self.deliveries[self.late[0]]

    @property
    def refunded(self) -> Sample:
        """Return a later state of that order, of which money was given back."""
        return self.deliveries[self.late[1]]

    @property
    def paid_again(self) -> Sample:
        """Return the first one once more, sent a day later, under another id where the platform gives ids."""
        return self.deliveries[self.late[2]]

    @property
    def ref(self) -> str:
        """Return the id of the order of these three."""
        found: str = self.shop.parse(self.paid.topic, self.paid.body).orders[0]["id"]
        return found

    def signed_headers(self) -> list[str]:
        """Return the headers without which the delivery of the paid order does not hold."""
        kept, found = self.paid.lower, []
        for name in kept:
            lacking = {key: value for key, value in kept.items() if key != name}
            if not holds(self.shop, lacking, self.paid.body, [self.secret], self.paid.at):
                found.append(name)
        return found

    def all_topics(self) -> tuple[str, ...]:
        """Return every topic the adapter knows, and those of what was asked."""
        return (*self.topics, ASKED_ORDER, ASKED_GONE, ASKED_LISTED)


@cache
def of(platform: str) -> Samples:
    """Read the data of a platform; fail with a sentence where there is none, or where something is missing in it."""
    path = FOLDER / f"{platform}.json"
    if not path.is_file():
        raise AssertionError(
            f"The shop {platform} has no data for the contract suite: write tests/shops/contract/{platform}.json"
            " as tests/shops/contract/README.md tells."
        )
    data = json.loads(path.read_text(encoding="utf-8"))
    try:
        return _samples(shops.get(platform), data)
    except KeyError as error:
        raise AssertionError(f"tests/shops/contract/{platform}.json lacks {error}.") from None


def _samples(shop: Shop, data: Mapping[str, Any]) -> Samples:
    at = parse_moment(data["at"])
    return Samples(
        shop=shop,
        url=data["url"],
        secret=data["secret"],
        at=at,
        topics=tuple(data["topics"]),
        deliveries=dict(_read(data["deliveries"], at)),
        pings=dict(_read(data.get("pings", {}), at)),
        answers=dict(_read(data.get("answers", {}), at)),
        stories=tuple(
            Told(one["name"], tuple(one["arrive"]), one["expected"], tuple(one.get("codes", ())))
            for one in data["stories"]
        ),
        unasked=tuple(data.get("unasked", ())),
        nonsense=tuple(data["nonsense"]),
        late=(data["late"][0], data["late"][1], data["late"][2]),
        another_shop=data.get("another_shop"),
    )


def _read(told: Mapping[str, Any], at: int) -> Iterator[tuple[str, Sample]]:
    for name, one in told.items():
        moment = parse_moment(one["at"]) if "at" in one else at
        says = {key: one.get("says", {}).get(key) for key in SAYS} if "says" in one else {}
        yield name, Sample(name, one["topic"], one.get("headers", {}), _body(one["body"]), moment, says)


def _body(told: Any) -> bytes:
    """Return the bytes of a body: a text, or a file beside this one, or base64."""
    if isinstance(told, str):
        return told.encode()
    return (HERE / told["file"]).read_bytes() if "file" in told else base64.b64decode(told["base64"], validate=True)


def says(shop: Shop, one: Sample) -> dict[str, Any]:
    """Return what a delivery says, by the fields of Said; raise Malformed."""
    said = shop.parse(one.topic, one.body)
    orders = []
    for order in said.orders:
        if not isinstance(order.get("id"), str):
            raise Malformed("The order has no id.")
        orders.append(order["id"])
    found = {"orders": orders, "deleted": list(said.deleted), "asks": list(said.asks)}
    return found | {"request": said.request.kind if said.request else None}
