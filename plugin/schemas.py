"""The shapes of what crosses the JSON API: what is taken is checked by them, what is given is documented by them.

Unknown fields are refused everywhere. The plan has a schema of its own below, for the document alone: it is read by
``plugin.domain.plan``, field by field, and by nothing else.
"""

import re
from collections.abc import Mapping
from datetime import date
from typing import Any

from marshmallow import RAISE, Schema, ValidationError, fields, validate, validates_schema

from plugin.domain.event_types import EVENT_TYPES
from plugin.domain.facts import STATUSES
from plugin.domain.moment import parse_moment
from plugin.domain.money import DIGITS, parse_micros
from plugin.domain.order import PAYMENTS, normalise_code
from plugin.domain.order import STATUSES as ORDER_STATUSES
from plugin.domain.plan import KINDS, UNSHOWABLE
from plugin.errors import Malformed
from plugin.reports.base import Column, Report
from plugin.services.decide_by_hand import REASON_LENGTH_MAX
from plugin.services.enrol_sharer import CODES_MAX
from plugin.services.manage_endpoints import OVERLAP_HOURS, OVERLAP_HOURS_MAX, STATES
from plugin.services.settle_order import CODE_LENGTH_MAX
from plugin.services.show_endpoints import DELIVERY_STATES

LIMIT_DEFAULT, LIMIT_MAX = 50, 500
NUMBER_MAX = 2**63 - 1
NAMED_MAX = 10_000
ADDRESS_LENGTH_MAX = 2_048
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
_NO_CONTROL = r"^[^\u0000-\u001f\u007f-\u009f]*$"  # the same, said to the document
_DIGITS = re.compile("[0-9]{1,19}", re.ASCII)


# --- fields ---------------------------------------------------------------------------------------------------------


class Moment(fields.Field):
    """A time with a zone; microseconds since 1970 inside."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> int:
        try:
            return parse_moment(value)
        except Malformed as error:
            raise ValidationError(error.message) from None


class Date(fields.Field):
    """A day or a month as ISO 8601 writes it, such as 2026-11-22 or 2026-11; the same text inside."""

    def __init__(self, shape: str, **more: Any) -> None:
        super().__init__(**more)
        self.shape = shape

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        is_text = isinstance(value, str) and value.isascii()
        try:
            day = date.fromisoformat(_FIRST_DAY[self.shape].format(value if is_text else ""))
        except ValueError:
            day = None
        if day is None or _FIRST_DAY[self.shape].format(value) != day.isoformat():
            raise ValidationError(f"Is not a {self.shape}; write it like {_EXAMPLES[self.shape]}.")
        return str(value)


_FIRST_DAY = {"day": "{}", "month": "{}-01"}
_EXAMPLES = {"day": "2026-11-22", "month": "2026-11"}


class WholeNumber(fields.Integer):
    """A number in a query: digits and nothing else, where Python would also read ``+1``, ``1_0`` and other scripts."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> int:
        if not isinstance(value, str) or not _DIGITS.fullmatch(value):
            raise self.make_error("invalid")
        return int(value)


def _no_control(text: str) -> None:
    if _CONTROL.search(text):
        raise ValidationError("Holds control characters.")


def _amount(text: str) -> None:
    try:
        parse_micros(text)
    except Malformed as error:
        raise ValidationError(error.message) from None


def _coupon(text: str) -> None:
    # Letters like ß grow when they are compared without case.
    if not text.strip() or UNSHOWABLE.search(text) or len(normalise_code(text)) > CODE_LENGTH_MAX:
        raise ValidationError(f"Must be 1 to {CODE_LENGTH_MAX} characters without controls.")


def _text(longest: int, *, required: bool = False, **more: Any) -> fields.String:
    """Return a field for one line of text; unless it is required, null and leaving it out mean nothing is said."""
    optional: dict[str, Any] = {} if required else {"allow_none": True}
    return fields.String(
        required=required,
        validate=(validate.Length(min=1, max=longest), _no_control),
        metadata={"pattern": _NO_CONTROL},
        **optional,
        **more,
    )


def _codes() -> fields.List:
    return fields.List(
        fields.String(
            validate=[validate.Length(min=1, max=CODE_LENGTH_MAX), _coupon], metadata={"pattern": _NO_CONTROL}
        ),
        validate=validate.Length(max=CODES_MAX),
        metadata={"description": "Coupon codes; compared without case and outer blanks."},
    )


def _one_of(*allowed: str, **more: Any) -> fields.String:
    return fields.String(validate=validate.OneOf(allowed), **more)


def _id(prefix: str, **more: Any) -> fields.String:
    return fields.String(metadata={"pattern": f"^{prefix}_[0-9]{{1,18}}$", "example": f"{prefix}_1"}, **more)


def _moment(**more: Any) -> Moment:
    return Moment(metadata={"type": "string", "format": "date-time"}, **more)


def _moment_or_null() -> Moment:
    return Moment(metadata={"type": ["string", "null"], "format": "date-time"})


_MONEY = r"^-?[0-9]+(\.[0-9]{2,4})?$"


def _money() -> fields.String:
    return fields.String(metadata={"pattern": _MONEY})


def _currency(**more: Any) -> fields.String:
    return _one_of(*sorted(DIGITS), **more)


def _address(**more: Any) -> fields.String:
    return fields.String(
        validate=(validate.Length(min=1, max=ADDRESS_LENGTH_MAX), _no_control),
        metadata={"pattern": _NO_CONTROL, "description": "https, in the public internet."},
        **more,
    )


def _event_types(**more: Any) -> fields.List:
    return fields.List(_one_of(*EVENT_TYPES), metadata={"description": "Empty: all."}, **more)


def _seq(**more: Any) -> fields.Integer:
    return fields.Integer(strict=True, validate=validate.Range(min=0, max=NUMBER_MAX), **more)


class Given(Schema):
    """What comes in; a field it does not know is refused."""

    class Meta:
        unknown = RAISE


class Shown(Schema):
    """What goes out: every field is always there, and no other."""

    class Meta:
        unknown = RAISE

    def on_bind_field(self, field_name: str, field_obj: fields.Field) -> None:
        """Say in the document that the field is always there."""
        field_obj.required = True


# --- queries --------------------------------------------------------------------------------------------------------


class PageQuery(Given):
    """Which page of a list; ``cursor`` is the ``next`` of the page before."""

    limit = WholeNumber(load_default=LIMIT_DEFAULT, validate=validate.Range(min=1, max=LIMIT_MAX))
    cursor = fields.String(
        metadata={
            "description": "What `next` of the page before says.",
            "pattern": r"^[0-9]{1,18}(\.[0-9]{1,18}){0,2}$",
        }
    )


class ShopQuery(Given):
    """Which shop, by its key."""

    shop = fields.String(required=True, metadata={"description": "The shop's key."})


class ShopPageQuery(PageQuery, ShopQuery):
    """A page of what a shop has."""


class OrderPageQuery(ShopPageQuery):
    """A page of a shop's orders."""

    sharer = fields.String(metadata={"description": "The id of the sharer who gets them; all orders without it."})


class SharerPageQuery(PageQuery):
    """A page of what a sharer has."""

    sharer = fields.String(required=True, metadata={"description": "The sharer's id."})


class EventsQuery(Given):
    """Where to go on in the stream of events."""

    after = WholeNumber(load_default=0, validate=validate.Range(min=0, max=NUMBER_MAX))
    limit = WholeNumber(load_default=LIMIT_DEFAULT, validate=validate.Range(min=1, max=LIMIT_MAX))


class EventDeliveriesQuery(PageQuery):
    """A page of the events that did not reach an endpoint at once, of one state where that is asked."""

    state = _one_of(*DELIVERY_STATES)


class PlanQuery(Given):
    """From when a plan is in force."""

    since = _moment(data_key="from")


# --- bodies ---------------------------------------------------------------------------------------------------------


class Nothing(Given):
    """A body that may be left out and says nothing."""


class NewSharer(Given):
    """A person to enrol as a sharer of a shop."""

    shop = fields.String(required=True, metadata={"description": "The shop's key."})
    email = fields.String(required=True, validate=validate.Length(min=3, max=254), metadata={"format": "email"})
    name = _text(255, load_default=None)
    codes = _codes()
    referred_by = _id("shr", load_default=None, allow_none=True)
    group = _text(255, load_default=None)
    locale = fields.String(
        load_default=None,
        allow_none=True,
        validate=[validate.Length(max=16), validate.Regexp(r"[A-Za-z]{2,8}([-_][A-Za-z0-9]{1,8})*\Z")],
        metadata={"pattern": "^[A-Za-z]{2,8}([-_][A-Za-z0-9]{1,8})*$", "example": "zh-TW"},
    )
    status = _one_of(*STATUSES, load_default="approved")
    since = _moment(load_default=None)
    customer_id = _text(255, load_default=None)


class SharerChange(Given):
    """What changes of a sharer from now on; null takes group or inviter away."""

    status = _one_of(*STATUSES)
    group = _text(255)
    codes = _codes()
    referred_by = _id("shr", allow_none=True)


class NewLinkCoupon(Given):
    """A code for one order that each click brings along: it saves the buyer `percent` or `amount`."""

    percent = fields.String(load_default=None, allow_none=True, metadata={"description": "Such as `10`."})
    amount = fields.String(
        load_default=None, allow_none=True, metadata={"description": "Such as `5.00`, of the shop's currency."}
    )
    pool = fields.Integer(
        load_default=50,
        strict=True,
        validate=validate.Range(min=1, max=500),
        metadata={"description": "How many codes are kept ready in the shop."},
    )


class NewLink(Given):
    """A share link to issue."""

    sharer = _id("shr", required=True)
    url = fields.String(load_default=None, allow_none=True, metadata={"description": "On the shop's own host."})
    channel = _text(255, load_default=None)
    campaign = _text(255, load_default=None)
    coupon = fields.Nested(NewLinkCoupon, load_default=None, allow_none=True)


class NewCoupon(Given):
    """A coupon code to be made in a shop: it saves the buyer `percent` or `amount`."""

    sharer = _id("shr", required=True)
    code = fields.String(
        load_default=None, allow_none=True, validate=_coupon, metadata={"description": "Made up where it is not given."}
    )
    percent = fields.String(load_default=None, allow_none=True, metadata={"description": "Such as `10`."})
    amount = fields.String(
        load_default=None, allow_none=True, metadata={"description": "Such as `5.00`, of the shop's currency."}
    )
    once = fields.Boolean(load_default=False, truthy={True}, falsy={False}, metadata={"description": "For one order."})


class ManualDecision(Given):
    """Who gets an order, by the owner's word; null: nobody."""

    shop = fields.String(required=True)
    sharer = _id("shr", required=True, allow_none=True)
    reason = _text(REASON_LENGTH_MAX, required=True)


class NewHold(Given):
    """Why an order's commissions are kept back."""

    shop = fields.String(required=True)
    reason = _text(REASON_LENGTH_MAX, required=True)


class Question(Given):
    """A plan to try on the orders of a period."""

    plan = fields.Raw(required=True, allow_none=True, metadata={"x-plan": True})
    since = _moment(load_default=None)
    until = _moment(load_default=None)


class NewPayout(Given):
    """A batch of payouts to draft."""

    shop = fields.String(required=True)
    rail = fields.String(required=True, validate=validate.Length(max=16), metadata={"example": "manual"})
    currency = _currency(required=True)
    minimum = fields.String(
        load_default=None,
        allow_none=True,
        validate=_amount,
        metadata={"pattern": r"^[0-9]{1,15}(\.[0-9]{1,6})?$", "example": "10.00"},
    )
    sharers = fields.List(
        _id("shr"), load_default=None, allow_none=True, validate=validate.Length(max=NAMED_MAX)
    )


class NewEndpoint(Given):
    """An address to which events are to be sent."""

    url = _address(required=True)
    shop = fields.String(load_default=None, allow_none=True, metadata={"description": "Its key; default all shops."})
    types = _event_types(load_default=list)


class EndpointChange(Given):
    """What changes of an endpoint."""

    url = _address()
    types = _event_types()
    state = _one_of(*STATES)


class Rotation(Given):
    """For how long the old secret stays valid beside the new one."""

    overlap_hours = fields.Integer(
        strict=True, load_default=OVERLAP_HOURS, validate=validate.Range(min=0, max=OVERLAP_HOURS_MAX)
    )


class NewReplay(Given):
    """Which events are to be sent again: beginning after a number or since a time, up to a number or until a time."""

    after = _seq()
    since = _moment()
    up_to = _seq()
    until = _moment()

    @validates_schema
    def begin_somewhere(self, data: dict[str, Any], **kwargs: Any) -> None:
        """Take one beginning, so that nobody has everything sent again by leaving it out."""
        if ("after" in data) == ("since" in data):
            raise ValidationError({"after": ["Say where to begin: by after or by since, not both."]})


class Mark(Given):
    """What became of one item."""

    state = _one_of("paid", "failed", "returned", required=True)
    reference = _text(255, load_default=None)
    reason = _text(REASON_LENGTH_MAX, load_default=None)


# --- what is shown --------------------------------------------------------------------------------------------------


def _shown_text() -> fields.String:
    return fields.String()


def _text_or_null() -> fields.String:
    return fields.String(allow_none=True)


def _page_of(shape: type[Schema], name: str, **more: fields.Field) -> type[Schema]:
    """Return the shape of a page of a list, with what else it says."""
    return type(name, (Shown,), {"items": fields.List(fields.Nested(shape)), "next": _text_or_null(), **more})


class Problem(Schema):
    """An error as RFC 9457 shapes it; ``code`` is stable, ``errors`` names what is wrong by field (422 only)."""

    class Meta:
        unknown = RAISE

    type = fields.String(required=True)
    title = fields.String(required=True)
    status = fields.Integer(required=True)
    detail = fields.String(required=True)
    code = fields.String(required=True)
    errors = fields.Dict(keys=fields.String(), values=fields.List(fields.String()))


class Sharer(Shown):
    """A person in one shop."""

    id = _id("shr")
    person = _id("per")
    shop = _shown_text()
    email = _text_or_null()
    name = _text_or_null()
    locale = _text_or_null()
    customer_id = _text_or_null()
    status = _one_of(*STATUSES)
    group = _text_or_null()
    referred_by = _text_or_null()
    codes = fields.List(fields.String())
    since = _moment()
    created_at = _moment()


class Balance(Shown):
    """What a sharer has in one currency; only ``payable`` may be below zero."""

    currency = _shown_text()
    pending = _money()
    held = _money()
    payable = _money()
    in_flight = _money()
    paid = _money()
    earned = _money()


class Balances(Shown):
    """What a sharer has."""

    balances = fields.List(fields.Nested(Balance))


class Transfer(Shown):
    """One entry of the statement; never changed."""

    id = _shown_text()
    number = fields.Integer()
    at = _moment()
    about_at = _moment()
    kind = _shown_text()
    source = fields.String(data_key="from")
    target = fields.String(data_key="to")
    amount = _money()
    currency = _shown_text()
    order = _shown_text()
    role = _shown_text()
    cause = _shown_text()
    actor = _shown_text()
    payout_item = _text_or_null()


class LinkCoupon(Shown):
    """What the clicks on a link bring along, and how many codes there are of it."""

    percent = _text_or_null()
    amount = _text_or_null()
    pool = fields.Integer()
    state = fields.String(metadata={"enum": ["open", "ending", "ended"]})
    ready = fields.Integer()
    out = fields.Integer()
    used = fields.Integer()
    ran_out_at = _moment_or_null()
    reason = _text_or_null()


class Link(Shown):
    """A share link."""

    id = _id("lnk")
    sharer = _id("shr")
    code = _shown_text()
    share_url = _shown_text()
    target_url = _shown_text()
    channel = _text_or_null()
    campaign = _text_or_null()
    coupon = fields.Nested(LinkCoupon, allow_none=True)
    clicks = fields.Integer(metadata={"description": "So far."})
    created_at = _moment()


class Coupon(Shown):
    """A coupon code that was made in a shop for a sharer."""

    id = _id("cpn")
    sharer = _id("shr")
    code = _shown_text()
    percent = _text_or_null()
    amount = _text_or_null()
    once = fields.Boolean()
    state = fields.String(validate=validate.OneOf(("making", "made", "ending", "ended", "failed")))
    reason = _text_or_null()
    created_at = _moment()


class OrderLine(Shown):
    """A line of an order, what is left of it to earn from, and what it earns the winner."""

    id = _shown_text()
    product_id = _text_or_null()
    collections = fields.List(_shown_text())
    sku = _text_or_null()
    title = _text_or_null()
    quantity = fields.Integer()
    amount = _money()
    tax = _money()
    base = _money()
    rule = _text_or_null()
    commission = _money()


class Commission(Shown):
    """What one person earns by an order."""

    sharer = _id("shr")
    role = _shown_text()
    amount = _money()
    earned = _money()
    clawed_back = _money()
    state = _one_of("expected", "pending", "held", "payable", "in_flight", "paid", "reversed")
    plan_version = fields.Integer()


class Order(Shown):
    """An order as it is now."""

    id = _shown_text()
    number = _text_or_null()
    currency = _shown_text()
    status = _one_of(*ORDER_STATUSES)
    payment = _one_of(*PAYMENTS)
    placed_at = _moment()
    paid_at = _moment_or_null()
    release_at = _moment_or_null()
    net = _money()
    total = _money()
    refunded = _money()
    flags = fields.List(fields.String())
    lines = fields.List(fields.Nested(OrderLine))
    commissions = fields.List(fields.Nested(Commission))


class Evidence(Shown):
    """One thing that named a sharer, and what became of it."""

    kind = _one_of(*KINDS)
    sharer = _text_or_null()
    at = _moment()
    accepted = fields.Boolean()
    reason = _shown_text()
    source = _shown_text()


class FrozenFacts(Shown):
    """What the decision froze."""

    group = _text_or_null()
    uplines = fields.List(fields.String())
    customer = _one_of("new", "returning")
    channel = _text_or_null()
    campaign = _text_or_null()


class ExplainedLine(Schema):
    """How one line came to its part of an amount."""

    class Meta:
        unknown = RAISE

    line = fields.String(required=True)
    rule = fields.String(required=True, allow_none=True)
    pay = fields.Dict(required=True)
    base = fields.String(required=True)
    amount = fields.String(required=True)
    note = _one_of("amount_not_in_currency")


class Explained(Shown):
    """How the amount of one role came about."""

    role = _shown_text()
    sharer = _id("shr")
    amount = _money()
    currency = _shown_text()
    lines = fields.List(fields.Nested(ExplainedLine))
    cut = _one_of("order_cap", "base", allow_none=True)


class Receipt(Shown):
    """Why an order went to whom."""

    outcome = _one_of("credited", "nobody")
    winner = _text_or_null()
    reason = _shown_text()
    evidence = fields.List(fields.Nested(Evidence))
    plan_version = fields.Integer()
    frozen = fields.Nested(FrozenFacts)
    commission = fields.List(fields.Nested(Explained))
    held = fields.Boolean()
    released_at = _moment_or_null()
    flags = fields.List(fields.String())


class Total(Shown):
    """What a role earns in a currency, now and under the other plan."""

    currency = _shown_text()
    role = _shown_text()
    now = _money()
    then = _money()


class Difference(Shown):
    """An order that would come out otherwise."""

    order = _shown_text()
    currency = _shown_text()
    now = _money()
    then = _money()
    winner_now = _text_or_null()
    winner_then = _text_or_null()


class WhatIf(Shown):
    """What another plan would have meant; ``orders`` holds the first thousand of the ``differ`` that do."""

    since = _moment()
    until = _moment()
    examined = fields.Integer()
    differ = fields.Integer()
    totals = fields.List(fields.Nested(Total))
    orders = fields.List(fields.Nested(Difference))


class PayoutItem(Shown):
    """What one sharer is paid."""

    id = _id("itm")
    sharer = _id("shr")
    gross = _money()
    withheld = _money()
    fee = _money()
    net = _money()
    state = _shown_text()
    reference = _text_or_null()
    reason = _text_or_null()


class LeftOut(Shown):
    """Who is not paid, and why."""

    sharer = _id("shr")
    reason = _shown_text()


class Payout(Shown):
    """A batch of payouts."""

    id = _id("pay")
    state = _shown_text()
    rail = _shown_text()
    currency = _shown_text()
    minimum = _money()
    items = fields.List(fields.Nested(PayoutItem))
    left_out = fields.List(fields.Nested(LeftOut))


class PayoutRow(Shown):
    """A batch of payouts in a list."""

    id = _id("pay")
    state = _shown_text()
    rail = _shown_text()
    currency = _shown_text()
    minimum = _money()
    created_at = _moment()


class Event(Shown):
    """Something that happened."""

    seq = fields.Integer()
    at = _moment()
    shop = _shown_text()
    type = _shown_text()
    data = fields.Dict()


class Events(Shown):
    """What happened, oldest first; ``next`` is where to go on, null when there is nothing newer."""

    items = fields.List(fields.Nested(Event))
    next = fields.Integer(allow_none=True)


class Endpoint(Shown):
    """An address to which events are sent, and how it stands.

    All events up to `sent` have arrived or are counted in `due` (to be tried again) and `failed` (given up).
    """

    id = _id("end")
    shop = _text_or_null()
    url = _shown_text()
    types = fields.List(fields.String())
    state = _one_of(*STATES)
    reason = _text_or_null()
    failing_since = _moment_or_null()
    rests_until = _moment_or_null()
    sent = fields.Integer()
    due = fields.Integer()
    failed = fields.Integer()
    replaying = fields.Boolean()
    created_at = _moment()


class EndpointSecret(Shown):
    """A secret to verify signatures with, shown this once."""

    secret = _shown_text()


class MadeEndpoint(Endpoint, EndpointSecret):
    """A new endpoint with its secret."""


class Pinged(Shown):
    """What came of a ping; `status` is null where no whole answer came."""

    arrived = fields.Boolean()
    status = fields.Integer(allow_none=True)
    reason = _text_or_null()


class Replay(Shown):
    """The events that are sent again: those numbered after `after` up to `up_to`."""

    after = fields.Integer()
    up_to = fields.Integer()


class EventDelivery(Shown):
    """An event that did not arrive at the first attempt, and what became of it."""

    id = _shown_text()
    seq = fields.Integer()
    type = _shown_text()
    state = _one_of(*DELIVERY_STATES)
    attempts = fields.Integer()
    status = fields.Integer(allow_none=True)
    reason = _text_or_null()
    next_attempt_at = _moment_or_null()
    last_attempt_at = _moment()


SharerPage = _page_of(Sharer, "SharerPage")
LinkPage = _page_of(Link, "LinkPage")
CouponPage = _page_of(Coupon, "CouponPage")
OrderPage = _page_of(Order, "OrderPage")
EndpointPage = _page_of(Endpoint, "EndpointPage")
EventDeliveryPage = _page_of(EventDelivery, "EventDeliveryPage")
PayoutPage = _page_of(PayoutRow, "PayoutPage")
TransferPage = _page_of(Transfer, "TransferPage")


# --- reports --------------------------------------------------------------------------------------------------------

_FILTERS = {"since": "The first {}.", "until": "The last {}.", "month": "Only this {}."}
_PLACE = fields.String(
    metadata={"description": "What `next` of the page before says.", "pattern": r"^[0-9A-Za-z_.-]+$"}
)


class ReportQuery(ShopPageQuery):
    """Which part of a shop's report, and as what."""

    format = _one_of("json", "csv", load_default="json")


def report_shapes(report: Report) -> tuple[type[Schema], type[Schema]]:
    """Return the shapes of a report's query and of a page of it."""
    name = report.name.title().replace("-", "")
    shapes = {one: "month" if one == "month" else report.key[0] for one in report.filters}
    query: dict[str, Any] = {one: _date(shape, _FILTERS[one].format(shape)) for one, shape in shapes.items()}
    kinds = {column.name: column.kind for column in report.columns}
    if any(kinds[part] == "text" for part in report.key):
        query["cursor"] = _PLACE
    row = type(f"{name}Row", (Shown,), {column.name: _report_field(column) for column in report.columns})
    more = {"as_of": _moment_or_null()} if report.is_followed else {}
    return type(f"{name}Query", (ReportQuery,), query), _page_of(row, f"{name}Page", **more)


def _date(shape: str, about: str) -> Date:
    pattern = {"day": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$", "month": "^[0-9]{4}-[0-9]{2}$"}[shape]
    return Date(shape, metadata={"type": "string", "description": about, "pattern": pattern})


def _report_field(column: Column) -> fields.Field:
    told: dict[str, Any] = {"description": column.about}
    if column.kind == "count":
        return fields.Integer(metadata=told)
    if column.kind == "money":
        told["pattern"] = _MONEY
    return fields.String(metadata=told, allow_none=column.is_optional)


# --- the plan, for the document -------------------------------------------------------------------------------------

_RATE = {"type": "string", "pattern": r"^(0?[0-9]{1,2}(\.[0-9]{1,4})?|100(\.0{1,4})?)$"}
_AMOUNTS = {
    "type": "object",
    "propertyNames": {"enum": sorted(DIGITS)},
    "additionalProperties": {"type": "string", "pattern": r"^[0-9]{1,15}(\.[0-9]{1,6})?$"},
}
_NAMES = {"type": "array", "items": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": _NO_CONTROL}}
_MOMENT_OR_NULL = {"type": ["string", "null"], "format": "date-time"}


def _object(properties: Mapping[str, Any], *, required: tuple[str, ...] = ()) -> dict[str, Any]:
    shape = {"type": "object", "properties": dict(properties), "additionalProperties": False}
    return shape | {"required": list(required)} if required else shape


def _whole(most: int) -> dict[str, Any]:
    return {"type": "integer", "minimum": 0, "maximum": most}


def _whole_or_null(most: int) -> dict[str, Any]:
    return {"type": ["integer", "null"], "minimum": 0, "maximum": most}


_FLAG = {"type": "boolean"}
_PAY = {
    "oneOf": [
        _object({"percent": _RATE}, required=("percent",)),
        _object({"per_item": _AMOUNTS}, required=("per_item",)),
        _object({"per_order": _AMOUNTS}, required=("per_order",)),
        _object({"none": {"const": True}}, required=("none",)),
    ]
}
_WHEN = _object(
    dict.fromkeys(("products", "collections", "skus", "groups", "channels", "campaigns"), _NAMES)
    | {"customer": {"enum": ["any", "new", "returning"]}, "from": _MOMENT_OR_NULL, "until": _MOMENT_OR_NULL}
)
_RULE = _object(
    {"id": {"type": "string", "minLength": 1, "maxLength": 100, "pattern": _NO_CONTROL}, "when": _WHEN, "pay": _PAY},
    required=("id", "pay"),
)
_BINDING = _object(
    {
        "mode": {"enum": ["none", "first", "latest"]},
        "valid_days": _whole_or_null(36_500),
        "protected_days": _whole(36_500),
        "max_orders": _whole_or_null(1_000_000),
        "extend_on_order": _FLAG,
    }
)
_ATTRIBUTION = _object(
    {
        "window_days": _whole(36_500),
        "model": {"enum": ["last", "first"]},
        "priority": {"type": "array", "items": {"enum": list(KINDS)}, "uniqueItems": True},
        "new_customers_only": _FLAG,
        "self_purchase": {"enum": ["block", "hold", "allow"]},
        "binding": _BINDING,
    }
)
_COMMISSION = _object(
    {
        "include_tax": _FLAG,
        "include_shipping": _FLAG,
        "rules": {"type": "array", "items": _RULE, "maxItems": 500},
        "default": _PAY,
        "order_cap": _AMOUNTS,
    }
)
PLAN = _object(
    {
        "attribution": _ATTRIBUTION,
        "commission": _COMMISSION,
        "upline": _object({"percents": {"type": "array", "items": _RATE, "maxItems": 1}}),
        "buyer": _object({"cashback_percent": _RATE}),
        "hold_days": _whole(3_650),
        "payout": _object({"minimum": _AMOUNTS}),
    }
)
PLAN_VERSION = _object(
    {"version": {"type": "integer"}, "in_force_from": {"type": "string", "format": "date-time"}} | PLAN["properties"],
    required=("version", "in_force_from", *PLAN["properties"]),
)
