"""Finding what a shop's storefront script is made of: its platform, and the window of its plan in force.

Every page of every shop loads the script, so a look-up is kept for a second, and a shop that is known is served on
while the database is away.
"""

import json
import logging
import time
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from plugin.errors import Unavailable
from plugin.models import plan, shop
from plugin.recent import Recent
from plugin.services.context import Context
from plugin.services.store_delivery import SHOP_KEY

CHECK_SECONDS = 1.0
UNKNOWN_MAX = 10_000
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Storefront:
    """What the script of a shop depends on."""

    shop_id: int
    platform: str
    window_days: int


class StorefrontCache:
    """The storefronts by shop key."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._known: dict[str, tuple[float, Storefront]] = {}
        # Apart, so that guessing never pushes a real shop out.
        self._unknown = Recent[str, None](CHECK_SECONDS, UNKNOWN_MAX)

    def find(self, key: str) -> Storefront | None:
        """Return the storefront of the shop with that key, or None.

        Raise Unavailable where the database cannot be asked and the shop is not known.
        """
        now = time.monotonic()
        checked_at, found = self._known.get(key, (0.0, None))
        if found is not None:
            if now - checked_at < CHECK_SECONDS:
                return found
            self._known[key] = now, found  # at once: the other threads go on with what is known meanwhile
        _, is_unknown = self._unknown.look(key, None)
        if is_unknown or not SHOP_KEY.fullmatch(key):
            return None
        try:
            return self._look_up(key, now)
        except SQLAlchemyError as error:
            if found is None:
                raise Unavailable("database_unavailable", "The shop could not be looked up now. Try again.") from error
            _log.error("The storefront of shop %s could not be checked: %s", key, type(error).__name__)
            return found

    def _look_up(self, key: str, now: float) -> Storefront | None:
        in_force = (
            select(shop.c.id, shop.c.platform, plan.c.body)
            .join(plan, plan.c.shop_id == shop.c.id)
            .where(shop.c.key == key, plan.c.in_force_from <= self._context.now())
            .order_by(plan.c.version.desc())
            .limit(1)
        )
        with self._context.database.reading() as connection:
            row = connection.execute(in_force).one_or_none()
        if row is None:
            self._known.pop(key, None)
            return self._unknown.keep(key, None)
        found = Storefront(row.id, row.platform, json.loads(row.body)["attribution"]["window_days"])
        self._known[key] = now, found
        return found
