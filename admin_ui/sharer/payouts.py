"""Payouts: what was paid and what is under way; each with a statement to keep, to print and as CSV."""

from flask import Response, request

from admin_ui.page import Answer, show
from admin_ui.sharer import PAGE_LENGTH, Seat, page
from plugin.api.reports import write_csv
from plugin.domain.moment import format_moment
from plugin.domain.money import format_minor
from plugin.reports.base import Column
from plugin.services.show_earnings import Statement, list_payments, show_statement

STATEMENT_LENGTH = 200
FILE_LENGTH_MAX = 100_000
COLUMNS = (
    Column("order", "text", "the end of the order's number"),
    Column("placed_at", "text", "when it was placed"),
    Column("role", "text", "by what it was earned"),
    Column("amount", "money", "what is paid for it; below zero where something was taken back"),
    Column("currency", "currency", "of the amount"),
)


@page("/payouts")
def payouts(seat: Seat) -> Answer:
    """The list, newest first."""
    return show_payouts(seat)


def show_payouts(seat: Seat) -> str:
    """Return the list of a seat, also for who looks on."""
    found = list_payments(seat.context, seat.sharer_id, before=request.args.get("before"), limit=PAGE_LENGTH)
    following = seat.way("payouts", before=found.next) if found.next else None
    return show("sharer/payouts.html", seat=seat, tab="payouts", payments=found.items, following=following)


@page("/payouts/<item>")
def statement(seat: Seat, item: str) -> Answer:
    """What a payment pays, order by order, to be kept or printed."""
    return show_payment(seat, item)


def show_payment(seat: Seat, item: str) -> str:
    """Return the statement of a payment for a seat, also for who looks on."""
    text = request.args.get("after", "0")
    after = int(text) if text.isascii() and text.isdigit() and len(text) <= 9 else 0
    found = show_statement(seat.context, seat.sharer_id, item, after=after, limit=STATEMENT_LENGTH)
    following = seat.way("statement", item=item, after=found.lines.next) if found.lines.next else None
    return show("sharer/statement.html", seat=seat, tab="payouts", statement=found, following=following)


@page("/payouts/<item>/statement.csv")
def statement_file(seat: Seat, item: str) -> Answer:
    """The same as a file for a spreadsheet."""
    found = show_statement(seat.context, seat.sharer_id, item, after=0, limit=FILE_LENGTH_MAX)
    response = Response(_csv(found), content_type="text/csv; charset=utf-8; header=present")
    response.headers["Content-Disposition"] = f'attachment; filename="{item}.csv"'
    return response


def _csv(found: Statement) -> str:
    currency = found.payment.currency
    rows = (
        {
            "order": number,
            "placed_at": format_moment(placed_at),
            "role": role,
            "amount": format_minor(minor, currency),
            "currency": currency,
        }
        for number, placed_at, role, minor in found.lines.items
    )
    return "\ufeff" + write_csv(COLUMNS, rows)
