"""The sharers: what each has sold in all, and what they have. The amounts are the balances of their accounts."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, case, func, select

from plugin.database import among
from plugin.domain.ledger import BALANCES
from plugin.domain.rollup import SHARER_TOTAL
from plugin.models import account, click_month, person, sharer, sharer_month, sharer_total
from plugin.reports.base import Asked, Column, figures_of, first, joined, not_all_zero, own_currency

_ABOUT = {"orders": "Orders that the sharer gets and that count now.", "net": "The sum of the orders' `net`."}


class Sharers:
    name = "sharers"
    about = "A shop's sharers with all they ever sold and what they have, newest first"
    key = ("sharer", "currency")
    filters = ()
    is_followed = False
    columns = (
        Column("sharer", "sharer", "The sharer's id."),
        Column("currency", "currency", "Of all amounts in the row."),
        Column("name", "text", "As the sharer gave it; null once erased.", is_optional=True),
        *figures_of(SHARER_TOTAL, _ABOUT),
        Column("clicks", "count", "On the sharer's links, in the row of the shop's own currency."),
        Column("last_month", "month", "Of the latest order that counts; null for none.", is_optional=True),
        *(Column(name, "money", "The sharer's balance now.") for name in BALANCES),
    )

    def rows(self, connection: Connection, asked: Asked) -> list[Mapping[str, Any]]:
        """Every sharer has a row in the shop's own currency, and one in each other in which there is anything."""
        named = (sharer.c.id.label("sharer"), own_currency(asked))
        everybody = first(connection, asked, named, (), sharer.c.shop_id == asked.shop_id)
        totals = first(
            connection,
            asked,
            (sharer_total.c.sharer_id.label("sharer"), sharer_total.c.currency),
            (sharer_total.c.orders, sharer_total.c.net),
            sharer_total.c.shop_id == asked.shop_id,
            not_all_zero(sharer_total, SHARER_TOTAL),
        )
        balances = first(
            connection,
            asked,
            (account.c.sharer_id.label("sharer"), account.c.currency),
            [
                func.sum(case((account.c.purpose.in_(purposes), account.c.balance), else_=0)).label(name)
                for name, purposes in BALANCES.items()
            ],
            account.c.shop_id == asked.shop_id,
            account.c.sharer_id != 0,
            group=True,
        )
        rows = joined(asked, self.columns, everybody, totals, balances)
        _add_names(connection, rows)
        _add_clicks(connection, asked, rows)
        _add_last_months(connection, asked, rows)
        return list(rows)


def _numbers(rows: Sequence[Mapping[str, Any]]) -> set[int]:
    return {row["sharer"] for row in rows}


def _add_names(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    wanted = select(sharer.c.id, person.c.name).join(person, person.c.id == sharer.c.person_id)
    names = {row.id: row.name for row in connection.execute(wanted.where(among(sharer.c.id, _numbers(rows))))}
    for row in rows:
        row["name"] = names.get(row["sharer"])


def _add_clicks(connection: Connection, asked: Asked, rows: Sequence[dict[str, Any]]) -> None:
    """Sum up the months, of which a sharer has a dozen a year."""
    wanted = (
        select(click_month.c.sharer_id, func.sum(click_month.c.clicks).label("clicks"))
        .where(click_month.c.shop_id == asked.shop_id, among(click_month.c.sharer_id, _numbers(rows)))
        .group_by(click_month.c.sharer_id)
    )
    clicks = {row.sharer_id: int(row.clicks) for row in connection.execute(wanted)}
    for row in rows:
        if row["currency"] == asked.currency:
            row["clicks"] = clicks.get(row["sharer"], 0)


def _add_last_months(connection: Connection, asked: Asked, rows: Sequence[dict[str, Any]]) -> None:
    theirs = (sharer_month.c.sharer_id, sharer_month.c.currency)
    wanted = (
        select(*theirs, func.max(sharer_month.c.month).label("month"))
        .where(sharer_month.c.shop_id == asked.shop_id, among(sharer_month.c.sharer_id, _numbers(rows)))
        .where(sharer_month.c.orders > 0)
        .group_by(*theirs)
    )
    months = {(row.sharer_id, row.currency): row.month for row in connection.execute(wanted)}
    for row in rows:
        row["last_month"] = months.get((row["sharer"], row["currency"]))


REPORT = Sharers()
