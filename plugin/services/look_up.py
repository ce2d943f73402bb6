"""Asking a shop about the products of an order; the answer is stored as a delivery of its own."""

import json

from sqlalchemy import select

from plugin import shops
from plugin.database import among
from plugin.domain.moment import DAY, format_moment
from plugin.errors import InvariantBroken
from plugin.models import product, shop
from plugin.services.context import Context
from plugin.services.reach_shop import place_of
from plugin.services.run_tasks import Done, Kind, Task
from plugin.services.store_delivery import keep_answer_of_shop
from plugin.shops.base import ASKED_PRODUCTS, Catalogued, Product, Sold, read_product, sold_body

FRESH_FOR = DAY  # how long an answer is good for other orders
CHUNK = 100


def _look_up(context: Context, one: Task) -> Done:
    """Ask the shop about the products that no recent answer describes; a product that is gone is in no collection."""
    refs: list[str] = one.body["products"]
    with context.database.reading() as connection:
        row = connection.execute(select(shop).where(shop.c.id == one.shop_id)).one()
        recent = select(product.c.ref, product.c.body).where(
            product.c.shop_id == row.id, among(product.c.ref, refs), product.c.at > context.now() - FRESH_FOR
        )
        known = {each.ref: read_product(json.loads(each.body)) for each in connection.execute(recent)}
    adapter, place = shops.get(row.platform), place_of(context, row)
    if not isinstance(adapter, Catalogued):
        raise InvariantBroken("Products were to be looked up of a shop that tells of none.")
    at, asked = context.now(), [ref for ref in refs if ref not in known]
    for first in range(0, len(asked), CHUNK):
        known |= {each.id: each for each in adapter.products(context.outbound, place, asked[first : first + CHUNK])}
    sold = Sold(one.body["order"], format_moment(at), [known.get(ref) or Product(ref) for ref in refs])
    return Done(
        {"at": sold.at},
        lambda connection: keep_answer_of_shop(
            context, connection, row.id, f"products:{one.ref}", ASKED_PRODUCTS, sold_body(sold)
        ),
    )


LOOK_UP = Kind(_look_up)
