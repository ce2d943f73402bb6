"""Home: what is to be done first, then how the last thirty days went. Without a shop it is the way to one."""

from flask import redirect, request, url_for

from admin_ui.owner import OWN, Desk, Menu, page, show_form
from admin_ui.page import Answer, go, said, show
from plugin.errors import BadRequest, PluginError
from plugin.languages import mark
from plugin.services.add_shop import NewShop, add_shop

_ADDED = said("shop-added", mark("The shop is here. Now tell it where to send its orders."))
PLATFORMS = {
    "shopify": mark("Shopify"),
    "woocommerce": mark("WooCommerce"),
    "generic": mark("Another shop, by webhook"),
}


@page("/")
def home(desk: Desk) -> Answer:
    """The first shop's home, or the way to a first shop."""
    if not desk.shops:
        return redirect(url_for("owner.new_shop"), 303) if desk.may(OWN) else show("owner/no_shop.html")
    return redirect(url_for("owner.shop_home", shop=desk.shops[0].key), 303)


@page("/<shop>/", menu=Menu(mark("Home"), "house", 10))
def shop_home(desk: Desk) -> Answer:
    """What is to be done, then the last thirty days."""
    return show("owner/home.html")


@page("/shops/new", methods=["GET", "POST"], needs=OWN)
def new_shop(desk: Desk) -> Answer:
    """Connect a shop: where it is and what it runs on."""
    errors: object = None
    if request.method == "POST":
        form = request.form
        try:
            new = NewShop(
                form.get("platform", ""),
                form.get("url", "").strip(),
                name=form.get("name", "").strip() or None,
                currency=form.get("currency", "").strip().upper() or "USD",
                timezone=form.get("timezone", "").strip() or "UTC",
            )
            made = add_shop(desk.context, new, actor=desk.actor)
        except BadRequest as error:
            errors = error.fields or {"url": [error.message]}
        except PluginError as error:
            errors = {"url": [error.message]}
        else:
            return go("owner.shop_home", shop=made["key"], code=_ADDED)
    return show_form("owner/new_shop.html", errors, platforms=PLATFORMS)
