"""Reports: one operation for each that is registered, as JSON by the page or as CSV (RFC 4180) whole."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from flask import Response

from plugin import reports, schemas
from plugin.api.access import context
from plugin.api.operation import Blueprint
from plugin.reports.base import Column, Report
from plugin.services.manage_access import Caller, shop_of
from plugin.services.show_report import report_page, whole_report

blueprint = Blueprint("reports", "What a shop's days, sharers and months come to")
CSV_TYPE = "text/csv"
_FORMULA = frozenset("=+-@\t\r\n")  # what makes a spreadsheet reckon with a cell instead of showing it


def _mount(report: Report) -> None:
    """Mount one report."""

    def view(caller: Caller, query: dict[str, Any]) -> dict[str, Any] | Response:
        shop_id = shop_of(context(), caller, query["shop"])
        filters = {name: query.get(name) for name in report.filters}
        if query["format"] == "csv":
            rows = whole_report(context(), report, shop_id, filters=filters)
            return _file(f"{query['shop']}-{report.name}.csv", write_csv(report.columns, rows))
        return report_page(
            context(), report, shop_id, filters=filters, cursor=query.get("cursor"), limit=query["limit"]
        )

    view.__name__ = f"get_report_{report.name.replace('-', '_')}"
    view.__doc__ = f"{report.about}.\n\n`format=csv` gives all rows at once; there `limit` and `cursor` say nothing."
    query, page = schemas.report_shapes(report)
    operation = blueprint.operation(
        "GET", f"/reports/{report.name}", scope="read", query=query, gives=page, files=(CSV_TYPE,), problems=(404,)
    )
    operation(view)


def _file(name: str, text: str) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(text.encode(), headers=headers, content_type=f"{CSV_TYPE}; charset=utf-8; header=present")


def write_csv(columns: Sequence[Column], rows: Iterable[Mapping[str, Any]]) -> str:
    """Write rows under a line with the columns' names. Numbers stay numbers; no text can act as a formula."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(column.name for column in columns)
    for row in rows:
        writer.writerow(_cell(row[column.name], column.kind) for column in columns)
    return text.getvalue()


def _cell(value: Any, kind: str) -> str:
    cell = "" if value is None else str(value)
    is_formula = kind not in ("money", "count") and cell.lstrip(" ")[:1] in _FORMULA and cell != ""
    return f"'{cell}" if is_formula else cell


for _report in reports.every():
    _mount(_report)
