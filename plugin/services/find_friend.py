"""Finding who sent a visitor to a shop, as far as they want to be known: what the shop's page may say of them.

Anybody may ask, with whatever they like in the place of a click token. So the token is verified by the keys alone
before anything else is looked at, and what was found out is kept for a minute.
"""

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from plugin.domain.attribution import CLOCK_SKEW
from plugin.domain.moment import DAY
from plugin.errors import BadSignature
from plugin.models import person, sharer, standing
from plugin.recent import Recent
from plugin.services.context import Context
from plugin.services.find_storefront import Storefront
from plugin.services.record_clicks import LinkCache
from plugin.signing import read_token

FRESH_SECONDS = 60.0
KNOWN_MAX = 5_000


@dataclass(frozen=True, slots=True)
class Friend:
    """Who shared; without a name where they want none to be told, or where the shop has not approved them."""

    name: str | None


class FriendCache:
    """The sharers who were asked about lately."""

    def __init__(self, context: Context, links: LinkCache) -> None:
        self._context, self._links = context, links
        self._known = Recent[int, str | None](FRESH_SECONDS, KNOWN_MAX)

    def find(self, storefront: Storefront, token: str) -> Friend | None:
        """Return who sent a visitor with this token, None where it counts for nobody in this shop, now.

        Raise Unavailable where the database cannot be asked and the link is not known.
        """
        try:
            claim = read_token(self._context.keys, token)
        except BadSignature:
            return None
        age = self._context.now() - claim.at
        if claim.shop != storefront.shop_id or not -CLOCK_SKEW <= age <= storefront.window_days * DAY:
            return None
        link = self._links.find(claim.shop, claim.link)
        return Friend(self._name(link.sharer_id)) if link is not None and link.may_earn else None

    def _name(self, sharer_id: int) -> str | None:
        name, is_fresh = self._known.look(sharer_id, None)
        if is_fresh:
            return name
        wanted = (
            select(person.c.shown_name)
            .join(sharer, sharer.c.person_id == person.c.id)
            .join(standing, standing.c.sharer_id == sharer.c.id)
            .where(sharer.c.id == sharer_id, standing.c.status == "approved")
        )
        try:
            with self._context.database.reading() as connection:
                name = connection.execute(wanted).scalar_one_or_none()
        except SQLAlchemyError:
            return None  # who shared is not worth an error on a shop's page
        return self._known.keep(sharer_id, name)
