"""The pages of those who share. A module in this folder is a page or a few; :func:`page` makes it one.

A view gets a :class:`Seat`: who it is about and in which shop. The shop's own people may look on from a seat that is
read-only (:mod:`admin_ui.as_sharer`), so whatever a page shows hangs on its seat, and every address on it comes from
:meth:`Seat.way`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, wraps
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from flask import Blueprint, Flask, g, redirect, request, url_for
from sqlalchemy import Connection, Row
from werkzeug.routing import IntegerConverter

from admin_ui import access
from admin_ui.access import ForeignForm
from admin_ui.host import guest_here
from admin_ui.page import Answer, View, answer_error, chosen_language, finish, holder, nothing, opener
from plugin.errors import NotFound
from plugin.languages import mark
from plugin.services import public_id
from plugin.services.context import Context
from plugin.services.find_seat import Place, find_seat, find_shop, list_seats, show_place
from plugin.services.sessions import Guest

__all__ = ["Seat", "guest_page", "init_app", "look_on", "open_page", "page", "seat_of", "shop_at"]

BELOW = "/me"
PAGE_LENGTH = 50
TABS = (
    ("home", mark("Home"), "house"),
    ("share", mark("Share"), "share-2"),
    ("earnings", mark("Earnings"), "wallet"),
    ("payouts", mark("Payouts"), "receipt-text"),
    ("profile", mark("Me"), "user"),
)

blueprint = Blueprint("sharer", __name__, template_folder="../templates")
blueprint.register_error_handler(Exception, answer_error("sharer/error.html"))
open_page = opener(blueprint)


@dataclass(frozen=True, slots=True)
class Seat:
    """Where a sharer sits: who it is, all shops they share for (``sharer_id`` beside each), and the one at hand.

    Without ``guest`` somebody of the shop looks on: then nothing can be done, and every way leads to where they look.
    """

    context: Context
    person_id: int
    name: str | None
    email: str
    seats: Sequence[Row[Any]]
    shop: Row[Any]
    place: Place
    guest: Guest | None = None

    @property
    def read_only(self) -> bool:
        """Tell whether somebody else looks on."""
        return self.guest is None

    @property
    def sharer_id(self) -> int:
        """Return the number of the sharer at hand."""
        number: int = self.shop.sharer_id
        return number

    @property
    def id(self) -> str:
        """Return the public id of the sharer at hand."""
        return public_id.show(public_id.SHARER, self.sharer_id)

    @property
    def status(self) -> str:
        """Return how the sharer stands."""
        return self.place.status

    @property
    def actor(self) -> str:
        """Return the name under which the record keeps what this person does."""
        return public_id.show(public_id.PERSON, self.person_id)

    @property
    def share_url(self) -> str | None:
        """Return the address of the sharer's own link, None where they have none that counts."""
        if self.place.link is None or self.status != "approved":
            return None
        return self.share_address(self.place.link.code)

    def share_address(self, code: str) -> str:
        """Return the public address of a share link."""
        return f"{self.context.settings.base_url}/s/{code}"

    def way(self, view: str, **values: Any) -> str:
        """Return the address of a page about this seat."""
        if self.read_only:
            return url_for(f"as_sharer.{view}", shop=self.shop.key, sharer=self.id, **values)
        return url_for(f"sharer.{view}", shop=self.shop.key, **values)


class Number(IntegerConverter):
    """One of our numbers in an address. One that is too long to be any has no page; Werkzeug's own would fail on it."""

    regex = r"[0-9]{1,18}"


def init_app(app: Flask) -> None:
    """Load every page of this folder and open them."""
    _load()
    app.url_map.converters["number"] = Number
    app.register_blueprint(blueprint)
    app.jinja_env.globals["sharer_tabs"] = TABS


@cache
def _load() -> None:
    """Import every page, once for all apps of this process."""
    for module in iter_modules(__path__):
        import_module(f"{__name__}.{module.name}")
    for below in (BELOW, "/join", "/privacy"):
        blueprint.add_url_rule(f"{below}/<path:anything>", "nothing", nothing, methods=["GET", "POST"])


def page(rule: str, *, methods: Sequence[str] = ("GET",), fresh: bool = False) -> Callable[[View], View]:
    """Make a view a page about one shop of a person who is signed in, at ``/me/<shop>`` and the rule.

    ``fresh`` wants a sign-in of the last quarter of an hour; whoever lacks it is led there by a new mail. A POST that
    was not sent from our own form never reaches the view.
    """

    def enter(guest: Guest, view: View, shop: str, **values: Any) -> Answer:
        if fresh and not guest.is_fresh:
            return redirect(url_for("sharer.again", shop=shop, next=access.way_back(below=BELOW)), 303)
        return view(_sit(guest, shop), **values)

    return _guarded(f"{BELOW}/<shop>{rule}", methods, enter)


def guest_page(rule: str, *, methods: Sequence[str] = ("GET",)) -> Callable[[View], View]:
    """Make a view a page about a person who is signed in, at ``/me`` and the rule; it gets context and guest."""

    def enter(guest: Guest, view: View, **values: Any) -> Answer:
        return view(access.context(), guest, **values)

    return _guarded(f"{BELOW}{rule}", methods, enter)


def _guarded(rule: str, methods: Sequence[str], enter: Callable[..., Answer]) -> Callable[[View], View]:
    def decorate(view: View) -> View:
        @wraps(view)
        def answer(**values: Any) -> Any:
            return finish(_admit(view, enter, values))

        blueprint.add_url_rule(rule, view.__name__, answer, methods=methods)
        return view

    return decorate


def _admit(view: View, enter: Callable[..., Answer], values: dict[str, Any]) -> Answer:
    guest = guest_here()
    if guest is None:
        if request.method == "POST":
            raise ForeignForm
        return redirect(url_for("sharer.sign_in", next=access.path_now()), 303)
    g.holder, g.locale = guest.token_hash, guest.locale
    if (chosen := chosen_language()) is not None:
        return chosen
    if request.method == "POST":
        access.require_own_form(holder())
    return enter(guest, view, **values)


def _sit(guest: Guest, key: str) -> Seat:
    context = access.context()
    with context.database.reading() as connection:
        return seat_of(context, connection, guest, key)


def seat_of(context: Context, connection: Connection, guest: Guest, key: str) -> Seat:
    """Return a person's seat in a shop; raise NotFound where they have none."""
    seats = list_seats(connection, guest.id)
    found = next((row for row in seats if row.key == key), None)
    if found is None:
        raise NotFound("unknown_shop", "There is no shop with this key.")
    g.zone = found.timezone
    place = show_place(connection, found.id, found.sharer_id)
    return Seat(context, guest.id, guest.name, guest.email or "", seats, found, place, guest)


def look_on(context: Context, shop_id: int, sharer: str) -> Seat:
    """Return a sharer's seat for the shop's own people, who only look; raise NotFound for another shop's sharer."""
    with context.database.reading() as connection:
        found = find_seat(connection, shop_id, public_id.read(public_id.SHARER, sharer))
        if found is None:
            raise NotFound("unknown_sharer", "There is no such sharer.")
        place = show_place(connection, shop_id, found.sharer_id)
    return Seat(context, found.person_id, found.person_name, found.email or "", [found], found, place)


def shop_at(key: str) -> Row[Any]:
    """Return the shop that a page before signing in is about; raise NotFound."""
    row = find_shop(access.context(), key)
    if row is None:
        raise NotFound("unknown_shop", "There is no shop with this key.")
    g.zone = row.timezone
    return row
