"""The sharers of a shop: found, counted, and changed many at a time."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from flask import Response, current_app, request, url_for

from admin_ui.lists import PAGE, cursor, typed
from admin_ui.owner import MANAGE, Desk, Menu, page
from admin_ui.page import Answer, go, show
from admin_ui.words import STATUSES
from plugin.api.reports import CSV_TYPE, write_csv
from plugin.errors import BadRequest
from plugin.languages import mark
from plugin.reports.base import Column
from plugin.services.change_sharers import change_many
from plugin.services.find_sharers import Found, Sought, every_sharer, find_sharers, groups_of

GROUP_MAX = 255
_IDS = re.compile(r"shr_[0-9]{1,18}", re.ASCII)
_ACTIONS = {"approve": "approved", "suspend": "suspended"}
_COLUMNS = (
    Column("sharer", "sharer", "The sharer's id"),
    Column("name", "text", "The name"),
    Column("email", "text", "The e-mail address"),
    Column("status", "text", "How they stand"),
    Column("group", "text", "The group"),
    Column("clicks", "count", "Clicks on their links"),
    Column("orders", "count", "Orders they brought"),
    Column("last_active", "month", "The last month with a click or an order"),
    Column("sales", "money", "What those orders came to"),
    Column("commission", "money", "What was earned, less what was taken back"),
    Column("currency", "currency", "The currency of both"),
)


@page("/<shop>/sharers", menu=Menu(mark("Sharers"), "users", 20))
def sharers(desk: Desk) -> Answer:
    """Everybody who shares, newest first."""
    sought = _sought()
    found, following = find_sharers(desk.context, desk.shop_id, sought, before=cursor(), limit=PAGE)
    return show(
        "owner/sharers.html",
        found=found,
        sought=sought,
        statuses=STATUSES,
        groups=groups_of(desk.context, desk.shop_id),
        following=following and url_for("owner.sharers", shop=desk.shop_key, after=following, **_query(sought)),
        export=url_for("owner.sharers_file", shop=desk.shop_key, **_query(sought)),
        invite="owner.invite" in current_app.view_functions and url_for("owner.invite", shop=desk.shop_key),
        changed=typed("changed"),
        failed=_IDS.findall(request.args.get("failed", "")),
    )


@page("/<shop>/sharers/change", methods=["POST"], needs=MANAGE)
def change_sharers(desk: Desk) -> Answer:
    """Approve, suspend or group those who are ticked; each change is a dated fact of its own."""
    action, group = request.form.get("action"), typed("group_name", form=True) or None
    changes: Mapping[str, Any]
    if action in _ACTIONS:
        changes = {"status": _ACTIONS[action]}
    elif action == "group" and len(group or "") <= GROUP_MAX:
        changes = {"group": group}
    else:
        raise BadRequest("bad_action", "Choose what to do with those who are ticked.")
    names = request.form.getlist("id")[:PAGE]
    changed = change_many(desk.context, desk.shop_id, names, changes, actor=desk.actor)
    back = _query(Sought(typed("q", form=True), typed("status", form=True), typed("group", form=True)))
    failed = ",".join(changed.failed) or None
    return go("owner.sharers", shop=desk.shop_key, changed=changed.count, failed=failed, **back)


@page("/<shop>/sharers.csv")
def sharers_file(desk: Desk) -> Answer:
    """The same list whole, as a file for a spreadsheet: a line for each sharer and currency."""
    text = write_csv(_COLUMNS, _lines(every_sharer(desk.context, desk.shop_id, _sought())))
    headers = {"Content-Disposition": f'attachment; filename="{desk.shop_key}-sharers.csv"'}
    kind = f"{CSV_TYPE}; charset=utf-8; header=present"
    # Spreadsheets take a file without the mark for one of an old encoding, and garble all but English.
    return Response(text.encode("utf-8-sig"), headers=headers, content_type=kind)


def _lines(found: Iterator[Found]) -> Iterator[Mapping[str, Any]]:
    for one in found:
        sales = {currency: amount for amount, currency in one.sales}
        commission = {currency: amount for amount, currency in one.commission}
        currencies: list[str | None] = [*sorted({*sales, *commission})]
        for currency in currencies or [None]:
            yield {
                "sharer": one.id,
                "name": one.name,
                "email": one.email,
                "status": one.status,
                "group": one.group,
                "clicks": one.clicks,
                "orders": one.orders,
                "last_active": one.active,
                "sales": sales.get(currency or ""),
                "commission": commission.get(currency or ""),
                "currency": currency,
            }


def _sought() -> Sought:
    status = typed("status")
    return Sought(typed("q"), status if status in STATUSES else "", typed("group"))


def _query(sought: Sought) -> dict[str, Any]:
    """Return what is looked for as the query of an address."""
    return {"q": sought.text or None, "status": sought.status or None, "group": sought.group or None}
