"""Finding the product that a share link leads to, for its previews and its posters.

A chat asks several times within a second and then keeps the preview for days, so an answer is good for a minute here,
and where the database is away the preview does without.
"""

import json
import logging
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from plugin.models import product
from plugin.recent import Recent
from plugin.services.context import Context
from plugin.shops.base import Product, read_product

FRESH_SECONDS = 60.0
KNOWN_MAX = 5_000
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Known:
    """A product, and when its shop told of it."""

    product: Product
    at: int


class ProductCache:
    """The products that previews showed lately, by shop and page; also that there was none."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._known = Recent[tuple[int, str], Known | None](FRESH_SECONDS, KNOWN_MAX)

    def find(self, shop_id: int, page: str | None) -> Known | None:
        """Return the product of that page, the one asked about last where there are several; None where it is unknown.

        ``page`` is what the shop's ``page_of`` returned for the link's target.
        """
        if page is None:
            return None
        found, is_fresh = self._known.look((shop_id, page), None)
        if is_fresh:
            return found
        wanted = select(product.c.body, product.c.at).where(product.c.shop_id == shop_id, product.c.page == page)
        try:
            with self._context.database.reading() as connection:
                row = connection.execute(wanted.order_by(product.c.at.desc()).limit(1)).one_or_none()
        except SQLAlchemyError as error:
            _log.error("A product of shop %s could not be looked up: %s", shop_id, type(error).__name__)
            return found
        found = None if row is None else Known(read_product(json.loads(row.body)), row.at)
        return self._known.keep((shop_id, page), found)
