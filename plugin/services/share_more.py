"""What a sharer can share besides their own link: products, channels and codes; and the links made for these."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, String, func, literal, select

from plugin.domain.order import normalise_code
from plugin.domain.plan import UNSHOWABLE
from plugin.errors import BadRequest, Conflict, NotFound
from plugin.languages import mark
from plugin.models import fact, link, product
from plugin.services.context import Context
from plugin.services.find_seat import standing_of
from plugin.services.issue_link import issue_link
from plugin.services.limit_attempts import count_attempt

CHANNEL_LENGTH_MAX = 60
QUERY_LENGTH_MAX = 100
READ_MAX = 500  # products that one search goes through at most after those that the database could rule out
MADE_MAX, HOUR = 60, 3_600


@dataclass(frozen=True, slots=True)
class Offered:
    """A product that can be shared: it has a title and a page."""

    ref: str
    title: str
    picture: str | None
    url: str
    price: str | None
    currency: str | None


@dataclass(frozen=True, slots=True)
class Shelf:
    """A page of products; ``next`` is the cursor of the one after it."""

    items: Sequence[Offered]
    next: str | None


def list_products(connection: Connection, shop_id: int, query: str, *, after: str | None, limit: int) -> Shelf:
    """Return the products whose title holds a text, a page at a time."""
    wanted = select(product.c.ref, product.c.body).where(product.c.shop_id == shop_id)
    sought = _clean(query).strip().casefold()[:QUERY_LENGTH_MAX]
    if sought and (sought.isascii() or sought.upper() == sought):  # SQLite lowers the letters of ASCII alone
        find = func.instr if connection.dialect.name == "sqlite" else func.strpos
        wanted = wanted.where(find(func.lower(product.c.body), sought) > 0)
    if after is not None:
        wanted = wanted.where(product.c.ref > literal(_clean(after), String))
    found: list[Offered] = []
    rows = connection.execute(wanted.order_by(product.c.ref).limit(READ_MAX)).all()
    for number, row in enumerate(rows, 1):
        one = _offered(row.ref, row.body)
        if one is not None and sought in one.title.casefold():
            found.append(one)
        if len(found) == limit:
            return Shelf(found, row.ref if number < len(rows) else None)
    return Shelf(found, rows[-1].ref if len(rows) == READ_MAX else None)


def _clean(text: str) -> str:
    """Return a text without the one character that PostgreSQL takes nowhere."""
    return text.replace("\0", "")


def _offered(ref: str, body: str) -> Offered | None:
    said = json.loads(body)
    title, url, picture = said.get("title"), said.get("url"), said.get("picture")
    if not title or not url:
        return None
    safe = picture if isinstance(picture, str) and picture.startswith("https://") else None
    return Offered(ref, title, safe, url, said.get("price"), said.get("currency"))


def codes_of(connection: Connection, shop_id: int, sharer_id: int) -> list[str]:
    """Return the coupon codes a sharer holds now, as they were written."""
    mine = select(fact.c.code).where(fact.c.sharer_id == sharer_id, fact.c.kind == "code")
    rows = connection.execute(
        select(fact.c.code, fact.c.sharer_id, fact.c.body)
        .where(fact.c.shop_id == shop_id, fact.c.kind == "code", fact.c.code.in_(mine))
        .order_by(fact.c.at, fact.c.position)
    )
    holders = {row.code: (row.sharer_id, json.loads(row.body)["code"]) for row in rows}
    return sorted(written for holder, written in holders.values() if holder == sharer_id and normalise_code(written))


def share_product(context: Context, shop_id: int, sharer_id: int, ref: str, *, actor: str) -> int:
    """Return the sharer's link to a product, made now where there is none; raise NotFound for an unknown one."""
    wanted = select(product.c.body).where(product.c.shop_id == shop_id, product.c.ref == _clean(ref))
    with context.database.reading() as connection:
        body = connection.execute(wanted).scalar_one_or_none()
    one = None if body is None else _offered(ref, body)
    if one is None:
        raise NotFound("unknown_product", "There is no such product to be shared.")
    return _link(context, shop_id, sharer_id, one.url, None, actor)


def share_in_channel(context: Context, shop_id: int, sharer_id: int, channel: str, *, actor: str) -> int:
    """Return the sharer's link for a channel, made now where there is none; raise BadRequest for what names none."""
    name = " ".join(channel.split())
    if not name or len(name) > CHANNEL_LENGTH_MAX or UNSHOWABLE.search(name):
        wrong = {"channel": [mark("Name the place in at most 60 characters.")]}
        raise BadRequest("invalid", "Some fields are not right.", fields=wrong)
    return _link(context, shop_id, sharer_id, None, name, actor)


def _link(context: Context, shop_id: int, sharer_id: int, url: str | None, channel: str | None, actor: str) -> int:
    with context.database.reading() as connection:
        if standing_of(connection, sharer_id).status != "approved":
            raise Conflict("not_approved", "The shop has not approved you yet, so there is no link to share.")
        same = select(link).where(link.c.sharer_id == sharer_id, link.c.campaign.is_(None)).order_by(link.c.id)
        same = same.where(link.c.channel.is_(None) if channel is None else link.c.channel == channel)
        if url is not None:
            same = same.where(link.c.target_url == url)
        found = connection.execute(same.limit(1)).first()
    if found is not None:
        return int(found.id)
    count_attempt(context, "link", str(sharer_id), at_most=MADE_MAX, seconds=HOUR)
    made = issue_link(context, shop_id, sharer_id, url=url, channel=channel, campaign=None, unless=same, actor=actor)
    return made.id
