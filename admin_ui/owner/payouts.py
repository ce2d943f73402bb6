"""Payouts: what is due, a draft that is looked at and cut down, its total typed to approve it, and what became of it.

A manager or a payer prepares; only a payer or an owner moves money, freshly signed in and with a second factor. What is
approved is what was seen: the service refuses anything else.
"""

import re
from typing import Any

from flask import request
from sqlalchemy import Row

from admin_ui.owner import MANAGE, PAY, Desk, Menu, page, show_form
from admin_ui.page import Answer, csv_file, go, said, show
from plugin import rails
from plugin.api.reports import write_csv
from plugin.database import again
from plugin.domain.money import DIGITS
from plugin.domain.payout import DRAFT
from plugin.errors import BadRequest, Conflict, Malformed, NotAllowed
from plugin.languages import mark
from plugin.reports.base import Column
from plugin.services import public_id, run_payout
from plugin.services.keep_payout_way import BANK, OTHER, PAYPAL
from plugin.services.run_payout import NewPayout, minor_of
from plugin.services.show_books import find_payout
from plugin.services.show_payouts import every_item, list_batches, list_to_pay, show_batch, show_dues

STATES = {
    "draft": mark("Draft"),
    "approved": mark("Approved"),
    "submitted": mark("Being paid"),
    "settled": mark("Done"),
    "cancelled": mark("Cancelled"),
}
LOOKS = {"draft": "info", "approved": "warn", "submitted": "accent", "settled": "good", "cancelled": ""}
LEFT_OUT = {
    "sharer_pending": mark("Waits to be approved as a sharer"),
    "sharer_suspended": mark("Is suspended"),
    "sharer_erased": mark("Was erased, so nobody knows whom to pay"),
    "nothing_payable": mark("Has nothing that is ready yet"),
    "owes_the_shop": mark("Owes the shop after a refund; it nets from what is earned next"),
    "below_minimum": mark("Has less than the minimum"),
    "left_out_by_hand": mark("Left out by you"),
}
RAILS = {"manual": mark("By hand: you pay outside and mark each payment here")}
MARKS = ("paid", "failed", "returned")
REFUSALS = {
    "wrong_state": mark("This payout has moved on since the page was opened. Here is how it stands now."),
    "total_changed": mark("The amounts are no longer those you saw, so nothing was approved. Draft it again."),
    "books_do_not_balance": mark("The books fail their check, so no payout moves. See Settings, Health."),
    "books_moved": mark("The books fail their check, so no payout moves. See Settings, Health."),
}
# What a sharer said of where their money goes, by its name, as the shop reads it.
WAYS = {BANK: mark("Bank account"), PAYPAL: mark("PayPal"), OTHER: mark("Another way")}
DETAILS = {
    "holder": mark("Whose account it is"),
    "bank": mark("Bank and branch, or BIC"),
    "account": mark("Account number or IBAN"),
    "email": mark("E-mail of the PayPal account"),
    "words": mark("In their words"),
}
TEXT_MAX = 200
_DRAFTED = said("payout-drafted", mark("Here is the draft. Nothing moves until you approve it."))
_AGAIN = said("payout-again", mark("Drafted again with today's balances. The draft before is cancelled."))
_LEFT = said("payout-left", mark("They are left out of this payout. Their money stays ready for the next one."))
_APPROVED = said("payout-approved", mark("Approved. The money is set aside; now pay it out."))
_SUBMITTED = said("payout-submitted", mark("Handed over. Mark each payment as it goes through."))
_CANCELLED = said("payout-cancelled", mark("Cancelled. Everything that was set aside is ready again."))
_MARKED = said("payout-marked", mark("Written down."))
_FILE = tuple(
    Column(name, kind, name)
    for name, kind in (
        ("id", "text"), ("sharer", "text"), ("name", "text"), ("email", "text"), ("currency", "currency"),
        ("gross", "money"), ("withheld", "money"), ("fee", "money"), ("net", "money"), ("state", "text"),
        ("reference", "text"), ("reason", "text"),
    )
)  # fmt: skip


@page("/<shop>/payouts", menu=Menu(mark("Payouts"), "wallet", 50))
def payouts(desk: Desk) -> Answer:
    """What is due, and every payout there was."""
    return _payouts(desk)


def _payouts(desk: Desk, errors: Any = None) -> Answer:
    return show_form(
        "owner/payouts.html",
        errors,
        dues=show_dues(desk.context, desk.shop_id),
        batches=list_batches(desk.context, desk.shop_id, before=_whole("before")),
        rails={name: RAILS.get(name, name) for name in rails.names()},
        may_prepare=_may_prepare(desk),
        states=STATES,
        looks=LOOKS,
    )


@page("/<shop>/payouts", methods=["POST"])
def draft_payout(desk: Desk) -> Answer:
    """Draft a payout of everybody who could be paid now."""
    _require_preparing(desk)
    form = request.form
    currency, minimum = form.get("currency", ""), form.get("minimum", "").strip() or None
    if currency not in DIGITS:
        return _payouts(desk, {"payout": [mark("Choose one of the currencies that are due.")]})
    new = NewPayout(rail=form.get("rail", "manual"), currency=currency, minimum=minimum)
    try:
        if minimum is not None and minor_of(minimum, currency) >= 2**53:
            return _payouts(desk, {f"minimum-{currency}": [mark("It is too large.")]})
        number = again(lambda: run_payout.draft_payout(desk.context, desk.shop_id, new, actor=desk.actor))
    except BadRequest as error:
        return _payouts(desk, error.fields)
    except Malformed:
        return _payouts(desk, {f"minimum-{currency}": [mark("Write an amount such as 20.")]})
    except Conflict as error:
        return _payouts(desk, _refused(error))
    return go("owner.payout", shop=desk.shop_key, payout=_name(number), code=_DRAFTED)


@page("/<shop>/payouts/<payout>")
def payout(desk: Desk, payout: str) -> Answer:
    """One payout: who is in it and who is not, what comes next, and what became of each payment; also as a file."""
    row = _find(desk, payout)
    if request.args.get("format") == "csv":
        if not desk.may(PAY):
            raise NotAllowed("role_too_small", "Your role does not allow this. Ask an owner of the shop.")
        return csv_file(f"{desk.shop_key}-{payout}.csv", write_csv(_FILE, every_item(desk.context, row)))
    return _payout(desk, row)


def _payout(desk: Desk, row: Row[Any], errors: Any = None) -> Answer:
    batch = show_batch(desk.context, row, after=_whole("after") or 0, left_after=_whole("left") or 0)
    return show_form(
        "owner/payout.html",
        errors,
        batch=batch,
        may_prepare=_may_prepare(desk),
        may_pay=desk.may(PAY),
        states=STATES,
        looks=LOOKS,
        left_out=LEFT_OUT,
        rails=RAILS,
    )


@page("/<shop>/payouts/<payout>/pay-to", needs=PAY, fresh=True, second_factor=True)
def pay_to(desk: Desk, payout: str) -> Answer:
    """Where the money of each open payment goes: for whoever pays, freshly signed in."""
    row = _find(desk, payout)
    items, following = list_to_pay(desk.context, row, after=_whole("after") or 0)
    return show(
        "owner/pay_to.html",
        batch=payout,
        currency=row.currency,
        items=items,
        following=following,
        ways=WAYS,
        details=DETAILS,
    )


@page("/<shop>/payouts/<payout>/leave-out", methods=["POST"])
def leave_out(desk: Desk, payout: str) -> Answer:
    """Take the people who were ticked out of a draft."""
    _require_preparing(desk)
    row = _find(desk, payout)
    items = {public_id.read(public_id.ITEM, one) for one in request.form.getlist("item")}
    if not items:
        return _payout(desk, row, {"item": [mark("Tick whom to leave out.")]})
    try:
        again(lambda: run_payout.leave_out(desk.context, desk.shop_id, row.id, items, actor=desk.actor))
    except Conflict as error:
        return _payout(desk, _find(desk, payout), _refused(error))
    return go("owner.payout", shop=desk.shop_key, payout=payout, code=_LEFT)


@page("/<shop>/payouts/<payout>/draft-again", methods=["POST"])
def draft_again(desk: Desk, payout: str) -> Answer:
    """Draft the same people again with what they have now."""
    _require_preparing(desk)
    row = _find(desk, payout)
    try:
        number = again(lambda: run_payout.draft_again(desk.context, desk.shop_id, row.id, actor=desk.actor))
    except Conflict as error:
        return _payout(desk, _find(desk, payout), _refused(error))
    return go("owner.payout", shop=desk.shop_key, payout=_name(number), code=_AGAIN)


@page("/<shop>/payouts/<payout>/approve", methods=["POST"], needs=PAY, fresh=True, second_factor=True)
def approve_payout(desk: Desk, payout: str) -> Answer:
    """Set the money aside, once its exact total was typed."""
    row = _find(desk, payout)
    typed = re.sub(r"[\s,]", "", request.form.get("total", ""))
    shown = show_batch(desk.context, row, after=0, left_after=0)
    try:
        seen = minor_of(typed, row.currency)
        total = minor_of(shown["total"], row.currency)
    except (BadRequest, Malformed):
        seen, total = -1, 0
    if seen != total or not shown["people"]:
        return _payout(desk, row, {"total": [mark("This is not the total of this payout.")]})
    try:
        again(
            lambda: run_payout.approve_payout(
                desk.context, desk.shop_id, row.id, actor=desk.actor, seen_total=seen
            )
        )
    except Conflict as error:
        return _payout(desk, _find(desk, payout), _refused(error))
    return go("owner.payout", shop=desk.shop_key, payout=payout, code=_APPROVED)


@page("/<shop>/payouts/<payout>/submit", methods=["POST"], needs=PAY, fresh=True, second_factor=True)
def submit_payout(desk: Desk, payout: str) -> Answer:
    """Hand the payout over to its rail."""
    return _step(desk, payout, run_payout.submit_payout, _SUBMITTED)


@page("/<shop>/payouts/<payout>/cancel", methods=["POST"])
def cancel_payout(desk: Desk, payout: str) -> Answer:
    """Give everything back that was set aside."""
    _require_preparing(desk)
    if _find(desk, payout).state != DRAFT and not desk.may(PAY):
        raise NotAllowed("role_too_small", "Your role does not allow this. Ask an owner of the shop.")
    return _step(desk, payout, run_payout.cancel_payout, _CANCELLED)


def _step(desk: Desk, payout: str, step: Any, code: str) -> Answer:
    row = _find(desk, payout)
    try:
        again(lambda: step(desk.context, desk.shop_id, row.id, actor=desk.actor))
    except Conflict as error:
        return _payout(desk, _find(desk, payout), _refused(error))
    return go("owner.payout", shop=desk.shop_key, payout=payout, code=code)


@page("/<shop>/payouts/<payout>/mark", methods=["POST"], needs=PAY, fresh=True, second_factor=True)
def mark_payout(desk: Desk, payout: str) -> Answer:
    """Write down what became of one payment, or that all that are open went through."""
    row, form = _find(desk, payout), request.form
    state, note = form.get("state", ""), form.get("note", "").strip() or None
    reference, reason = (note, None) if state == "paid" else (None, note)
    if len(note or "") > TEXT_MAX:
        return _payout(desk, row, {"payout": [mark("Write at most 200 characters.")]})
    if state not in MARKS:
        return _payout(desk, row, {"payout": [mark("Say what became of the payment.")]})
    try:
        if form.get("item"):
            item = public_id.read(public_id.ITEM, form["item"])
            again(
                lambda: run_payout.mark_payout_item(
                    desk.context, desk.shop_id, row.id, item,
                    state=state, reference=reference, reason=reason, actor=desk.actor,
                )
            )  # fmt: skip
        else:
            again(
                lambda: run_payout.mark_open_items(
                    desk.context, desk.shop_id, row.id, reference=reference, actor=desk.actor
                )
            )
    except Conflict as error:
        return _payout(desk, _find(desk, payout), _refused(error))
    values = {"after": form["after"]} if form.get("after", "").isdecimal() else {}
    return go("owner.payout", shop=desk.shop_key, payout=payout, code=_MARKED, **values)


def _refused(error: Conflict) -> dict[str, list[str]]:
    return {"payout": [REFUSALS.get(error.code, error.message)]}


def _find(desk: Desk, payout: str) -> Row[Any]:
    return find_payout(desk.context, payout, shop_id=desk.shop_id)


def _name(number: int) -> str:
    return public_id.show(public_id.PAYOUT, number)


def _may_prepare(desk: Desk) -> bool:
    return desk.may(MANAGE) or desk.may(PAY)


def _require_preparing(desk: Desk) -> None:
    if not _may_prepare(desk):
        raise NotAllowed("role_too_small", "Your role does not allow this. Ask an owner of the shop.")


def _whole(name: str) -> int | None:
    text = request.args.get(name, "")
    return int(text) if text.isdecimal() and text.isascii() and len(text) <= 18 else None

