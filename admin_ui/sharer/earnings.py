"""Earnings: one list of all that was ever earned, each line with its state, its reason and the day it becomes ready."""

from flask import request

from admin_ui.page import Answer, show
from admin_ui.sharer import PAGE_LENGTH, Seat, page
from admin_ui.sharer.home import balances_of
from plugin.services.show_earnings import explain_line, list_lines


@page("/earnings")
def earnings(seat: Seat) -> Answer:
    """The list, newest orders first."""
    return show_earnings(seat)


def show_earnings(seat: Seat) -> str:
    """Return the list of a seat, also for who looks on."""
    after = request.args.get("after")
    lines = list_lines(seat.context, seat.sharer_id, after=after, limit=PAGE_LENGTH)
    following = seat.way("earnings", after=lines.next) if lines.next else None
    balances = balances_of(seat)
    return show(
        "sharer/earnings.html", seat=seat, tab="earnings", lines=lines.items, balances=balances, following=following
    )


@page("/earnings/<number:order>")
def line(seat: Seat, order: int) -> Answer:
    """One order: why it is theirs, how the amount came about, and where the money went."""
    return show_line(seat, order)


def show_line(seat: Seat, order: int) -> str:
    """Return the receipt of one order for a seat, also for who looks on."""
    seen = explain_line(seat.context, seat.shop.id, seat.sharer_id, order)
    return show("sharer/line.html", seat=seat, tab="earnings", seen=seen)
