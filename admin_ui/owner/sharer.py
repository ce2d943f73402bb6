"""One sharer: who they are, how they stand, their links, codes and money, and what the shop's people note of them."""

from typing import Any

from flask import request, url_for

from admin_ui.lists import PAGE, cursor, typed
from admin_ui.owner import MANAGE, OWN, Desk, page, show_form
from admin_ui.page import Answer, go, said
from admin_ui.words import STATUSES
from plugin import shops
from plugin.database import again
from plugin.errors import BadRequest, Conflict, Unavailable
from plugin.languages import mark
from plugin.services.change_sharers import add_note, list_notes
from plugin.services.enrol_sharer import change_sharer
from plugin.services.erase_person import erase_person
from plugin.services.find_sharers import GROUPS_MAX
from plugin.services.issue_link import issue_link
from plugin.services.make_coupon import NewCoupon, end_coupon, find_coupon, list_coupons, make_coupon
from plugin.services.see_sharer import Whole, payouts_of, see_sharer
from plugin.services.show_books import list_transfers, show_balances
from plugin.shops.base import Discounting

LAST = 10  # entries of the statement on the first page
CHANNEL_MAX = 255
_CHANGED = said("sharer-changed", mark("Changed. It counts for orders placed from now on."))
_NOTED = said("noted", mark("The note is kept."))
_LINKED = said("linked", mark("The link is made."))
_CODED = said("coded", mark("The code is this sharer's from now on."))
_MAKING = said("making", mark("The code is this sharer's, and the shop is asked to make it."))
_ENDED = said("code-ended", mark("The code is nobody's from now on."))
_ERASED = said("erased", mark("Name and e-mail are erased. The amounts stay, without them."))
_ERASED_HERE = said("erased-here", mark("What this shop sent about them is erased. Another shop of yours knows them."))
_WORD = "ERASE"
_NO_CODE = mark("Write a code of at most 255 characters.")
_NO_PERCENT = mark("Write a number above 0, such as 10.")
_NO_ADDRESS = mark("It must be an address of your own shop.")
_CONFLICTS = {
    "code_taken": mark("This code is another sharer's already."),
    "too_many_codes": mark("A sharer has at most fifty codes."),
    "no_coupons": mark("No codes can be made in this shop. Connect it, or make them there by hand."),
}


@page("/<shop>/sharers/<sharer>")
def sharer(desk: Desk, sharer: str) -> Answer:
    """All that is known of a sharer."""
    return _show(desk, sharer)


@page("/<shop>/sharers/<sharer>/statement")
def statement(desk: Desk, sharer: str) -> Answer:
    """Every entry in the books about a sharer, newest first, and what was paid to them."""
    whole = see_sharer(desk.context, desk.shop_id, sharer)
    entries = list_transfers(desk.context, whole.row.id, before=cursor(), limit=PAGE)
    following = entries["next"]
    return show_form(
        "owner/statement.html",
        whole=whole,
        entries=entries["items"],
        balances=show_balances(desk.context, whole.row.id)["balances"],
        payouts=payouts_of(desk.context, whole.row.id, limit=PAGE),
        following=following and url_for("owner.statement", shop=desk.shop_key, sharer=sharer, after=following),
    )


@page("/<shop>/sharers/<sharer>/standing", methods=["POST"], needs=MANAGE)
def change_standing(desk: Desk, sharer: str) -> Answer:
    """Change status and group from now on; the reason is kept as a note."""
    whole = see_sharer(desk.context, desk.shop_id, sharer)
    changes = {"status": typed("status", form=True), "group": typed("group", form=True) or None}
    reason = request.form.get("reason", "").strip()
    try:
        again(lambda: change_sharer(desk.context, whole.row, changes, actor=desk.actor))
        if reason:
            add_note(desk.context, whole.row.id, reason, owner_id=desk.member.id)
    except BadRequest as error:
        return _show(desk, sharer, {"reason": error.fields["text"]} if "text" in error.fields else error.fields)
    return go("owner.sharer", shop=desk.shop_key, sharer=sharer, code=_CHANGED)


@page("/<shop>/sharers/<sharer>/notes", methods=["POST"], needs=MANAGE)
def keep_note(desk: Desk, sharer: str) -> Answer:
    """Keep a note that sharers never see."""
    whole = see_sharer(desk.context, desk.shop_id, sharer)
    try:
        add_note(desk.context, whole.row.id, request.form.get("text", ""), owner_id=desk.member.id)
    except BadRequest as error:
        return _show(desk, sharer, error.fields)
    return go("owner.sharer", shop=desk.shop_key, sharer=sharer, code=_NOTED)


@page("/<shop>/sharers/<sharer>/links", methods=["POST"], needs=MANAGE)
def make_link(desk: Desk, sharer: str) -> Answer:
    """Make one more share link."""
    whole = see_sharer(desk.context, desk.shop_id, sharer)
    try:
        again(
            lambda: issue_link(
                desk.context,
                desk.shop_id,
                whole.row.id,
                url=request.form.get("url", "").strip() or None,
                channel=typed("channel", form=True) or None,
                campaign=None,
                actor=desk.actor,
            )
        )
    except BadRequest:
        return _show(desk, sharer, {"url": [_NO_ADDRESS]})
    return go("owner.sharer", shop=desk.shop_key, sharer=sharer, code=_LINKED)


@page("/<shop>/sharers/<sharer>/codes", methods=["POST"], needs=MANAGE)
def give_code(desk: Desk, sharer: str) -> Answer:
    """Give a code that the shop has already, or have a new one made there."""
    whole = see_sharer(desk.context, desk.shop_id, sharer)
    code, percent = typed("code", form=True), typed("percent", form=True)
    try:
        if request.form.get("make"):
            again(lambda: make_coupon(desk.context, whole.row, NewCoupon(code or None, percent), actor=desk.actor))
            return go("owner.sharer", shop=desk.shop_key, sharer=sharer, code=_MAKING)
        changes = {"codes": [*whole.codes, code]}
        again(lambda: change_sharer(desk.context, whole.row, changes, actor=desk.actor))
    except BadRequest as error:
        return _show(desk, sharer, {"code": [_NO_CODE]} if "codes" in error.fields else {"percent": [_NO_PERCENT]})
    except Conflict as error:
        return _show(desk, sharer, {"code": [_CONFLICTS.get(error.code, error.message)]})
    return go("owner.sharer", shop=desk.shop_key, sharer=sharer, code=_CODED)


@page("/<shop>/sharers/<sharer>/codes/end", methods=["POST"], needs=MANAGE)
def end_code(desk: Desk, sharer: str) -> Answer:
    """Take a code away; one that was made in the shop for the sharer is ended there too."""
    whole = see_sharer(desk.context, desk.shop_id, sharer)
    code, made = typed("code", form=True), request.form.get("coupon")
    if made:
        row = find_coupon(desk.context, made, shop_id=desk.shop_id)
        if row.sharer_id == whole.row.id:
            again(lambda: end_coupon(desk.context, row, actor=desk.actor))
    elif code in whole.codes:
        changes = {"codes": [one for one in whole.codes if one != code]}
        again(lambda: change_sharer(desk.context, whole.row, changes, actor=desk.actor))
    return go("owner.sharer", shop=desk.shop_key, sharer=sharer, code=_ENDED)


@page("/<shop>/sharers/<sharer>/erase", methods=["GET", "POST"], needs=OWN, fresh=True)
def erase_sharer(desk: Desk, sharer: str) -> Answer:
    """Erase who the sharer is, after a typed word; what they earned stays in the books."""
    whole = see_sharer(desk.context, desk.shop_id, sharer)
    errors: object = None
    if request.method == "POST":
        if typed("word", form=True).upper() != _WORD:
            errors = {"word": [mark("Type the word just as it is written here.")]}
        elif whole.row.email is not None:
            return go("owner.sharer", shop=desk.shop_key, sharer=sharer, code=_erase(desk, whole))
    return show_form("owner/erase.html", errors, whole=whole, word=_WORD)


def _erase(desk: Desk, whole: Whole) -> str:
    """Erase a sharer as the buyer they may be too; return what is to be said."""
    try:
        erase_person(desk.context, email=whole.row.email, shop_id=desk.shop_id)
    except Unavailable as error:
        if error.code != "pages_not_cleared":
            raise  # else all is erased, and the next erasure clears the database's old pages
    gone = see_sharer(desk.context, desk.shop_id, whole.id).row.erased_at is not None
    return _ERASED if gone else _ERASED_HERE


def _show(desk: Desk, name: str, errors: Any = None) -> Answer:
    context = desk.context
    whole = see_sharer(context, desk.shop_id, name)
    coupons = list_coupons(context, whole.row.id, before=None, limit=GROUPS_MAX)["items"]
    made = {one["code"]: one for one in reversed(coupons)}
    return show_form(
        "owner/sharer.html",
        errors,
        whole=whole,
        statuses=[(value, label) for value, label in STATUSES.items()],
        coupons=made,
        makes_coupons=desk.shop is not None and isinstance(shops.get(desk.shop.platform), Discounting),
        balances=show_balances(context, whole.row.id)["balances"],
        entries=list_transfers(context, whole.row.id, before=None, limit=LAST)["items"],
        notes=list_notes(context, whole.row.id),
        share=f"{context.settings.base_url}/s/",
    )
