"""Looking up what an order's products are: their collections, which rules go by, and how they are shown.

The answer is stored as a delivery. What it says of an order is a fact: the first look-up of a product counts for that
order for ever, so a product that is moved to another collection later changes nothing that was sold before.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import asdict, replace

from sqlalchemy.dialects import postgresql, sqlite

from plugin import shops
from plugin.domain.moment import parse_moment
from plugin.domain.settlement import first_known
from plugin.domain.stored_json import canonical
from plugin.models import product
from plugin.services.reach_shop import can_ask
from plugin.services.recorder import Recorder
from plugin.services.settle_order import Stored
from plugin.services.want_task import want_once
from plugin.shops.base import Catalogued, Sold

KIND = "products"
PAGE_LENGTH_MAX = 255


def want_lookups(recorder: Recorder, works: Iterable[Stored]) -> None:
    """Have the products of orders looked up that nobody was asked about yet, where the shop can be asked."""
    if not isinstance(shops.get(recorder.shop.platform), Catalogued) or not can_ask(recorder.context, recorder.shop):
        return
    for work in works:
        missing = work.story.unknown_products
        if missing:
            name = f"{work.ref}:{hashlib.sha256(canonical(missing).encode()).hexdigest()[:16]}"
            body = {"order": work.ref, "products": missing}
            want_once(recorder.connection, recorder.shop.id, KIND, name, body, now=recorder.now)


def keep_lookup(recorder: Recorder, work: Stored, sold: Sold) -> None:
    """Take in what was looked up for an order, and remember each product's latest description."""
    found = {one.id: one.collections for one in sold.products}
    known = first_known(work.story.sold, found)
    if known != work.story.sold:
        recorder.add_fact("products", {"products": found}, at=parse_moment(sold.at), order=(work.id, work.ref))
        work.story = replace(work.story, sold=known)
    at = parse_moment(sold.at)
    dialect = sqlite if recorder.connection.dialect.name == "sqlite" else postgresql
    for one in sold.products:
        page = one.page if one.page is not None and len(one.page) <= PAGE_LENGTH_MAX else None
        values = {"shop_id": recorder.shop.id, "ref": one.id, "at": at, "body": canonical(asdict(one)), "page": page}
        wish = dialect.insert(product).values(values)
        recorder.connection.execute(
            wish.on_conflict_do_update(
                index_elements=[product.c.shop_id, product.c.ref],
                set_={"at": wish.excluded.at, "body": wish.excluded.body, "page": wish.excluded.page},
                where=product.c.at < wish.excluded.at,
            )
        )
