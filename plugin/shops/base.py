"""What a shop adapter promises. It knows the normal form and errors, and neither Flask nor the database."""

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime
from fractions import Fraction
from typing import Any, Protocol, runtime_checkable
from urllib.parse import unquote, urlsplit

from plugin.errors import BadSignature, Malformed, PluginError, Sentence
from plugin.outbound import Answer, BadAnswer, Outbound

Headers = Mapping[str, str]  # names in lower case

DEPTH_MAX = 60
NUMBER = re.compile(r"[0-9]{1,20}", re.ASCII)  # an id of the platforms that count
EXCERPT_MAX = 200  # signs: more than any chat shows
_DECIMAL = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,6})?", re.ASCII)
_MICROS = 10**6
# The topics of what a shop answered when asked; one that it sends under such a name is none.
OURS = "asked/"
ASKED_ORDER, ASKED_GONE, ASKED_LISTED = f"{OURS}order", f"{OURS}gone", f"{OURS}listed"
ASKED_PRODUCTS = f"{OURS}products"


@dataclass(frozen=True, slots=True)
class Label:
    """How a delivery is told apart, read from its headers alone.

    ``delivery_id`` is None where the shop gives none; ``shop`` is the account it says to come from, where it does.
    """

    delivery_id: str | None
    topic: str
    shop: str | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """What a platform asks of whoever holds data of its shops, by law or because the shop is leaving.

    ``kind``: "tell" what is held of a buyer, "erase" a buyer, "erase_shop" all that is held of a shop's buyers, or
    "leave", the shop having taken our access back. The buyer is named by any of the other fields.
    """

    kind: str
    email: str | None = field(default=None, repr=False)
    customer: str | None = None
    orders: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Product:
    """A product as its shop describes it now; ``price`` is a decimal string, ``collections`` the names rules go by.

    ``page`` is what ``Catalogued.page_of`` returns for the addresses under which the shop shows it.
    """

    id: str
    title: str | None = None
    description: str | None = None
    page: str | None = None
    picture: str | None = None
    url: str | None = None
    price: str | None = None
    currency: str | None = None
    collections: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Sold:
    """What the shop told, at ``at`` (ISO 8601), of the products that an order holds."""

    order: str
    at: str
    products: Sequence[Product]


@dataclass(frozen=True, slots=True)
class Said:
    """What a delivery says, in the generic shop's own words.

    ``orders`` are whole orders as section 5 of the interface page shapes them (the e-mail still in clear: it is hashed
    before anything is stored). ``deleted`` are order ids of which only the deletion is told. ``asks`` are ids of orders
    about which the shop knows more than it said; of those that are deleted too, the answer counts and not the deletion.
    ``sold`` is what was looked up about the products of an order. A delivery that says none of these is simply done.
    """

    orders: Sequence[Mapping[str, Any]] = field(default_factory=tuple)
    deleted: Sequence[str] = field(default_factory=tuple)
    asks: Sequence[str] = field(default_factory=tuple)
    request: Request | None = None
    sold: Sold | None = None


class ShopRefused(PluginError):
    """The shop answered, and would not do it: the sentence says what its owner has to mend."""

    status = 502

    def __init__(self, message: str, /, **values: object) -> None:
        super().__init__("shop_refused", Sentence(message, **values))


class StaleCursor(ShopRefused):
    """The shop does not know any more where a list was broken off."""

    def __init__(self) -> None:
        super().__init__("The shop cannot go on with a list that was broken off.")


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
    title: str  # what people call it
    headers: tuple[str, ...]  # how the names of its own headers begin, in lower case; they are kept beside the body

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

    credentials: tuple[tuple[str, ...], ...]  # the names of what the owner must give; any one of these sets will do
    more: tuple[str, ...]  # the names of what they may give besides; "secret" is that of the webhooks

    def ask(self, out: Outbound, place: Place, ref: str) -> Heard:
        """Return the order as the shop has it now, whole; of one it no longer has, that it is gone."""
        ...


@dataclass(frozen=True, slots=True)
class Profile:
    """What a shop says of itself; ``learned`` is what is to be kept beside the credentials that the owner gave."""

    name: str | None
    currency: str | None
    timezone: str | None
    learned: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Hook:
    """A webhook of the shop that delivers to us: ``kept`` as it was, ``made``, or ``mended`` after it was off."""

    topic: str
    state: str


@dataclass(frozen=True, slots=True)
class Listed:
    """Some orders of a shop as of ``at`` by its clock: (id, body of a delivery of topic ``asked/listed``).

    ``cursor`` is where the list goes on, None at its end.
    """

    at: str
    orders: Sequence[tuple[str, bytes]]
    cursor: str | None = None


@runtime_checkable
class Connected(Shop, Asked, Protocol):
    """A platform whose shops can be connected: they tell what they are, take webhooks and list their orders."""

    def look(self, out: Outbound, place: Place) -> Profile:
        """Try the credentials and return what the shop says of itself; ShopRefused says what to mend, and where."""
        ...

    def hook(self, out: Outbound, place: Place, address: str, secret: str) -> Sequence[Hook]:
        """Have the shop deliver to the address, signed with the secret: make what is missing, mend what is off."""
        ...

    def list_orders(self, out: Outbound, place: Place, since: str, cursor: str | None) -> Listed:
        """Return a page of the orders that changed since a time (ISO 8601, by the shop's clock).

        Whatever changes while the list is read, no order is passed over that had changed before the reading began.
        Raise StaleCursor for a cursor that does not hold any more.
        """
        ...

    def read_again(self, out: Outbound, place: Place, refs: Sequence[str]) -> Listed:
        """Return those of at most 100 orders that the shop still lists."""
        ...


@runtime_checkable
class Catalogued(Asked, Protocol):
    """A platform whose shops tell of their products."""

    def page_of(self, address: str) -> str | None:
        """Return what the addresses of one product's page have in common; None for what cannot be such a page."""
        ...

    def products(self, out: Outbound, place: Place, refs: Sequence[str]) -> Sequence[Product]:
        """Return those of at most 100 products that the shop still has."""
        ...


@runtime_checkable
class Granting(Connected, Protocol):
    """A platform whose shops have a page on which their owner grants keys, which the shop then sends."""

    def grant_url(self, home: str, callback: str, back: str) -> str:
        """Return the address of that page: it sends the keys to ``callback`` and its visitor to ``back``."""
        ...

    def granted(self, data: Any) -> Mapping[str, str]:
        """Return the credentials in what the shop sent; raise Malformed for anything else."""
        ...


@dataclass(frozen=True, slots=True)
class Coupon:
    """A code to be made in a shop: what it saves the buyer, ``percent`` or ``amount`` of the shop's currency.

    Both are decimal strings. ``note`` is how the shop's owner, and we, tell whose it is.
    """

    code: str
    note: str
    percent: str | None = None
    amount: str | None = None
    once: bool = False


@runtime_checkable
class Discounting(Asked, Protocol):
    """A platform in whose shops coupon codes can be made."""

    def make_coupon(self, out: Outbound, place: Place, coupon: Coupon) -> str:
        """Make a code and return the shop's id of it; one that is there with the same note is the one wanted."""
        ...

    def end_coupon(self, out: Outbound, place: Place, ref: str) -> None:
        """Have a code be worth nothing from now on; one that is gone is as good."""
        ...

    def bring_code(self, address: str, code: str) -> str:
        """Return where on the shop a visitor of that address goes so that the code comes to the checkout with them."""
        ...


def require_hmac(given: str, body: bytes, secrets: Iterable[str]) -> None:
    """Raise BadSignature unless what was given is base64 of the body's HMAC-SHA256 under one of the secrets."""
    good = False
    for secret in secrets:
        digest = base64.b64encode(hmac.digest(secret.encode(), body, "sha256"))
        good |= hmac.compare_digest(given.encode("utf-8", "replace"), digest)
    if not good:
        raise BadSignature


def gone(ref: str, answer: Answer) -> Heard:
    """Return what was heard of an order that the shop no longer has."""
    return Heard(ASKED_GONE, said_at(answer), {"id": json.dumps(ref).encode()})


def sold_body(sold: Sold) -> bytes:
    """Return the body of the delivery in which a look-up is kept; the same whatever the platform."""
    products = [asdict(product) for product in sold.products]
    return json.dumps({"order": sold.order, "at": sold.at, "products": products}, sort_keys=True).encode()


def read_sold(body: bytes) -> Said:
    """Read such a body back."""
    data = json.loads(body)
    return Said(sold=Sold(data["order"], data["at"], tuple(map(read_product, data["products"]))))


def read_product(data: Mapping[str, Any]) -> Product:
    """Read a product as it was stored."""
    return Product(**{**data, "collections": tuple(data["collections"])})


def listed(order: Mapping[str, Any]) -> bytes:
    """Return the body of a delivery that holds an order out of a list."""
    return json.dumps({"order": order}, separators=(",", ":"), sort_keys=True).encode()


@runtime_checkable
class Named(Protocol):
    """A platform whose deliveries say from which shop they are: one secret may sign for all shops of an app."""

    def account(self, place: Place) -> str | None:
        """Return what ``Label.shop`` must be, or None where that is not known."""
        ...


@runtime_checkable
class Dated(Protocol):
    """A platform whose signatures hold for a while only."""

    def signed_at(self, headers: Headers) -> int | None:
        """Return when a delivery says it was signed, in microseconds since 1970; None where it does not say."""
        ...


def said_at(answer: Answer) -> str:
    """Return until when an answer holds, by the shop's own clock; raise BadAnswer for one without a date.

    A date in HTTP is cut to the second (RFC 9110 section 5.6.7), as are those of orders, and an answer knows more than
    a webhook of the same second: so it counts as of that second's end.
    """
    try:
        said = parsedate_to_datetime(answer.headers["date"])
    except (KeyError, ValueError):
        raise BadAnswer(answer.host, "HTTP with a date") from None
    return said.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.999999Z")


def read_json(body: bytes, *, fractions_as_text: bool = False) -> Any:
    """Read JSON strictly: UTF-8, no NaN or Infinity, no key twice, no number that is not what it says, not too deep.

    Where amounts come as numbers, ``fractions_as_text`` gives those with a point or exponent as they were written.
    """
    parse_float = str if fractions_as_text else float
    try:
        data = json.loads(body.decode(), parse_float=parse_float, parse_constant=_refuse, object_pairs_hook=_unique)
    except RecursionError:
        raise Malformed("The body is nested too deep.") from None
    except ValueError as error:
        reason = error.why if isinstance(error, _Refused) else Sentence("it does not parse")
        raise Malformed("The body is not JSON: %(reason)s.", reason=reason) from None
    return data


class _Refused(ValueError):
    def __init__(self, why: Sentence) -> None:
        super().__init__(why)
        self.why = why


def _refuse(name: str) -> Any:
    raise _Refused(Sentence("%(name)s is no number", name=name))


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _Refused(Sentence("a key stands twice in one object"))
    return found


# --- reading fields: each returns what it promises or raises Malformed with the reason --------------------------------


def mapping(value: object, what: str) -> Mapping[str, Any]:
    """Return an object."""
    if not isinstance(value, dict):
        raise Malformed("%(what)s is not an object.", what=what)
    return value


def required(data: Mapping[str, Any], names: Sequence[str], what: str) -> None:
    """Refuse an object that lacks one of the fields, or has an empty one."""
    for name in names:
        if data.get(name) in (None, ""):
            raise Malformed("%(what)s has no %(name)s.", what=what, name=name)


def rows(data: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    """Return a list of objects; a missing one is empty."""
    found = data.get(name) or []
    if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
        raise Malformed("%(what)s is not a list of objects.", what=name)
    return found


def decimal(value: object, what: str) -> Fraction:
    """Return a decimal string of at most 15 and 6 digits exactly; a missing or empty one is 0."""
    if value is None or value == "":
        return Fraction(0)
    if not isinstance(value, str) or not _DECIMAL.fullmatch(value):
        raise Malformed("%(what)s is not a decimal string.", what=what)
    return Fraction(value)


def money(exact: Fraction) -> str:
    """Write an exact amount of at most six places."""
    whole, part = divmod(int(exact * _MICROS), _MICROS)
    return f"{whole}.{part:06d}"


def ident(value: object, what: str) -> str:
    """Return an id, which shops write as a text or a number, as text."""
    if isinstance(value, bool) or not isinstance(value, int | str) or str(value).strip() == "":
        raise Malformed("%(what)s is not an id.", what=what)
    return str(value)


def optional_ident(value: object) -> str | None:
    """Return an id, or None where the shop names nothing, for which some write 0."""
    return None if value in (None, 0, "0", "") else ident(value, "An id")


def require_bare(data: Mapping[str, Any]) -> None:
    """Refuse a deletion that holds a whole order: topics are not signed, so it may be an order under a false one."""
    if "line_items" in data:
        raise Malformed("What is said to be a deletion holds a whole order.")


def text_of(value: object) -> str | None:
    """Return a text, or None for an empty one and for anything else."""
    return value if isinstance(value, str) and value else None


def excerpt(value: object) -> str | None:
    """Return the beginning of a text in one line, for a preview; None for one that says nothing."""
    said = " ".join(value.split()) if isinstance(value, str) else ""
    cut = f"{said[: EXCERPT_MAX - 1].rstrip()}…" if len(said) > EXCERPT_MAX else said
    return cut or None


def path_of(address: str) -> str:
    """Return an address's path as it is read, without escapes and closing slashes; empty for the home page."""
    try:
        return unquote(urlsplit(address).path).rstrip("/")
    except ValueError:  # no address at all
        return ""
