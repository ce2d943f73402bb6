"""Settings: the shop and its secret, how the program looks, who joins it, and erasing a buyer."""

from typing import Any

from flask import request

from admin_ui.owner import MANAGE, OWN, Desk, Menu, page, show_form
from admin_ui.owner.connect import storefront_lines
from admin_ui.page import Answer, go, said
from plugin.errors import BadRequest, Conflict, NotFound, Unavailable
from plugin.languages import LANGUAGES, mark
from plugin.services.add_shop import rotate_secret
from plugin.services.erase_person import erase_person
from plugin.services.manage_program import APPROVE, CLOSED, OPEN, change_program, show_program
from plugin.services.reach_shop import can_ask, hook_address
from plugin.services.reconcile_shop import read_progress, want_reconciling

JOINING = {
    OPEN: mark("Everybody, at once"),
    APPROVE: mark("Whoever you approve"),
    CLOSED: mark("Only whom you invite"),
}
CONTRAST_MIN = 4.5  # of a text on it, WCAG 2.2, 1.4.3
_KEPT = said("settings-kept", mark("Saved."))
_LOOKING = said("settings-looking", mark("The shop is being asked for its orders. It may take a while."))
_ERASED = said("settings-erased", mark("Erased. The books keep amounts and order numbers alone."))


@page("/<shop>/settings", needs=MANAGE, menu=Menu(mark("Settings"), "settings", 90))
def settings(desk: Desk) -> Answer:
    """The shop, how it looks, and the ways to everything else that is set."""
    return _settings(desk)


def _settings(desk: Desk, errors: Any = None, secret: str | None = None) -> Answer:
    assert desk.shop is not None  # noqa: S101 - the page is about one
    with desk.context.database.reading() as connection:
        program = show_program(connection, desk.shop_id)
        found = read_progress(connection, desk.shop_id)
    task, progress = found if found is not None else (None, {})
    return show_form(
        "owner/settings.html",
        errors,
        program=program,
        joining=JOINING,
        spoken=[("", ""), *((one.tag, one.name) for one in LANGUAGES.values())],
        contrast=contrast(program.brand_color),
        contrast_min=CONTRAST_MIN,
        hook=hook_address(desk.context, desk.shop),
        lines=storefront_lines(desk.context.settings.base_url, desk.shop_key),
        asks=can_ask(desk.context, desk.shop),
        sure=progress.get("sure"),
        found=progress.get("found", 0),
        trouble=(task.reason if task else None) or progress.get("trouble"),
        secret=secret,
        may_own=desk.may(OWN),
    )


def contrast(color: str) -> float:
    """Return the contrast of a colour, #rrggbb, with white, as WCAG reckons it: from 1 to 21."""
    parts = [int(color[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in parts)
    return 1.05 / (0.2126 * red + 0.7152 * green + 0.0722 * blue + 0.05)


@page("/<shop>/settings/brand", methods=["POST"], needs=MANAGE)
def keep_brand(desk: Desk) -> Answer:
    """Keep how the program looks and who may join it."""
    form = request.form
    changes = {
        "brand_color": form.get("brand_color", "").strip().lower(),
        "logo_url": form.get("logo_url", "").strip() or None,
        "join_mode": form.get("join_mode", ""),
        "language": form.get("language") or None,
        "support_email": form.get("support_email", "").strip() or None,
        "reward_shown": "reward_shown" in form,
    }
    try:
        change_program(desk.context, desk.shop_id, changes)
    except BadRequest as error:
        return _settings(desk, error.fields)
    return go("owner.settings", shop=desk.shop_key, code=_KEPT)


@page("/<shop>/settings/secret", methods=["POST"], needs=OWN, fresh=True)
def turn_secret(desk: Desk) -> Answer:
    """Give the shop a new webhook secret, shown this once; the old one stays good for a day."""
    return _settings(desk, secret=rotate_secret(desk.context, desk.shop_key)["webhook_secret"])


@page("/<shop>/settings/reconcile", methods=["POST"], needs=MANAGE)
def look_now(desk: Desk) -> Answer:
    """Have the shop asked for its orders soon."""
    assert desk.shop is not None  # noqa: S101 - the page is about one
    if not can_ask(desk.context, desk.shop):
        raise Conflict("nobody_to_ask", mark("This shop cannot be asked: it has no credentials here."))
    with desk.context.database.writing() as connection:
        want_reconciling(connection, desk.shop_id, now=desk.context.now())
    desk.context.wake()
    return go("owner.settings", shop=desk.shop_key, code=_LOOKING)


@page("/<shop>/settings/erase", methods=["POST"], needs=OWN, fresh=True)
def erase_buyer(desk: Desk) -> Answer:
    """Erase a buyer of this shop by e-mail or by one of their orders."""
    form = request.form
    email, order = form.get("email", "").strip() or None, form.get("order", "").strip() or None
    if form.get("sure") != "yes":
        return _settings(desk, {"sure": [mark("Tick that it is to be erased for ever.")]})
    if email is not None and "@" not in email:
        return _settings(desk, {"email": [mark("Is not an e-mail address.")]})
    try:
        erase_person(desk.context, email=email, order_ref=order, shop_id=desk.shop_id)
    except NotFound:
        return _settings(desk, {"order": [mark("There is no such order. Write its id as the shop gives it.")]})
    except BadRequest:
        return _settings(desk, {"email": [mark("Name the buyer by e-mail or by an order.")]})
    except Unavailable:
        busy = mark("All is erased, but old pages of the database's files are still in use. Send it once more.")
        return _settings(desk, {"erase": [busy]})
    return go("owner.settings", shop=desk.shop_key, code=_ERASED)
