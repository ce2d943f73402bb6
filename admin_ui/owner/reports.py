"""Reports: each that is registered as a table by the page, for a period, and whole as a file."""

from typing import Any

from flask import request
from sqlalchemy import select

from admin_ui.owner import Desk, Menu, page
from admin_ui.page import Answer, csv_file, show
from plugin import reports as registered
from plugin.api.reports import write_csv
from plugin.database import among
from plugin.errors import BadRequest
from plugin.languages import mark
from plugin.models import person, sharer
from plugin.reports.base import Report
from plugin.services import public_id
from plugin.services.show_report import report_page, whole_report

PAGE = 50
# The most telling one first.
NAMES = {
    "sales-formula": mark("Sales formula"),
    "shop-days": mark("Days"),
    "sharers": mark("Sharers"),
    "sharer-months": mark("Sharers by month"),
}
ABOUT = {
    "sales-formula": mark("Clicks × conversion × order value = sales by sharers, month by month."),
    "shop-days": mark("What was ordered, earned, paid and clicked on each day."),
    "sharers": mark("What each sharer ever sold and what they have now."),
    "sharer-months": mark("What each sharer sold and earned in each month."),
}
COLUMNS = {
    "month": mark("Month"),
    "day": mark("Day"),
    "currency": mark("Currency"),
    "sharer": mark("Sharer"),
    "name": mark("Name"),
    "clicks": mark("Clicks"),
    "orders": mark("Orders"),
    "credited": mark("Orders by sharers"),
    "new_buyers": mark("Orders of new buyers"),
    "conversion": mark("Conversion"),
    "order_value": mark("Order value"),
    "new_share": mark("Share of new buyers"),
    "net": mark("Sales by sharers"),
    "refunded": mark("Refunded"),
    "direct": mark("Commission"),
    "upline": mark("To inviters"),
    "buyer": mark("Cashback"),
    "paid_out": mark("Paid out"),
    "earned": mark("Booked"),
    "clawed_back": mark("Taken back"),
    "last_month": mark("Last sale in"),
    "pending": mark("On the way"),
    "held": mark("Held"),
    "payable": mark("Ready"),
    "in_flight": mark("Being paid"),
    "paid": mark("Paid"),
}
PERCENT = frozenset({"conversion", "new_share"})
_SHAPES = {"since": 10, "until": 10, "month": 7}


@page("/<shop>/reports", menu=Menu(mark("Reports"), "chart-column", 80))
def reports(desk: Desk) -> Answer:
    """One report for a period: a page of its rows, or all of them as a file."""
    every = {one.name: one for one in registered.every()}
    asked = request.args.get("report", "")
    report = every.get(asked) or every["sales-formula"]
    filters = {name: _filter(name) for name in report.filters}
    if request.args.get("format") == "csv":
        rows = whole_report(desk.context, report, desk.shop_id, filters=filters)
        return csv_file(f"{desk.shop_key}-{report.name}.csv", write_csv(report.columns, rows))
    try:
        cursor = request.args.get("cursor") or None
        found = report_page(desk.context, report, desk.shop_id, filters=filters, cursor=cursor, limit=PAGE)
    except BadRequest:  # a place of another report: begin again
        found = report_page(desk.context, report, desk.shop_id, filters=filters, cursor=None, limit=PAGE)
    return show(
        "owner/reports.html",
        report=report,
        every=[name for name in (*NAMES, *(set(every) - set(NAMES))) if name in every],
        names=NAMES,
        about=ABOUT.get(report.name, report.about),
        words=COLUMNS,
        percent=PERCENT,
        rows=found["items"],
        following=found["next"],
        people=_people(desk, report, found["items"]),
        filters=filters,
    )


def _filter(name: str) -> str | None:
    """Return a day or a month of the query; what is none counts as not said."""
    text = request.args.get(name, "")
    digits = text.replace("-", "")
    is_one = len(text) == _SHAPES[name] and text.isascii() and digits.isdecimal() and text[4] == "-"
    return text if is_one else None


def _people(desk: Desk, report: Report, rows: Any) -> dict[str, str]:
    """Return the names of the sharers in rows, by their ids."""
    columns = [column.name for column in report.columns if column.kind == "sharer"]
    numbers = {public_id.read(public_id.SHARER, row[name]) for row in rows for name in columns}
    if not numbers:
        return {}
    wanted = select(sharer.c.id, person.c.name, person.c.email).join(person, person.c.id == sharer.c.person_id)
    with desk.context.database.reading() as connection:
        found = connection.execute(wanted.where(among(sharer.c.id, numbers))).all()
    named = {public_id.show(public_id.SHARER, row.id): row.name or row.email for row in found}
    return {name: said for name, said in named.items() if said}
