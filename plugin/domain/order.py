"""The normal form: an order as it is now, and how two states of one order merge.

Every shop adapter speaks this form, and it is what is kept for ever. It holds no person: the customer's e-mail is a
keyed hash, and of addresses and attributes only the share tokens stay. The states of an order form a semilattice under
:func:`merge` (associative, commutative, idempotent), which is why the order of arrival and duplicates change nothing.
"""

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from plugin.domain.moment import format_moment, parse_moment
from plugin.domain.money import digits, format_micros, parse_micros
from plugin.domain.stored_json import canonical
from plugin.errors import Malformed

STATUSES = ("open", "cancelled")
PAYMENTS = ("unpaid", "paid", "voided", "chargeback")  # in the order in which equal times are told apart
CARRIERS = ("_pa", "pa", "landing", "utm")  # in the order in which equally old tokens are told apart

_ID_LENGTH_MAX = 255
_TEXT_LENGTH_MAX = 1_000
_COUNT_MAX = 1_000_000_000
_TOKEN = re.compile(r"[A-Za-z0-9_.~-]{1,64}", re.ASCII)
_NOT_A_TOKEN = "?"
_TOKENS_MAX = 50
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Customer:
    """Who bought: the shop's id for them (None for a guest), a keyed hash of the e-mail, earlier orders."""

    id: str | None
    email_hash: str | None
    orders_before: int

    @property
    def key(self) -> str | None:
        """Return what a binding holds on to: the id, else the e-mail hash, else nothing."""
        if self.id is not None:
            return f"id:{self.id}"
        return f"email:{self.email_hash}" if self.email_hash else None


@dataclass(frozen=True, slots=True)
class Line:
    """One line; ``amount`` is what is paid for it after discounts without tax. Money in micros."""

    id: str
    product_id: str | None
    variant_id: str | None
    sku: str | None
    title: str | None
    quantity: int
    amount: int
    tax: int
    collections: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RefundLine:
    """What a refund says of one line. Money in micros."""

    line_id: str
    quantity: int
    amount: int
    tax: int


@dataclass(frozen=True, slots=True)
class Refund:
    """One refund; ``shipping`` includes its tax, ``amount`` is all that went back. Money in micros."""

    id: str
    at: int | None
    lines: tuple[RefundLine, ...]
    shipping: int
    amount: int


@dataclass(frozen=True, slots=True)
class Touch:
    """What names a sharer on an order: coupon codes, and (carrier, text) of each token, in their order."""

    codes: tuple[str, ...] = ()
    tokens: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Order:
    """An order as the shop stated it at one time. Money in micros, times in microseconds since 1970."""

    id: str
    number: str | None
    updated_at: int
    placed_at: int
    paid_at: int | None
    currency: str
    status: str
    payment: str
    test: bool
    customer: Customer | None
    lines: tuple[Line, ...]
    shipping_amount: int
    shipping_tax: int
    total: int
    refunds: tuple[Refund, ...]
    touch: Touch


Key = tuple[int, int, int, int, str]


@dataclass(frozen=True, slots=True)
class State:
    """One stated order with its place among the states of that order, and its canonical text."""

    order: Order
    key: Key
    text: str

    @property
    def sha(self) -> str:
        """Return the SHA-256 of the canonical normal form, the name of this state."""
        return self.key[4]


# --- reading what a shop says ---------------------------------------------------------------------------------------


def normalise_email(email: str) -> str:
    """Return the address two spellings of one mailbox share: case, blanks, ``+tag``, and dots for gmail.com."""
    local, at, domain = "".join(email.split()).lower().rpartition("@")
    if not at:
        return domain
    local = local.split("+", 1)[0]
    return f"{local.replace('.', '') if domain == 'gmail.com' else local}@{domain}"


def normalise_code(code: str) -> str:
    """Return the coupon code as codes are compared: without case and outer blanks."""
    return code.strip().casefold()


def _mapping(value: object, what: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise Malformed("%(what)s is not an object.", what=what)
    return value


def _list(value: object, what: str) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise Malformed("%(what)s is not a list.", what=what)
    return value


def _text(value: object, what: str, longest: int = _TEXT_LENGTH_MAX) -> str | None:
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise Malformed("%(what)s is not a string.", what=what)
    if len(value) > longest or _UNSTORABLE.search(value):
        raise Malformed(
            "%(what)s is longer than %(longest)s characters or holds characters that cannot be stored.",
            what=what,
            longest=longest,
        )
    return value


def _id(value: object, what: str) -> str:
    text = _text(value, what, _ID_LENGTH_MAX)
    if text is None:
        raise Malformed("%(what)s is missing.", what=what)
    return text


def _amount(value: object) -> int:
    return 0 if value is None else parse_micros(value)


def _count(value: object, what: str) -> int:
    if value is None:
        return 0
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _COUNT_MAX:
        raise Malformed("%(what)s is not a whole number from 0 to %(most)s.", what=what, most=_COUNT_MAX)
    return value


def _choice(value: object, allowed: tuple[str, ...], what: str) -> str:
    if not isinstance(value, str) or value not in allowed:
        raise Malformed("%(what)s is not one of %(names)s.", what=what, names=", ".join(allowed))
    return value


def _unique(ids: list[str], what: str) -> None:
    if len(set(ids)) != len(ids):
        raise Malformed("Two %(what)s of the order have the same id.", what=what)


def _required(data: Mapping[str, Any], names: tuple[str, ...], what: str) -> None:
    for name in names:
        if data.get(name) is None:
            raise Malformed("%(what)s has no %(name)s.", what=what, name=name)


def _line(value: object) -> Line:
    data = _mapping(value, "A line")
    _required(data, ("id", "quantity", "amount"), "A line")
    return Line(
        id=_id(data["id"], "A line's id"),
        product_id=_text(data.get("product_id"), "A line's product_id", _ID_LENGTH_MAX),
        variant_id=_text(data.get("variant_id"), "A line's variant_id", _ID_LENGTH_MAX),
        sku=_text(data.get("sku"), "A line's sku", _ID_LENGTH_MAX),
        title=_text(data.get("title"), "A line's title"),
        quantity=_count(data["quantity"], "A line's quantity"),
        amount=parse_micros(data["amount"]),
        tax=_amount(data.get("tax")),
        collections=tuple(_id(name, "A collection") for name in _list(data.get("collections"), "A line's collections")),
    )


def _refund_line(value: object) -> RefundLine:
    data = _mapping(value, "A refund's line")
    _required(data, ("line_id", "quantity", "amount"), "A refund's line")
    return RefundLine(
        line_id=_id(data["line_id"], "A refund's line_id"),
        quantity=_count(data["quantity"], "A refund's quantity"),
        amount=parse_micros(data["amount"]),
        tax=_amount(data.get("tax")),
    )


def _refund(value: object, currency: str) -> Refund:
    data = _mapping(value, "A refund")
    _required(data, ("id", "amount"), "A refund")
    if data.get("currency") not in (None, currency):
        raise Malformed("A refund is in another currency than its order.")
    at = data.get("at")
    return Refund(
        id=_id(data["id"], "A refund's id"),
        at=None if at is None else parse_moment(at),
        lines=tuple(_refund_line(line) for line in _list(data.get("lines"), "A refund's lines")),
        shipping=_amount(data.get("shipping")),
        amount=parse_micros(data["amount"]),
    )


def _customer(value: object, hash_email: Callable[[str], str]) -> Customer | None:
    if value is None:
        return None
    data = _mapping(value, "The customer")
    email = _text(data.get("email"), "The customer's e-mail")
    return Customer(
        id=_text(data.get("id"), "The customer's id", _ID_LENGTH_MAX),
        email_hash=hash_email(normalise_email(email)) if email and email.strip() else None,
        orders_before=_count(data.get("orders_before"), "The customer's orders_before"),
    )


def _tokens_of(carrier: str, value: object) -> list[tuple[str, str]]:
    """Split a carrier's value at its commas. What has not even the shape of a token is kept as a bare mark."""
    if not isinstance(value, str):
        return []
    items = (item.strip() for item in value.split(","))
    return [(carrier, item if _TOKEN.fullmatch(item) else _NOT_A_TOKEN) for item in items if item]


def _touch(data: Mapping[str, Any]) -> Touch:
    codes = [_text(code, "A coupon code", _ID_LENGTH_MAX) for code in _list(data.get("codes"), "codes")]
    attributes = data.get("attributes")
    attributes = {} if attributes is None else _mapping(attributes, "attributes")
    found = _tokens_of("_pa", attributes.get("_pa")) + _tokens_of("pa", attributes.get("pa"))
    landing_url = data.get("landing_url")
    utm: list[tuple[str, str]] = []
    if isinstance(landing_url, str):
        try:
            query = parse_qsl(urlsplit(landing_url).query, max_num_fields=200)
        except ValueError:  # an address that is none names nobody
            query = []
        for name, value in query:
            if name == "pa":
                found += _tokens_of("landing", value)
            elif name == "utm_content":
                utm += _tokens_of("utm", value)
    tokens = found + _tokens_of("utm", attributes.get("utm_content")) + utm
    return Touch(
        codes=tuple(code for code in codes if code and code.strip()),
        tokens=tuple(tokens[:_TOKENS_MAX]),  # doubles too: where a token is listed last decides between equal times
    )


def read_order(data: object, hash_email: Callable[[str], str]) -> Order:
    """Read the generic shop's order (section 5 of the interface page); raise Malformed with the reason.

    ``hash_email`` turns a normalised address into its keyed hash; the address itself is dropped here.
    """
    data = _mapping(data, "The order")
    _required(
        data, ("id", "updated_at", "placed_at", "currency", "status", "payment", "lines", "refunds"), "The order"
    )
    currency = data["currency"]
    digits(currency)
    shipping = data.get("shipping")
    shipping = {} if shipping is None else _mapping(shipping, "shipping")
    test = data.get("test")
    if not isinstance(test, bool | None):
        raise Malformed("test is not true or false.")
    order = Order(
        id=_id(data["id"], "The order's id"),
        number=_text(data.get("number"), "The order's number", _ID_LENGTH_MAX),
        updated_at=parse_moment(data["updated_at"]),
        placed_at=parse_moment(data["placed_at"]),
        paid_at=None if data.get("paid_at") is None else parse_moment(data["paid_at"]),
        currency=currency,
        status=_choice(data["status"], STATUSES, "status"),
        payment=_choice(data["payment"], PAYMENTS, "payment"),
        test=bool(test),
        customer=_customer(data.get("customer"), hash_email),
        lines=tuple(_line(line) for line in _list(data["lines"], "lines")),
        shipping_amount=_amount(shipping.get("amount")),
        shipping_tax=_amount(shipping.get("tax")),
        total=_amount(data.get("total")),
        refunds=tuple(_refund(refund, currency) for refund in _list(data["refunds"], "refunds")),
        touch=_touch(data),
    )
    _unique([line.id for line in order.lines], "lines")
    _unique([refund.id for refund in order.refunds], "refunds")
    return order


# --- the stored form ------------------------------------------------------------------------------------------------


def _stored(order: Order) -> dict[str, Any]:
    customer = order.customer
    return {
        "id": order.id,
        "number": order.number,
        "updated_at": format_moment(order.updated_at),
        "placed_at": format_moment(order.placed_at),
        "paid_at": None if order.paid_at is None else format_moment(order.paid_at),
        "currency": order.currency,
        "status": order.status,
        "payment": order.payment,
        "test": order.test,
        "customer": customer
        and {"id": customer.id, "email_hash": customer.email_hash, "orders_before": customer.orders_before},
        "lines": [
            {
                "id": line.id,
                "product_id": line.product_id,
                "variant_id": line.variant_id,
                "sku": line.sku,
                "title": line.title,
                "quantity": line.quantity,
                "amount": format_micros(line.amount),
                "tax": format_micros(line.tax),
                "collections": list(line.collections),
            }
            for line in order.lines
        ],
        "shipping": {"amount": format_micros(order.shipping_amount), "tax": format_micros(order.shipping_tax)},
        "total": format_micros(order.total),
        "refunds": [
            {
                "id": refund.id,
                "at": None if refund.at is None else format_moment(refund.at),
                "lines": [
                    {
                        "line_id": line.line_id,
                        "quantity": line.quantity,
                        "amount": format_micros(line.amount),
                        "tax": format_micros(line.tax),
                    }
                    for line in refund.lines
                ],
                "shipping": format_micros(refund.shipping),
                "amount": format_micros(refund.amount),
            }
            for refund in order.refunds
        ],
        "codes": list(order.touch.codes),
        "tokens": [list(token) for token in order.touch.tokens],
    }


def state_of(order: Order) -> State:
    """Give a stated order its canonical text (RFC 8785) and its place among the states of that order."""
    text = canonical(_stored(order))
    key = (
        order.updated_at,
        STATUSES.index(order.status),
        PAYMENTS.index(order.payment),
        sum(refund.amount for refund in order.refunds),
        hashlib.sha256(text.encode()).hexdigest(),
    )
    return State(order, key, text)


def read_state(text: str) -> State:
    """Read a stored normal form back; its place is reckoned anew, so that nothing stored beside it need be trusted."""
    data = json.loads(text)
    customer = data.get("customer")
    order = read_order(data | {"customer": None}, lambda email: email)
    order = replace(
        order,
        customer=customer and Customer(customer["id"], customer["email_hash"], customer["orders_before"]),
        touch=Touch(tuple(data["codes"]), tuple((carrier, token) for carrier, token in data["tokens"])),
    )
    return state_of(order)


# --- which state is the order now -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class First:
    """What the earliest state of all says, which later edits never change."""

    key: Key
    placed_at: int
    customer: Customer | None


@dataclass(frozen=True, slots=True)
class Story:
    """All that the known states of one order say together; see :func:`merge`.

    ``paid`` is the earliest paid state's place and ``paid_at``; ``touches`` holds each distinct touch with the earliest
    state that carries it, earliest first; ``deleted_at`` is when a bare "deleted" arrived that nobody could ask about;
    ``sold`` is (product, the collections it was in when the shop was first asked about it for this order).
    """

    now: State
    first: First
    paid: tuple[Key, int | None] | None
    touches: tuple[tuple[Key, Touch], ...]
    deleted_at: int | None = None
    sold: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @property
    def order(self) -> Order:
        """Return the order as it is now; a line that states no collections is in those its product was looked up in."""
        order = self.now.order
        if not self.sold:
            return order
        known = dict(self.sold)
        lines = tuple(
            replace(line, collections=known[line.product_id])
            if line.product_id in known and not line.collections
            else line
            for line in order.lines
        )
        return replace(order, lines=lines)

    @property
    def unknown_products(self) -> tuple[str, ...]:
        """Return the products of the order now that nobody was asked about yet."""
        known = dict(self.sold)
        named = {line.product_id for line in self.now.order.lines if line.product_id is not None}
        return tuple(sorted(named - known.keys()))

    @property
    def cancelled(self) -> bool:
        """Tell whether the order counts as cancelled now."""
        return self.now.order.status == "cancelled" or self.deleted

    @property
    def deleted(self) -> bool:
        """Tell whether a bare deletion is newer than everything the shop stated."""
        return self.deleted_at is not None and self.deleted_at >= self.now.order.updated_at

    @property
    def is_new_customer(self) -> bool:
        """Tell whether the earliest state shows a guest or somebody without earlier orders."""
        customer = self.first.customer
        return customer is None or customer.id is None or customer.orders_before == 0


def story_of(state: State) -> Story:
    """Return what a single state says."""
    order = state.order
    return Story(
        now=state,
        first=First(state.key, order.placed_at, order.customer),
        paid=(state.key, order.paid_at) if order.payment == "paid" else None,
        touches=((state.key, order.touch),),
    )


def _earlier_paid(one: Story, other: Story) -> tuple[Key, int | None] | None:
    if one.paid is None or other.paid is None:
        return one.paid or other.paid
    return min(one.paid, other.paid, key=lambda paid: paid[0])


def merge(one: Story, other: Story) -> Story:
    """Join what two sets of states of the same order say. Associative, commutative and idempotent."""
    touches: dict[Touch, Key] = {}
    for key, touch in one.touches + other.touches:
        touches[touch] = min(key, touches.get(touch, key))
    deleted = [moment for moment in (one.deleted_at, other.deleted_at) if moment is not None]
    return Story(
        now=max(one.now, other.now, key=lambda state: state.key),
        first=min(one.first, other.first, key=lambda first: first.key),
        paid=_earlier_paid(one, other),
        touches=tuple(sorted(((key, touch) for touch, key in touches.items()), key=lambda item: item[0])),
        deleted_at=max(deleted, default=None),
        # Of two look-ups of a product either would do, as long as the order of arrival does not matter.
        sold=tuple(sorted(dict(sorted({*one.sold, *other.sold}, reverse=True)).items())),
    )
