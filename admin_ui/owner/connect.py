"""Connecting a shop: what to do in it, platform by platform, and a light that turns green by itself."""

from collections.abc import Mapping
from urllib.parse import urlsplit

from flask import render_template, request

from admin_ui.owner import OWN, Desk, page, show_form
from admin_ui.page import Answer, go, is_part, said
from plugin import shops
from plugin.errors import PluginError
from plugin.grants import grant_url
from plugin.languages import mark
from plugin.services.add_shop import NewShop
from plugin.services.connect_shop import connect_shop
from plugin.services.reach_shop import can_ask, hook_address, is_local, newest_secret
from plugin.services.show_connection import Light, show_connection
from plugin.shops.base import Connected

_CONNECTED = said("connected", mark("The shop is connected: its webhooks are made, and its orders are being fetched."))
# What the platforms ask for, with a hint where one is needed. The words are those of the platforms' own pages.
_FIELDS: Mapping[str, tuple[str, str | None]] = {
    "shop": (mark("The shop's name at Shopify"), mark("Like hats.myshopify.com.")),
    "client_id": (mark("Client ID"), None),
    "client_secret": (mark("Client secret"), None),
    "access_token": (mark("Or an access token"), mark("Of an app that was made in the shop's admin.")),
    "secret": (mark("API secret key of that app"), mark("Shopify signs its webhooks with it.")),
    "consumer_key": (mark("Consumer key"), mark("It begins with ck_.")),
    "consumer_secret": (mark("Consumer secret"), mark("It begins with cs_.")),
}
_ORDER = tuple(_FIELDS)
_SECRET_FIELDS = frozenset({"client_secret", "access_token", "secret", "consumer_secret"})


@page("/<shop>/connect", needs=OWN)
def connect(desk: Desk) -> Answer:
    """What to do in the shop, and whether it has worked."""
    return _connect(desk)


@page("/<shop>/connect/light", needs=OWN)
def light(desk: Desk) -> Answer:
    """The light alone, for a page that looks again; nothing where it is as the page knows it."""
    if not is_part():
        return go("owner.connect", shop=desk.shop_key)
    seen = show_connection(desk.context, desk.shop_id)
    if request.args.get("seen") == _mark_of(seen):
        return "", 204
    return render_template("owner/light.html", desk=desk, light=seen, light_mark=_mark_of(seen))


@page("/<shop>/connect/keys", methods=["POST"], needs=OWN, fresh=True)
def give_keys(desk: Desk) -> Answer:
    """Try the credentials of the shop's API, make its webhooks, and have its orders fetched."""
    row, form = desk.row, request.form
    given = {name: form.get(name, "").strip() for name, _, _ in _asked(row.platform)}
    credentials = {name: value for name, value in given.items() if value and name != "secret"}
    secret = given.get("secret") or None
    new = NewShop(row.platform, row.url, live=row.live, secret=secret, credentials=credentials)
    try:
        connect_shop(desk.context, new, actor=desk.actor)
    except PluginError as error:
        return _connect(desk, {"api_keys": [error.message]})
    return go("owner.connect", shop=desk.shop_key, code=_CONNECTED)


def _connect(desk: Desk, errors: object = None) -> Answer:
    row, context = desk.row, desk.context
    seen = show_connection(context, row.id)
    base_url = context.settings.base_url
    return show_form(
        "owner/connect.html",
        errors,
        light=seen,
        light_mark=_mark_of(seen),
        webhook_url=hook_address(context, row),
        webhook_secret=newest_secret(context, row),
        lines=storefront_lines(base_url, row.key),
        base_url=base_url,
        is_unreachable=is_local(urlsplit(base_url).hostname or "") and not is_local(urlsplit(row.url).hostname or ""),
        is_connectable=isinstance(shops.get(row.platform), Connected),
        is_connected=can_ask(context, row),
        grant=grant_url(context, NewShop(row.platform, row.url, live=row.live)),
        asked=_asked(row.platform),
        secret_fields=_SECRET_FIELDS,
    )


def storefront_lines(base_url: str, key: str) -> dict[str, str]:
    """Return the lines that a shop puts on its pages, and the page they lead visitors to who want to know more."""
    start = f'<script src="{base_url}/pa/{key}'
    way = f'<a href="{base_url}/join/{key}">Share what you like, and earn when friends buy it</a>'
    return {
        "script": f'{start}.js" defer></script>',
        "banner": f'{start}/banner.js" defer></script>',
        "thanks": f'<div data-passalong="thanks">{way}</div> {start}/thanks.js" defer></script>',
        "privacy": f"{base_url}/privacy/{key}",
    }


def _mark_of(light: Light) -> str:
    """Return what tells one state of the light from another."""
    return f"{light.state}.{light.at or 0}"


def _asked(platform: str) -> list[tuple[str, str, str | None]]:
    """Return the fields for what a platform's API asks for: name, label, hint."""
    adapter = shops.get(platform)
    if not isinstance(adapter, Connected):
        return []
    names = {*adapter.more, *(name for group in adapter.credentials for name in group)}
    known = sorted(names, key=lambda name: (_ORDER.index(name) if name in _FIELDS else len(_ORDER), name))
    return [(name, *_FIELDS.get(name, (name, None))) for name in known]
