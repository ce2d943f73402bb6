"""Issuing share links. A link leads only to the shop's own host; its number is random, so that none can be counted."""

import secrets as randomness
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

from sqlalchemy import Connection, Select, select

from plugin.errors import BadRequest, Unavailable
from plugin.languages import mark
from plugin.models import link, shop
from plugin.services import public_id
from plugin.services.context import Context
from plugin.services.fill_codes import open_pool
from plugin.services.make_coupon import check_worth, require_coupons
from plugin.services.recorder import recording
from plugin.signing import make_code

_NUMBERS = 2**32
_URL_LENGTH_MAX = 2_000
_SAFE = "!#$%&'()*+,/:;=?@[]~"


@dataclass(frozen=True, slots=True)
class NewLinkCoupon:
    """A code for one order that each click shall bring along; it saves the buyer ``percent`` or ``amount``."""

    percent: str | None
    amount: str | None
    pool: int


@dataclass(frozen=True, slots=True)
class IssuedLink:
    """A link as its maker sees it."""

    id: int
    code: str
    share_url: str
    target_url: str


def check_target(home: str, url: str | None) -> str:
    """Return the address a link may lead to: on the shop's own host, in plain ASCII; raise BadRequest otherwise."""
    if url is None or url == "":
        return home + "/"
    wrong = BadRequest(
        "invalid",
        "Some fields are not right.",
        fields={"url": [mark("Must be an http(s) address on the shop's own host.")]},
    )
    if len(url) > _URL_LENGTH_MAX or "\\" in url or any(ord(sign) <= 32 or ord(sign) == 127 for sign in url):
        raise wrong
    try:
        own, parts = urlsplit(home), urlsplit(url)
        same_place = (parts.scheme, parts.hostname, parts.port) == (own.scheme, own.hostname, own.port)
    except ValueError:
        raise wrong from None
    if not same_place or parts.username is not None or parts.password is not None:
        raise wrong
    tail = "".join(
        [quote(parts.path or "/", _SAFE), f"?{quote(parts.query, _SAFE)}" if parts.query else "",
         f"#{quote(parts.fragment, _SAFE)}" if parts.fragment else ""]
    )  # fmt: skip
    return f"{own.scheme}://{own.netloc}{tail}"


def issue_link(
    context: Context,
    shop_id: int,
    sharer_id: int,
    *,
    url: str | None,
    channel: str | None,
    campaign: str | None,
    coupon: NewLinkCoupon | None = None,
    unless: Select[Any] | None = None,
    actor: str,
) -> IssuedLink:
    """Issue a link for a sharer, or return the first that ``unless`` selects: of two who ask at once, one issues it.

    Raise BadRequest where it would lead away from the shop or its coupon is no discount, and Conflict where the shop
    makes no codes.
    """
    if coupon is not None:
        check_worth(coupon.percent, coupon.amount)
    with recording(context, shop_id, actor=actor) as recorder:
        known = None if unless is None else recorder.connection.execute(unless.limit(1)).first()
        if known is not None:
            return _issued(context, known.id, known.code, known.target_url)
        home = recorder.connection.execute(select(shop.c.url).where(shop.c.id == shop_id)).scalar_one()
        target = check_target(home, url)
        number = _free_number(recorder.connection, shop_id)
        code = make_code(context.keys, shop_id, number)
        row = {
            "number": number,
            "sharer_id": sharer_id,
            "code": code,
            "target_url": target,
            "channel": channel,
            "campaign": campaign,
            "created_at": recorder.now,
        }
        made = recorder.add_row(link, row)
        if coupon is not None:
            require_coupons(context, recorder.shop)
            open_pool(recorder, made, coupon.percent, coupon.amount, coupon.pool)
        recorder.emit(
            "link.issued",
            {"shop": recorder.shop.key, "sharer": public_id.show(public_id.SHARER, sharer_id), "code": code},
        )
    return _issued(context, made, code, target)


def _issued(context: Context, number: int, code: str, target: str) -> IssuedLink:
    return IssuedLink(number, code, f"{context.settings.base_url}/s/{code}", target)


def first_link(sharer_id: int) -> Select[Any]:
    """Return what selects a sharer's own link, the one they began with."""
    return select(link).where(link.c.sharer_id == sharer_id).order_by(link.c.id)


def _free_number(connection: Connection, shop_id: int) -> int:
    for _ in range(20):
        number = randomness.randbelow(_NUMBERS)
        taken = select(link.c.id).where(link.c.shop_id == shop_id, link.c.number == number)
        if connection.execute(taken).first() is None:
            return number
    raise Unavailable("no_number", "No free link number was found. Try again.")
