"""The pages of those who run a shop. A module in this folder is a page or a few; :func:`page` makes it one.

The menu is drawn from the pages themselves. A view gets a :class:`Desk`: who is there and which shop it is about.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, wraps
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from flask import Blueprint, Flask, g, redirect, request, url_for
from sqlalchemy import Row, select

from admin_ui import access
from admin_ui.access import MANAGE, OWN, PAY, ROLES, SEE, ForeignForm
from admin_ui.host import member_here
from admin_ui.page import Answer, answer_error, chosen_language, finish, holder, nothing, opener, show_form
from plugin.errors import NotAllowed, NotFound
from plugin.models import shop as shops
from plugin.services import public_id
from plugin.services.context import Context
from plugin.services.sessions import Member

__all__ = [
    "MANAGE", "NEEDS", "OWN", "PAY", "SEE", "Desk", "Menu", "enter", "init_app", "open_page", "page", "show_form",
]  # fmt: skip

blueprint = Blueprint("owner", __name__, url_prefix="/admin", template_folder="../templates")
blueprint.register_error_handler(Exception, answer_error("owner/error.html"))
open_page = opener(blueprint)


@dataclass(frozen=True, slots=True)
class Menu:
    """A page's place in the menu; ``text`` is marked for translation, ``icon`` a file of static/icons."""

    text: str
    icon: str
    order: int


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the menu."""

    endpoint: str
    menu: Menu
    needs: str


@dataclass(frozen=True, slots=True)
class Desk:
    """Where a member of the shop sits: what the services are given, who it is, and the shop the page is about."""

    context: Context
    member: Member
    shops: Sequence[Row[Any]]
    shop: Row[Any] | None

    @property
    def row(self) -> Row[Any]:
        """Return the row of the shop the page is about."""
        if self.shop is None:
            raise NotFound("unknown_shop", "There is no shop with this key.")
        return self.shop

    @property
    def shop_id(self) -> int:
        """Return the number of the shop the page is about."""
        number: int = self.row.id
        return number

    @property
    def shop_key(self) -> str:
        """Return the key of the shop the page is about."""
        key: str = self.row.key
        return key

    @property
    def actor(self) -> str:
        """Return the name under which the record keeps what this member does."""
        return public_id.show(public_id.OWNER, self.member.id)

    def may(self, what: str) -> bool:
        """Tell whether the member's role lets them do something."""
        return what in ROLES[self.member.role]

    def opens(self, name: str) -> bool:
        """Tell whether the member's role lets them open a page, by the name of its view."""
        return self.may(NEEDS[f"owner.{name}"])


MENU: list[Entry] = []
NEEDS: dict[str, str] = {}  # what a role must have, by endpoint
View = Callable[..., Answer]


def init_app(app: Flask) -> None:
    """Load every page of this folder and open them."""
    _load()
    app.register_blueprint(blueprint)
    app.add_url_rule("/", "front_door", lambda: redirect(url_for("owner.home"), 303))  # where a new owner looks first
    app.jinja_env.globals["owner_menu"] = _menu


@cache
def _load() -> None:
    """Import every page, once for all apps of this process."""
    for module in iter_modules(__path__):
        import_module(f"{__name__}.{module.name}")
    MENU.sort(key=lambda entry: entry.menu.order)
    blueprint.add_url_rule("/<path:anything>", "nothing", nothing, methods=["GET", "POST"])


def page(
    rule: str,
    *,
    methods: Sequence[str] = ("GET",),
    needs: str = SEE,
    menu: Menu | None = None,
    fresh: bool = False,
    second_factor: bool = False,
) -> Callable[[View], View]:
    """Make a view a page for members whose role has what it ``needs``.

    A rule with ``<shop>`` is about one shop, whose row the desk then has. ``fresh`` wants a sign-in of the last quarter
    of an hour, ``second_factor`` an owner who has one; whoever lacks it is led there and back. A POST that was not sent
    from our own form never reaches the view.
    """

    def decorate(view: View) -> View:
        @wraps(view)
        def answer(**values: Any) -> Any:
            return finish(enter(view, values, needs=needs, fresh=fresh, second_factor=second_factor))

        blueprint.add_url_rule(rule, view.__name__, answer, methods=methods)
        endpoint = f"owner.{view.__name__}"
        NEEDS[endpoint] = needs
        if menu is not None:
            MENU.append(Entry(endpoint, menu, needs))
        return view

    return decorate


def enter(
    view: View, values: dict[str, Any], *, needs: str, fresh: bool = False, second_factor: bool = False
) -> Answer:
    """Return what a view answers a member who may see it, and to everybody else the door or a refusal."""
    member = member_here()
    if member is None:
        if request.method == "POST":
            raise ForeignForm
        return redirect(url_for("owner.sign_in", next=access.path_now()), 303)
    g.holder, g.locale = member.token_hash, member.locale
    if (chosen := chosen_language()) is not None:
        return chosen
    desk = g.desk = _desk(member, values.pop("shop", None))
    if request.method == "POST":
        access.require_own_form(holder())
    if not desk.may(needs):
        raise NotAllowed("role_too_small", "Your role does not allow this. Ask an owner of the shop.")
    if second_factor and not member.has_second_factor:
        return redirect(url_for("owner.second_factor", next=access.way_back(below="/admin")), 303)
    if fresh and not member.is_fresh:
        return redirect(url_for("owner.again", next=access.way_back(below="/admin")), 303)
    return view(desk, **values)


def _desk(member: Member, key: str | None) -> Desk:
    """Return the desk of a member; another shop's pages are as good as not there."""
    wanted = select(shops).order_by(shops.c.id)
    if member.shop_id is not None:
        wanted = wanted.where(shops.c.id == member.shop_id)
    with access.context().database.reading() as connection:
        rows = connection.execute(wanted).all()
    found = next((row for row in rows if row.key == key), None)
    if key is not None and found is None:
        raise NotFound("unknown_shop", "There is no shop with this key.")
    if found is not None:
        g.zone = found.timezone
    return Desk(access.context(), member, rows, found)


def _menu() -> list[Entry]:
    """Return the lines of the menu for who is there; without a shop there is nothing to choose from."""
    desk: Desk | None = g.get("desk")
    return [entry for entry in MENU if desk is not None and desk.shop is not None and desk.may(entry.needs)]
