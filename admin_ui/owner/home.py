"""Home: what is to be done first, then how the last thirty days went. Without a shop it is the way to one."""

from flask import redirect, request, url_for

from admin_ui import places
from admin_ui.lists import typed
from admin_ui.owner import MANAGE, OWN, Desk, Menu, page, show_form
from admin_ui.page import Answer, go, language, said, show
from plugin import shops
from plugin.errors import BadRequest, NotAllowed, PluginError
from plugin.languages import mark
from plugin.services.add_shop import NewShop, add_shop
from plugin.services.show_home import COUNT_MAX, show_home
from plugin.shops.base import Connected, Shop

_ADDED = said("shop-added", mark("The shop is here. Now tell it where to send its orders."))
_FIELDS = {"bad_currency": "currency", "bad_timezone": "timezone", "unknown_platform": "platform"}


@page("/")
def home(desk: Desk) -> Answer:
    """The first shop's home, or the way to a first shop."""
    if not desk.shops:
        return redirect(url_for("owner.new_shop"), 303) if desk.may(OWN) else show("owner/no_shop.html")
    return redirect(url_for("owner.shop_home", shop=desk.shops[0].key), 303)


@page("/<shop>/", menu=Menu(mark("Home"), "house", 10))
def shop_home(desk: Desk) -> Answer:
    """What is to be done, then the last thirty days."""
    seen = show_home(desk.context, desk.row)
    guided = desk.may(MANAGE) and not seen.guide.program.guide_dismissed
    return show("owner/home.html", seen=seen, guided=guided, count_max=COUNT_MAX)


@page("/shops/new", methods=["GET", "POST"], needs=OWN)
def new_shop(desk: Desk) -> Answer:
    """Connect a shop: where it is and what it runs on. Who runs one shop alone adds none to it."""
    if desk.member.shop_id is not None:
        raise NotAllowed("role_too_small", "Your role does not allow this. Ask an owner of the shop.")
    errors: object = None
    if request.method == "POST":
        form = request.form
        try:
            new = NewShop(
                form.get("platform", ""),
                form.get("url", "").strip(),
                name=typed("name", form=True) or None,
                currency=form.get("currency", ""),
                timezone=form.get("timezone", ""),
            )
            made = add_shop(desk.context, new, actor=desk.actor)
        except BadRequest as error:
            errors = error.fields or {_FIELDS.get(error.code, "url"): [error.message]}
        except PluginError as error:
            errors = {"url": [error.message]}
        else:
            return go("owner.connect", shop=made["key"], code=_ADDED)
    currency, zone = places.guess(request.accept_languages.values())
    return show_form(
        "owner/new_shop.html",
        errors,
        platforms=_platforms(),
        currency=currency,
        zone=zone,
        currencies=places.currency_options(language()),
        zones=places.zone_options(),
    )


def _platforms() -> list[tuple[Shop, bool]]:
    """Return what a shop can run on, and whether it can then be asked and not only listened to; those first."""
    known = [(shops.get(name), isinstance(shops.get(name), Connected)) for name in shops.names()]
    return sorted(known, key=lambda one: (not one[1], one[0].title))
