"""What the product's codes are called on its pages: one table each, for the shop's people and for sharers alike.

Code below the pages speaks in codes. A code that has no word here is shown as it is, so that nothing is ever hidden.
"""

from collections.abc import Mapping

from flask import Flask

from admin_ui.page import gettext
from plugin.languages import mark

STATUSES = {
    "pending": mark("Waiting for approval"),
    "approved": mark("Approved"),
    "suspended": mark("Suspended"),
}
# Where a commission stands.
STATES = {
    "expected": mark("Expected"),
    "pending": mark("On the way"),
    "held": mark("Held"),
    "payable": mark("Ready"),
    "in_flight": mark("Being paid"),
    "paid": mark("Paid"),
    "reversed": mark("Reversed"),
}
# Where an order stands, to find it by: as its commissions do, in the order of their ways.
ORDER_STATES = {
    "pending": STATES["pending"],
    "held": STATES["held"],
    "payable": STATES["payable"],
    "in_flight": STATES["in_flight"],
    "paid": STATES["paid"],
    "reversed": STATES["reversed"],
    "expected": STATES["expected"],
    "nobody": mark("Nobody's"),
}
STATE_SENTENCES = {
    "expected": mark("Nothing is booked yet: the order is not paid."),
    "pending": mark("It waits until the return period is over."),
    "held": mark("It is kept back until somebody of the shop decides."),
    "payable": mark("It can be paid out."),
    "in_flight": mark("It is set aside for a payout that is under way."),
    "paid": mark("It was paid out."),
    "reversed": mark("What was booked was taken back."),
}
ROLES = {
    "direct": mark("Recommended it"),
    "upline": mark("Invited the sharer"),
    "buyer": mark("Cashback for the buyer"),
}
KINDS = {
    "manual": mark("The shop's word"),
    "coupon": mark("Coupon code"),
    "link": mark("Share link"),
    "binding": mark("Earlier order"),
}
# Why an order went to whom it went.
OUTCOMES = {
    "manual": mark("The shop gave it to this sharer by hand."),
    "manual_nobody": mark("The shop decided by hand that it is nobody's."),
    "coupon": mark("The buyer used this sharer's coupon code."),
    "link": mark("The buyer came by this sharer's link."),
    "binding": mark("The buyer belongs to this sharer since an earlier order."),
    "all_refused": mark("There were traces of sharers, but none of them counts."),
    "no_evidence": mark("Nothing on the order leads to a sharer."),
}
# The same in a word, for lists.
REASONS_SHORT = {
    "manual": mark("By hand"),
    "manual_nobody": mark("By hand"),
    "coupon": mark("Coupon code"),
    "link": mark("Share link"),
    "binding": mark("Earlier order"),
    "all_refused": mark("Nothing counted"),
    "no_evidence": mark("No trace"),
}
# Why a piece of evidence counts, or does not.
EVIDENCE = {
    "accepted": mark("It counts."),
    "before_since": mark("The sharer was not there yet when the order was placed."),
    "sharer_pending": mark("The sharer was not approved yet when the order was placed."),
    "sharer_suspended": mark("The sharer was suspended when the order was placed."),
    "outside_window": mark("The click is older than the plan's attribution window."),
    "click_after_order": mark("The click is later than the order."),
    "own_purchase": mark("The sharer bought it, and own purchases do not count."),
    "own_purchase_held": mark("It counts, but the sharer bought it, so a person decides first."),
    "not_a_new_customer": mark("The buyer bought here before, and the plan counts new customers only."),
    "code_not_in_force": mark("The code was nobody's when the order was placed."),
    "forged": mark("It looks like a share token, but it is not one of this shop."),
    "not_a_token": mark("It is no share token of this shop."),
}
FLAGS = {
    "refund_exceeds_order": mark("More was refunded than the order held; nothing goes below zero."),
    "refund_unknown_line": mark("A refund names a line that the order does not have."),
    "refund_amount_below_parts": mark("A refund's amount is less than its parts together."),
    "deleted_in_shop": mark("The order was deleted in the shop."),
    "late_evidence": mark("What came after the release would have decided otherwise."),
}
# What moved the money, in a word and in a sentence that is right for whoever reads it.
TRANSFERS = {
    "earn": mark("Earned by the order"),
    "take_back": mark("Taken back"),
    "earn_held": mark("Earned, held"),
    "take_back_held": mark("Taken back, held"),
    "hold": mark("Held back"),
    "free": mark("Freed"),
    "release": mark("Released"),
    "earn_late": mark("Earned late"),
    "claw_back": mark("Clawed back"),
    "reserve": mark("Set aside"),
    "reserve_debt": mark("Debt set off"),
    "give_back": mark("Given back"),
    "give_back_debt": mark("Debt open again"),
    "settle": mark("Paid out"),
    "settle_debt": mark("Debt settled"),
    "return": mark("Payment returned"),
    "return_debt": mark("Debt returned"),
}
TRANSFER_SENTENCES = {
    "earn": mark("The order earned it. It waits until the return period is over."),
    "take_back": mark("A refund, a cancellation or a new decision took it back while it waited."),
    "earn_held": mark("The order earned it, but a person has to decide first."),
    "take_back_held": mark("A refund, a cancellation or a new decision took it back while it was held."),
    "hold": mark("It is kept back until a person decides."),
    "free": mark("It is free again and waits until the return period is over."),
    "release": mark("The return period is over. It can be paid out."),
    "earn_late": mark("The order earned it after the return period. It can be paid out at once."),
    "claw_back": mark("A refund, a cancellation or a new decision took it back after the release."),
    "reserve": mark("It was set aside for a payout."),
    "reserve_debt": mark("A debt was set off against a payout."),
    "give_back": mark("The payout did not go through. It can be paid out again."),
    "give_back_debt": mark("The payout did not go through, so the debt is open again."),
    "settle": mark("It was paid out."),
    "settle_debt": mark("A payout settled the debt."),
    "return": mark("The payment came back. It can be paid out again."),
    "return_debt": mark("The payment came back, so the debt is open again."),
}
PAYMENTS = {
    "unpaid": mark("Not paid yet"),
    "paid": mark("Paid by the buyer"),
    "voided": mark("Payment voided"),
    "chargeback": mark("Charged back"),
}
CUTS = {
    "order_cap": mark("Cut to the most that the plan pays for one order."),
    "base": mark("Cut to what it is reckoned from: a commission is never more than that."),
}
LINE_NOTES = {
    "amount_not_in_currency": mark("The rule names no amount in this currency."),
}
DELIVERIES = {
    "stored": mark("To be read"),
    "done": mark("Done"),
    "waiting": mark("Waiting for its order"),
    "quarantined": mark("In quarantine"),
}
COUPONS = {
    "making": mark("Being made in the shop"),
    "made": mark("Made in the shop"),
    "ending": mark("Being ended in the shop"),
    "ended": mark("Ended"),
    "failed": mark("The shop did not do it"),
}
PAYOUT_ITEMS = {
    "reserved": mark("Set aside"),
    "in_flight": mark("Being paid"),
    "unknown": mark("Outcome unknown"),
    "action_needed": mark("Something is to be done"),
    "paid": mark("Paid"),
    "failed": mark("Failed"),
    "returned": mark("Payment returned"),
    "cancelled": mark("Cancelled"),
}
WORDS: Mapping[str, Mapping[str, str]] = {
    "status": STATUSES,
    "state": STATES,
    "order_state": ORDER_STATES,
    "state_sentence": STATE_SENTENCES,
    "role": ROLES,
    "kind": KINDS,
    "outcome": OUTCOMES,
    "reason_short": REASONS_SHORT,
    "evidence": EVIDENCE,
    "flag": FLAGS,
    "transfer": TRANSFERS,
    "transfer_sentence": TRANSFER_SENTENCES,
    "payment": PAYMENTS,
    "cut": CUTS,
    "line_note": LINE_NOTES,
    "delivery": DELIVERIES,
    "coupon": COUPONS,
    "payout_item": PAYOUT_ITEMS,
}
# The look of a badge that says one of these.
LOOKS: Mapping[str, str] = {
    "pending": "info", "approved": "good", "suspended": "bad", "held": "warn", "payable": "good", "in_flight": "accent",
    "paid": "good", "reversed": "bad", "done": "good", "waiting": "info", "quarantined": "bad", "made": "good",
    "making": "info", "ending": "info", "failed": "bad", "returned": "bad", "unknown": "warn", "action_needed": "warn",
    "chargeback": "bad", "voided": "bad", "cancelled": "bad",
}  # fmt: skip


def init_app(app: Flask) -> None:
    """Let templates say ``in_words("status", code)``, and ``look(code)`` for the badge around it."""
    app.jinja_env.globals.update(in_words=in_words, look=look)


def in_words(table: str, code: str) -> str:
    """Return what a code of one of the tables is called, in the language of this request."""
    text = WORDS[table].get(code)
    return code if text is None else gettext(text)


def look(code: str) -> str:
    """Return the kind of badge that fits a status or state."""
    return LOOKS.get(code, "")
