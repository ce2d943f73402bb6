"""What a shop adapter promises. It knows the normal form and errors, and neither Flask nor the database."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from plugin.errors import Malformed, PluginError
from plugin.outbound import Outbound

Headers = Mapping[str, str]  # names in lower case

DEPTH_MAX = 60


@dataclass(frozen=True, slots=True)
class Label:
    """How a delivery is told apart, read from its headers alone; ``delivery_id`` None where the shop gives none."""

    delivery_id: str | None
    topic: str


@dataclass(frozen=True, slots=True)
class Said:
    """What a delivery says, in the generic shop's own words.

    ``orders`` are whole orders as section 5 of the interface page shapes them (the e-mail still in clear: it is hashed
    before anything is stored). ``deleted`` are order ids of which only the deletion is told. ``asks`` are ids of orders
    about which the shop knows more than it said; of those that are deleted too, the answer counts and not the deletion.
    A delivery that says none of these is simply done.
    """

    orders: Sequence[Mapping[str, Any]] = field(default_factory=tuple)
    deleted: Sequence[str] = field(default_factory=tuple)
    asks: Sequence[str] = field(default_factory=tuple)


class ShopRefused(PluginError):
    """The shop answered, and would not do it: the sentence says what its owner has to mend."""

    status = 502

    def __init__(self, message: str) -> None:
        super().__init__("shop_refused", message)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a shop is, and the credentials its owner gave us; no ``repr`` shows them."""

    url: str
    credentials: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Heard:
    """What a shop answered when asked, as of ``at`` by its own clock (ISO 8601): JSON texts by name.

    It is stored as a delivery of its own, so that a replay needs no shop.
    """

    topic: str
    at: str
    parts: Mapping[str, bytes]

    @property
    def body(self) -> bytes:
        """Return the body of that delivery: one JSON object."""
        parts = b"".join(b',"%s":%s' % (name.encode(), text) for name, text in self.parts.items())
        return b'{"at":"%s"%s}' % (self.at.encode(), parts)

    @property
    def sha(self) -> str:
        """Return the SHA-256 of what was answered, whenever that was."""
        return hashlib.sha256(b"\0".join((self.topic.encode(), *self.parts.values()))).hexdigest()


class Shop(Protocol):
    """One platform. ``verify`` raises BadSignature and ``parse`` Malformed, and nothing else, whatever they get."""

    name: str

    def is_ping(self, headers: Headers, body: bytes) -> bool:
        """Tell whether this is the platform's unsigned greeting, to be answered with 200 and not kept."""
        ...

    def verify(self, headers: Headers, body: bytes, secrets: Sequence[str], now: int) -> None:
        """Check the signature over the raw bytes with any of the secrets; ``now`` in microseconds since 1970."""
        ...

    def label(self, headers: Headers) -> Label:
        """Return how this delivery is told apart."""
        ...

    def parse(self, topic: str, body: bytes) -> Said:
        """Read a verified body; never calls out."""
        ...

    def new_secret(self) -> str:
        """Make a webhook secret as the platform likes it."""
        ...

    def check_secret(self, secret: str) -> None:
        """Refuse (BadRequest) a secret that is empty or that the platform could not use."""
        ...


@runtime_checkable
class Asked(Protocol):
    """A platform whose shops can be asked; raises Malformed for an id that is none, ShopRefused, outbound's errors."""

    credentials: tuple[str, ...]  # the names of what the owner must give

    def ask(self, out: Outbound, place: Place, ref: str) -> Heard:
        """Return the order as the shop has it now, whole; of one it no longer has, that it is gone."""
        ...


def read_json(body: bytes) -> Any:
    """Read JSON strictly: UTF-8, no NaN or Infinity, no key twice, no number that is not what it says, not too deep."""
    try:
        data = json.loads(body.decode(), parse_constant=_refuse, object_pairs_hook=_unique)
    except RecursionError:
        raise Malformed("The body is nested too deep.") from None
    except ValueError as error:
        reason = str(error) if isinstance(error, _Refused) else "it does not parse"
        raise Malformed(f"The body is not JSON: {reason}.") from None
    return data


class _Refused(ValueError):
    pass


def _refuse(name: str) -> Any:
    raise _Refused(f"{name} is no number")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _Refused("a key stands twice in one object")
    return found
