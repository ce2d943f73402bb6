"""Every code that the product can show has a word on its pages."""

import re
from inspect import getsource

import pytest
from flask import Flask

from admin_ui import words
from plugin.domain import attribution, commission, facts, ledger, order, payout, settlement
from plugin.domain.plan import Plan
from plugin.languages import LANGUAGES, texts
from plugin.services import list_deliveries, make_coupon, order_states, show_order

REFUSALS = re.findall(r'(?:return|reason =) "([a-z_]+)"', getsource(attribution._refusal))
CODES = {
    "status": set(facts.STATUSES),
    "state": {"expected", "reversed", ledger.PENDING, ledger.HELD, ledger.PAYABLE, ledger.IN_FLIGHT, ledger.PAID},
    "role": {commission.DIRECT, commission.UPLINE, commission.BUYER},
    "outcome": {"manual", "manual_nobody", "coupon", "link", "binding", "all_refused", "no_evidence"},
    "evidence": {
        "accepted", *REFUSALS, attribution.OWN_PURCHASE_HELD, "code_not_in_force", "not_a_token", "forged",
        *(f"sharer_{status}" for status in facts.STATUSES if status != facts.APPROVED),
    },
    "flag": {
        commission.EXCEEDS, commission.UNKNOWN_LINE, commission.BELOW_PARTS, commission.DELETED, settlement.LATE,
    },
    "transfer": set(ledger.EDGES),
    "payment": set(order.PAYMENTS),
    "delivery": set(list_deliveries.STATES),
    "payout_item": {
        payout.RESERVED, payout.IN_FLIGHT, payout.UNKNOWN, payout.ACTION_NEEDED, payout.PAID, payout.FAILED,
        payout.RETURNED, payout.CANCELLED,
    },
}  # fmt: skip
CODES |= {"state_sentence": CODES["state"], "transfer_sentence": CODES["transfer"], "reason_short": CODES["outcome"]}
CODES["order_state"] = set(order_states.STATES)
CODES["kind"] = set(Plan().attribution.priority) | {"manual"}
CODES["coupon"] = set(re.findall(r'state(?:": |=)"([a-z]+)"', getsource(make_coupon)))
CODES["cut"] = set(re.findall(r'"(order_cap|base)":', getsource(show_order._cut)))
CODES["line_note"] = set(re.findall(r'"note": "([a-z_]+)"', getsource(show_order._explain_line)))


@pytest.mark.parametrize("table", sorted(words.WORDS))
def test_every_code_has_a_word(table: str) -> None:
    assert CODES[table], "the test knows no code"
    assert CODES[table] <= set(words.WORDS[table])


def test_the_refusals_are_read_from_the_source() -> None:
    assert len(REFUSALS) == 5
    assert CODES["coupon"] == {"making", "made", "ending", "ended", "failed"}


def test_an_unknown_code_is_shown_as_it_is() -> None:
    assert words.in_words("flag", "brand_new") == "brand_new"


def test_words_are_said_in_the_language_of_the_page() -> None:
    app = Flask("words")
    for tag in LANGUAGES:
        with app.test_request_context(headers={"Accept-Language": tag}):
            assert words.in_words("status", "approved") == texts(tag).gettext("Approved")
