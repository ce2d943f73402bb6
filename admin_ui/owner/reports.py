"""Reports: each that is registered as a table by the page, for a period, and whole as a file."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from flask import request, url_for
from sqlalchemy import select

from admin_ui.owner import Desk, Menu, page
from admin_ui.page import Answer, csv_file, show
from plugin import reports as registered
from plugin.api.reports import write_csv
from plugin.database import among
from plugin.domain.rollup import day_of
from plugin.errors import BadRequest
from plugin.languages import mark
from plugin.models import person, sharer
from plugin.reports.base import Report
from plugin.services import public_id
from plugin.services.show_report import Formula, report_page, show_formula, whole_report

PAGE = 50
# The most telling one first.
NAMES = {
    "sales-formula": mark("Sales formula"),
    "shop-days": mark("Days"),
    "products": mark("Products"),
    "channels": mark("Channels"),
    "sharers": mark("Sharers"),
    "sharer-months": mark("Sharers by month"),
}
ABOUT = {
    "sales-formula": mark("Clicks × conversion × order value = sales by sharers, month by month."),
    "shop-days": mark("What was ordered, earned, paid and clicked on each day."),
    "products": mark("What each product sold, what came back of it, and what sharers brought."),
    "channels": mark("The sales formula of each channel and campaign. Codes and decisions by hand have no channel."),
    "sharers": mark("What each sharer ever sold and what they have now."),
    "sharer-months": mark("What each sharer sold and earned in each month."),
}
COLUMNS = {
    "month": mark("Month"),
    "day": mark("Day"),
    "currency": mark("Currency"),
    "product": mark("Id in the shop"),
    "title": mark("Product"),
    "channel": mark("Channel"),
    "campaign": mark("Campaign"),
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
    "quantity": mark("Sold"),
    "sales": mark("Sales"),
    "refunded": mark("Refunded"),
    "credited_quantity": mark("Sold by sharers"),
    "credited_sales": mark("Sales by sharers"),
    "commission": mark("Commission"),
    "refund_rate": mark("Refund rate"),
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
PERCENT = frozenset({"conversion", "new_share", "refund_rate"})
LAST_DAYS = 30
_SHAPES = {"day": 10, "month": 7}


@dataclass(frozen=True, slots=True)
class Period:
    """A period to be chosen; ``is_on`` where it is the one that is shown."""

    text: str
    path: str
    is_on: bool


@page("/<shop>/reports", menu=Menu(mark("Reports"), "chart-column", 80))
def reports(desk: Desk) -> Answer:
    """One report for a period: a page of its rows, or all of them as a file."""
    every = {one.name: one for one in registered.every()}
    asked = request.args.get("report", "")
    report = every.get(asked) or every["sales-formula"]
    filters = _filters(report)
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
        by=report.key[0],
        periods=list(_periods(desk, report, filters)),
        formula=_formula(desk, report, filters),
        as_of=found.get("as_of"),
    )


def _filters(report: Report) -> dict[str, str | None]:
    """Return the asked period; a single month is a period too."""
    if "since" not in report.filters:
        return {}
    month = _time("month", "month") if "month" in report.filters else None
    return {name: month or _time(name, report.key[0]) for name in ("since", "until")}


def _time(name: str, shape: str) -> str | None:
    """Return a day or a month of the query; what is none counts as not said."""
    text = request.args.get(name, "")
    digits = text.replace("-", "")
    is_one = len(text) == _SHAPES[shape] and text.isascii() and digits.isdecimal() and text[4] == "-"
    return text if is_one else None


def _periods(desk: Desk, report: Report, filters: Mapping[str, str | None]) -> Iterator[Period]:
    """Yield the periods that a report can be asked for with one tap; those by months know no days."""
    if not filters:
        return
    shape = report.key[0]
    today = date.fromisoformat(day_of(desk.context.now(), ZoneInfo(desk.row.timezone)))
    this_month = today.replace(day=1)
    last_month = (this_month - timedelta(days=1)).replace(day=1)
    choices: list[tuple[str, date | None, date | None]] = [
        (mark("All"), None, None),
        (mark("This month"), this_month, today),
        (mark("Last month"), last_month, this_month - timedelta(days=1)),
        (mark("This year"), today.replace(month=1, day=1), today),
    ]
    if shape == "day":
        choices.insert(3, (mark("Last 30 days"), today - timedelta(days=LAST_DAYS - 1), today))
    for text, *ends in choices:
        since, until = (None if end is None else end.isoformat()[: _SHAPES[shape]] for end in ends)
        path = url_for("owner.reports", shop=desk.shop_key, report=report.name, since=since, until=until)
        yield Period(text, path, (since, until) == (filters["since"], filters["until"]))


def _formula(desk: Desk, report: Report, filters: Mapping[str, str | None]) -> Formula | None:
    """Return the sales formula of the asked period, where the report is about all that the shop sold in it."""
    if report.name not in ("sales-formula", "shop-days") or not any(filters.values()):
        return None
    since, until = filters["since"], filters["until"]
    if report.key[0] == "month":
        since, until = since and f"{since}-01", until and f"{until}-31"
    return show_formula(desk.context, desk.shop_id, since=since, until=until)


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
