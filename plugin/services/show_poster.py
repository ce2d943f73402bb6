"""Showing the poster of a share link: what is on it, its picture fetched once, and it drawn once.

Posters go by what is drawn on them, so that one which says something else is another one, and every process finds those
the others drew. Everything is bounded: what is fetched, what is kept, and how many are at work at the same time, for
anybody who has a link may ask for its poster.
"""

import hashlib
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass, replace
from urllib.parse import urlsplit

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from plugin.domain.moment import DAY, SECOND
from plugin.errors import Malformed, Unavailable
from plugin.languages import texts
from plugin.languages.formats import amount
from plugin.models import person, sharer
from plugin.outbound import Bounds, OutboundError, Unreachable
from plugin.posters import TEMPLATE, Poster
from plugin.posters.shelf import Shelf
from plugin.services.context import Context
from plugin.services.find_product import Known
from plugin.services.record_clicks import ShareLink

AT_WORK_MAX = 8  # requests of a process that fetch, draw or wait to; half the threads of the embedded server
PICTURE_BOUNDS = Bounds(connect_seconds=2, read_seconds=3, total_seconds=4, body_bytes=8 * 1_048_576)
FETCH_WAIT_SECONDS = 5.0
PICTURE_HEADERS = {"Accept": "image/webp,image/jpeg,image/png;q=0.9"}
RETRY_PICTURE = 600 * SECOND  # after one could not be had
FAILED_MAX = 1_000
PRICE_LASTS = 30 * DAY  # a price told longer ago may be another by now, and a poster stays in a chat for ever
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Plan:
    """A poster to be shown. ``key`` tells it from every other; ``is_whole`` whether nothing is missing for now."""

    key: str
    poster: Poster
    is_whole: bool


class Posters:
    """The posters of one installation, as one process makes them."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._drawn, self._pictures = drawn_posters(context), _pictures(context)
        self._at_work = threading.BoundedSemaphore(AT_WORK_MAX)
        self._fetching, self._drawing = threading.Lock(), threading.Lock()
        self._failed: dict[str, int] = {}  # by address or host: until when it is not asked again

    def plan(self, link: ShareLink, known: Known | None, *, shop: str, address: str, language: str) -> Plan:
        """Return what the poster of a link shows; raise Unavailable where that cannot be found out now."""
        poster = self._poster(link, known, shop, address, language)
        wanted = known.product.picture if known is not None else None
        if wanted is not None:
            poster = replace(poster, picture=self._picture(wanted))
        parts = repr((TEMPLATE, *astuple(poster)))
        is_whole = wanted is None or poster.picture is not None
        return Plan(hashlib.sha256(parts.encode("utf-8", "surrogatepass")).hexdigest(), poster, is_whole)

    def show(self, plan: Plan) -> bytes:
        """Return a poster as PNG; raise Unavailable where too many are at work."""
        found = self._drawn.get(plan.key)
        if found is not None:
            return found
        with self._turn(), self._drawing:  # one at a time: together they would be no faster and need more memory
            found = self._drawn.get(plan.key)
            if found is None:
                from plugin.posters.draw import draw  # here, for Pillow is large and most processes draw nothing

                found = draw(plan.poster)
                self._drawn.put(plan.key, found)
        return found

    # --- what is on it ----------------------------------------------------------------------------------------------

    def _poster(self, link: ShareLink, known: Known | None, shop: str, address: str, language: str) -> Poster:
        gettext = texts(language).gettext
        return Poster(
            language=language,
            shop=shop,
            host=urlsplit(link.stem).hostname or "",
            title=known.product.title if known is not None else None,
            price=self._price(known, language),
            picture=None,
            label=gettext("Recommended by"),
            label_alone=gettext("Recommended to you"),
            # Who was suspended may have taken a name that was not theirs.
            sharer=self._name(link.sharer_id) if link.may_earn else None,
            hint=gettext("Press and hold the code to see it"),
            disclosure=gettext("The person who shares this may earn a commission on a purchase."),
            address=address,
        )

    def _name(self, sharer_id: int) -> str | None:
        """Return the name of a sharer, as the person gave it; None where they gave none or were erased."""
        wanted = select(person.c.name).join(sharer, sharer.c.person_id == person.c.id).where(sharer.c.id == sharer_id)
        try:
            with self._context.database.reading() as connection:
                name: str | None = connection.execute(wanted).scalar_one_or_none()
        except SQLAlchemyError as error:
            raise Unavailable("database_unavailable", "The poster could not be looked up now. Try again.") from error
        return name

    def _price(self, known: Known | None, language: str) -> str | None:
        if known is None or known.at < self._context.now() - PRICE_LASTS:
            return None
        product = known.product
        try:
            # Shops write zero where a price is on request.
            is_priced = product.price is not None and product.currency is not None and product.price.strip("0.") != ""
            return amount(product.price or "", product.currency or "", language) if is_priced else None
        except Malformed:
            return None

    # --- its picture ------------------------------------------------------------------------------------------------

    def _picture(self, url: str) -> bytes | None:
        """Return the picture at an address, ready to be drawn; None where it cannot be had, for ten minutes on."""
        key = hashlib.sha256(url.encode("utf-8", "surrogatepass")).hexdigest()
        found = self._pictures.get(key)
        if found is not None or self._is_hopeless(url):
            return found
        with self._turn():
            if not self._fetching.acquire(timeout=FETCH_WAIT_SECONDS):
                return None
            try:
                found = self._pictures.get(key)
                if found is None and not self._is_hopeless(url):
                    found = self._fetch(url)
                    if found is not None:
                        self._pictures.put(key, found)
            finally:
                self._fetching.release()
        return found

    def _fetch(self, url: str) -> bytes | None:
        from plugin.posters.picture import Unusable, prepare  # here, as above

        try:
            answer = self._context.outbound.send("GET", url, headers=PICTURE_HEADERS, bounds=PICTURE_BOUNDS)
            if answer.status != 200:
                raise Unusable(f"status {answer.status}")
            with self._drawing:  # unpacking takes memory as drawing does
                return prepare(answer.body)
        except Unreachable as error:
            self._give_up(_host(url), error)  # its other pictures would only take as long to fail
        except (OutboundError, Unusable) as error:
            self._give_up(url, error)
        return None

    def _give_up(self, what: str, error: Exception) -> None:
        _log.info("A product's picture cannot be had: %s", error)
        if len(self._failed) >= FAILED_MAX:
            self._failed.clear()
        self._failed[what] = self._context.now() + RETRY_PICTURE

    def _is_hopeless(self, url: str) -> bool:
        now = self._context.now()
        return any(now < self._failed.get(what, now) for what in (url, _host(url)))

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Be one of those at work; raise Unavailable where there are enough, so that the other doors stay open."""
        if not self._at_work.acquire(blocking=False):
            raise Unavailable("posters_busy", "Too many posters are asked for at once. Try again in a moment.")
        try:
            yield
        finally:
            self._at_work.release()


def drawn_posters(context: Context) -> Shelf:
    """Return where drawn posters are kept: for a day, since they show people's names, and at most 128 MB of them."""
    folder = context.settings.instance / "posters"
    return Shelf(folder, bytes_max=128 * 1_048_576, seconds_max=DAY // SECOND, now=lambda: context.now())


def _pictures(context: Context) -> Shelf:
    folder = context.settings.instance / "pictures"
    return Shelf(folder, bytes_max=64 * 1_048_576, seconds_max=7 * DAY // SECOND, now=lambda: context.now())


def tidy_posters(context: Context) -> None:
    """Remove what was kept long enough, on this machine."""
    drawn_posters(context).tidy()
    _pictures(context).tidy()


def _host(url: str) -> str:
    try:
        return urlsplit(url).netloc
    except ValueError:
        return ""
