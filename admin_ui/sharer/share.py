"""Sharing: QR code and poster, products, codes, a link for each channel, and the words that belong to it."""

from flask import request
from sqlalchemy import select

from admin_ui.page import Answer, go, show, show_form
from admin_ui.sharer import Seat, page
from admin_ui.sharer.home import ways_to_share
from plugin import shops
from plugin.errors import BadRequest, NotFound
from plugin.models import link as links
from plugin.services import public_id
from plugin.services.share_more import codes_of, list_products, share_in_channel, share_product
from plugin.services.show_link import list_links
from plugin.shops.base import Catalogued

PRODUCTS_SHOWN, LINKS_SHOWN = 12, 20


@page("/share")
def share(seat: Seat) -> Answer:
    """All ways to share."""
    return show_share(seat)


def show_share(seat: Seat, errors: object = None) -> Answer:
    """Return all ways to share of a seat, also for who looks on."""
    query, after = request.args.get("q", ""), request.args.get("after")
    with seat.context.database.reading() as connection:
        shelf = list_products(connection, seat.shop.id, query, after=after, limit=PRODUCTS_SHOWN)
        codes = codes_of(connection, seat.shop.id, seat.sharer_id)
    before = request.args.get("before", "")
    number = int(before) if before.isascii() and before.isdigit() and len(before) <= 18 else None
    found = list_links(seat.context, seat.sharer_id, before=number, limit=LINKS_SHOWN)
    return show_form(
        "sharer/share.html",
        errors,
        seat=seat,
        tab="share",
        ways=ways_to_share(seat, seat.share_url),
        shelf=shelf,
        tells_products=isinstance(shops.get(seat.shop.platform), Catalogued),
        query=query,
        codes=codes,
        links=found["items"],
        more_products=seat.way("share", q=query, after=shelf.next) if shelf.next else None,
        more_links=seat.way("share", before=found["next"]) if found["next"] else None,
    )


@page("/share/product", methods=["POST"])
def share_one(seat: Seat) -> Answer:
    """Make the link to a product, or find it again."""
    number = share_product(
        seat.context, seat.shop.id, seat.sharer_id, request.form.get("product", ""), actor=seat.actor
    )
    return go("sharer.one_link", shop=seat.shop.key, link=public_id.show(public_id.LINK, number))


@page("/share/channel", methods=["POST"])
def share_there(seat: Seat) -> Answer:
    """Make the link for a channel, or find it again."""
    try:
        number = share_in_channel(
            seat.context, seat.shop.id, seat.sharer_id, request.form.get("channel", ""), actor=seat.actor
        )
    except BadRequest as error:
        return show_share(seat, error.fields)
    return go("sharer.one_link", shop=seat.shop.key, link=public_id.show(public_id.LINK, number))


@page("/links/<link>")
def one_link(seat: Seat, link: str) -> Answer:
    """One link, ready to be shared."""
    return show_link(seat, link)


def show_link(seat: Seat, link: str) -> str:
    """Return the page of one link of a seat, also for who looks on."""
    number = public_id.read(public_id.LINK, link)
    wanted = select(links).where(links.c.id == number, links.c.sharer_id == seat.sharer_id)
    with seat.context.database.reading() as connection:
        row = connection.execute(wanted).one_or_none()
    if row is None:
        raise NotFound("not_found", "There is no such link.")
    address = seat.share_address(row.code) if seat.status == "approved" else None
    return show("sharer/link.html", seat=seat, tab="share", link=row, ways=ways_to_share(seat, address))
