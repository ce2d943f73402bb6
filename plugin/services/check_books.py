"""The books prove themselves: every decision, target and balance is derived anew and compared with what is stored.

Nothing cached is trusted. The derivation reads the stored normal forms, the facts and the plans; the transfers are only
what it is compared with. The digests tell which row was changed or removed behind the books' back.
"""

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Row, Table, case, func, or_, select, text

from plugin.database import among
from plugin.domain import payout as payout_states
from plugin.domain.ledger import EDGES, HELD, IN_FLIGHT, PAID, PAYABLE, PENDING, SHARER_PURPOSES, SHOP_PURPOSES
from plugin.domain.rollup import COUNTED, Rollup, counted
from plugin.domain.settlement import Deriving, Known, LotKey, Lots, Record, binds
from plugin.domain.settlement import standing as reckon_standing
from plugin.errors import BadSignature, Conflict, Malformed, Sentence
from plugin.models import (
    account,
    chain,
    decision,
    delivery,
    fact,
    guards,
    head,
    link,
    lot,
    order_state,
    orders,
    payout,
    payout_item,
    payout_lot,
    plan,
    sharer,
    shop,
    transfer,
)
from plugin.services import stories
from plugin.services.context import Context
from plugin.services.digest import PURPOSE, first_mac, head_seal, link_mac, row_mac
from plugin.services.order_parts import Parts, differing, place_now, rows_of, stored_parts
from plugin.services.process_inbox import unseal
from plugin.services.public_id import DELIVERY, ITEM, PAYOUT, SHARER, show
from plugin.services.rollups import differences
from plugin.services.roster import load_known, load_order_facts, load_plans
from plugin.services.settle_order import encode_decision

CHUNK = 500
Told = Callable[[int, int], None]  # how many rows of how many were gone through
PROBLEMS_MAX = 200
_SEALED_TABLES: tuple[tuple[Table, str], ...] = (
    (order_state, "states"),
    (decision, "decisions"),
    (fact, "facts"),
    (transfer, "transfers"),
    (plan, "pa_plan"),
    (sharer, "pa_sharer"),
    (link, "pa_link"),
)


@dataclass(slots=True)
class Report:
    """What the check found; ``problems`` are sentences that name the row."""

    transfers: int = 0
    accounts: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.problems

    def note(self, wording: str, /, **values: object) -> None:
        problem = Sentence(wording, **values)
        if len(self.problems) < PROBLEMS_MAX and problem not in self.problems:
            self.problems.append(problem)

    def to_json(self) -> dict[str, Any]:
        return {
            "ok": self.ok,
            "transfers": self.transfers,
            "accounts": self.accounts,
            "problems": self.problems,
        }


def check_books(context: Context) -> Report:
    """Check every shop's books, and the rollups beside them, on one state of the database."""
    report = Report()
    with context.database.reading() as connection:
        _check_guards(connection, report)
        for row in connection.execute(select(shop).order_by(shop.c.id)).all():
            check = _ShopCheck(context, connection, row, report)
            check.counts = Rollup(ZoneInfo(row.timezone))
            check.run()
            check.check_rollups()
    return report


def check_shop(context: Context, shop_id: int, told: Told) -> Report:
    """Check one shop's books and rollups on one state of the database; ``told`` hears how far the check is."""
    report = Report()
    with context.database.reading() as connection:
        row = connection.execute(select(shop).where(shop.c.id == shop_id)).one()
        _check_guards(connection, report)
        check = _ShopCheck(context, connection, row, report, told)
        check.counts = Rollup(ZoneInfo(row.timezone))
        check.run()
        check.check_rollups()
    return report


def _check_guards(connection: Connection, report: Report) -> None:
    for name in missing_guards(connection):
        report.note("guard %(name)s is gone from the database: rows can be changed", name=name)


def require_good_books(context: Context, shop_id: int) -> None:
    """Raise Conflict where the shop's books fail their check: no payout moves until they are mended.

    Rollups move no money, so none of them can keep anybody from being paid.
    """
    report = Report()
    with context.database.reading() as connection:
        _check_guards(connection, report)
        row = connection.execute(select(shop).where(shop.c.id == shop_id)).one()
        _ShopCheck(context, connection, row, report).run()
    if not report.ok:
        raise Conflict(
            "books_do_not_balance",
            "The books fail their check, so no payout moves. Run check-books; the first problem: %(problem)s",
            problem=report.problems[0],
        )


def missing_guards(connection: Connection) -> list[str]:
    """Return the names of the triggers that should keep what is booked from being changed and are not there."""
    dialect = connection.dialect.name
    query = (
        "SELECT name FROM sqlite_master WHERE type = 'trigger'"
        if dialect == "sqlite"
        else "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal AND tgenabled <> 'D'"
    )
    there = set(connection.execute(text(query)).scalars())
    return sorted(guards.names(dialect) - there)


class _ShopCheck:
    """The check of one shop."""

    def __init__(
        self,
        context: Context,
        connection: Connection,
        row: Row[Any],
        report: Report,
        told: Told | None = None,
    ) -> None:
        self.context, self.connection, self.shop, self.report = context, connection, row, report
        self.key = context.keys.mac_key(PURPOSE)
        self.plans = load_plans(connection, row.id)
        self._told, self._done, self._total = told, 0, 0
        self.counts: Rollup | None = None  # by which what orders are counted as is checked, where it is
        self.place = place_now(connection, row.id)

    def run(self) -> None:
        self._total = self._count() if self._told else 0
        self._check_chain()
        self._check_deliveries()
        for rows in self._chunks(orders):
            self._check_orders(rows)
        self._check_belonging()
        self._check_accounts()
        self._check_edges()
        self._check_payouts()

    def check_rollups(self) -> None:
        """Hold the rollups against the orders, transfers and clicks they sum up."""
        try:
            with differences(self.connection, self.shop) as found:
                for one in found:
                    for figure, booked, must in one.figures():
                        self._note(
                            "rollup %(row)s %(figure)s: booked %(booked)s, should be %(must)s",
                            row=one.name,
                            figure=figure,
                            booked=booked,
                            must=must,
                        )
        except (KeyError, OverflowError, TypeError, ValueError) as error:  # a row that was changed
            self._note("the rollups cannot be derived: %(fault)s", fault=type(error).__name__)

    def _count(self) -> int:
        """Return how many rows are gone through one by one; what is summed up by the database takes little besides."""
        counts = [
            select(func.count()).select_from(table).where(table.c.shop_id == self.shop.id).scalar_subquery()
            for table in (chain, delivery, orders)
        ]
        return sum(self.connection.execute(select(*counts)).one())

    def _went_on(self, count: int) -> None:
        self._done += count
        if self._told:
            self._told(self._done, self._total)

    def _note(self, wording: str, /, **values: object) -> None:
        self.report.note("shop %(shop)s: %(problem)s", shop=self.shop.key, problem=Sentence(wording, **values))

    def _chunks(self, table: Table) -> Iterator[Sequence[Row[Any]]]:
        last = 0
        while rows := self.connection.execute(
            select(table).where(table.c.shop_id == self.shop.id, table.c.id > last).order_by(table.c.id).limit(CHUNK)
        ).all():
            yield rows
            last = rows[-1].id
            self._went_on(len(rows))

    # --- the digests ------------------------------------------------------------------------------------------------

    def _check_chain(self) -> None:
        before, expected = first_mac(self.key, self.shop.id), 1
        end = self.connection.execute(select(head).where(head.c.shop_id == self.shop.id)).one_or_none()
        if end is None:
            self._note("the end of the chain is gone")
            return
        while True:
            links = self.connection.execute(
                select(chain)
                .where(chain.c.shop_id == self.shop.id, chain.c.position >= expected)
                .order_by(chain.c.position)
                .limit(CHUNK)
            ).all()
            if not links:
                break
            rows = self._sealed_rows(links[0].position, links[-1].position)
            for one in links:
                if one.position != expected:
                    self._note(
                        "positions %(first)s to %(last)s of the chain are gone", first=expected, last=one.position - 1
                    )
                self._check_link(one, before, rows.pop(one.position, []))
                before, expected = one.mac, one.position + 1
            for position in rows:
                self._note_stray(position)
            self._went_on(len(links))
        for table, _ in _SEALED_TABLES:
            outside = or_(table.c.position < 1, table.c.position >= expected)
            strays = select(table.c.position).where(table.c.shop_id == self.shop.id, outside).distinct()
            for position in self.connection.execute(strays.limit(PROBLEMS_MAX)).scalars():
                self._note_stray(position)
        seal = head_seal(self.key, self.shop.id, end.position, end.mac)
        if expected - 1 != end.position or end.mac != before or end.seal != seal:
            self._note(
                "the chain ends at %(last)s, its sealed end says %(end)s", last=expected - 1, end=end.position
            )

    def _sealed_rows(self, first: int, last: int) -> dict[int, list[tuple[str, str | None, bytes]]]:
        """Return (kind, order, digest) of the rows at each position, each row held against its own digest."""
        found: dict[int, list[tuple[str, str | None, bytes]]] = defaultdict(list)
        for table, kind in _SEALED_TABLES:
            query = select(table).where(table.c.shop_id == self.shop.id, table.c.position.between(first, last))
            if "order_id" in table.c:
                query = query.add_columns(orders.c.ref.label("order_ref")).outerjoin(
                    orders, orders.c.id == table.c.order_id
                )
            for row in self.connection.execute(query).mappings():
                mac = row_mac(self.key, table.name, dict(row))
                if mac != row["mac"]:
                    self._note_change(_name(table, dict(row)))
                found[row["position"]].append((kind, row.get("order_ref"), row["mac"]))
        return found

    def _check_link(self, one: Row[Any], before: bytes, rows: list[tuple[str, str | None, bytes]]) -> None:
        mac = link_mac(self.key, before, one.position, one.manifest, [row[2] for row in rows])
        if mac == one.mac:
            return
        manifest = json.loads(one.manifest)
        counted = Counter((ref, kind) for kind, ref, _ in rows)
        kinds = (Sentence("states"), Sentence("decisions"), Sentence("facts"), Sentence("transfers"))
        named = False
        for ref, counts in manifest["orders"].items():
            for kind, count in zip(kinds, counts, strict=True):
                if gone := count - counted[(ref, kind)]:
                    named = True
                    its = Sentence("order %(ref)s: %(count)s of its %(kind)s", ref=ref, count=abs(gone), kind=kind)
                    self._note_count(its, gone, one.position)
        for kind, count in manifest["others"].items():
            if gone := count - counted[(None, kind)]:
                named = True
                others = Sentence("%(count)s rows of %(kind)s", count=abs(gone), kind=kind)
                self._note_count(others, gone, one.position)
        if not named:
            self._note("what was written at position %(position)s of the chain was changed", position=one.position)

    def _note_count(self, rows: Sentence, gone: int, position: int) -> None:
        """Note rows of one kind of which the chain counted more, or fewer, than there are."""
        if gone > 0:
            self._note("%(rows)s written at position %(position)s are gone", rows=rows, position=position)
        else:
            self._note("%(rows)s written at position %(position)s came later", rows=rows, position=position)

    def _note_change(self, row: str) -> None:
        self._note("%(row)s was changed behind the books' back", row=row)

    def _note_stray(self, position: int) -> None:
        self._note("rows stand at position %(position)s, which is not in the chain", position=position)

    def _check_deliveries(self) -> None:
        for rows in self._chunks(delivery):
            for row in rows:
                if row_mac(self.key, "pa_delivery", dict(row._mapping)) != row.mac:
                    self._note_change(f"delivery {show(DELIVERY, row.id)}")
                elif row.body is not None and not self._body_holds(row):
                    self._note(
                        "the body of delivery %(id)s was changed behind the books' back", id=show(DELIVERY, row.id)
                    )

    def _body_holds(self, row: Row[Any]) -> bool:
        try:
            return bool(hashlib.sha256(unseal(self.context, row.body)[1]).digest() == row.body_sha)
        except (BadSignature, ValueError):
            return False

    # --- decisions and targets ---------------------------------------------------------------------------------------

    def _check_orders(self, rows: Sequence[Row[Any]]) -> None:
        records = self._records(rows)
        extra = self._chains_of(records) if binds(self.plans) else {}
        told = [one for one in {**records, **extra}.values() if one.states]
        deriving = Deriving(self.plans, self._known(told), told, starts_at=self.shop.starts_at)
        booked = self._booked([row.id for row in rows])
        cached = self._cached_lots([row.id for row in rows])
        parts = stored_parts(self.connection, [row.id for row in rows]) if self.counts else {}
        for row in rows:
            record = records[row.id]
            if not record.states:
                self._note("order %(ref)s has no state: its normal forms are gone", ref=row.ref)
                continue
            try:
                self._check_order(record, deriving, booked.get(row.id, {}), cached.get(row.id, {}), parts)
            except (Malformed, LookupError, ValueError) as error:
                self._note("order %(ref)s cannot be derived: %(fault)s", ref=row.ref, fault=type(error).__name__)

    def _records(self, rows: Sequence[Row[Any]]) -> dict[int, "_Told"]:
        ids = [row.id for row in rows]
        records = {row.id: _Told(row.id, row.ref, row=row) for row in rows}
        for one in self.connection.execute(
            select(order_state).where(among(order_state.c.order_id, ids)).order_by(order_state.c.id)
        ):
            ref = records[one.order_id].ref
            try:
                state = stories.unpack(one.body)
            except (Malformed, LookupError, TypeError, ValueError):
                self._note("%(row)s cannot be read", row=_of_order(f"order_state {one.id}", ref))
                continue
            if state.sha != one.sha:
                self._note(
                    "%(row)s was changed behind the books' back: its name, which is its digest, says otherwise",
                    row=_of_order(f"order_state {one.id}", ref),
                )
            records[one.order_id].states.append((one.position, state))
        for one in self.connection.execute(
            select(fact).where(among(fact.c.order_id, ids), fact.c.kind.in_(("deleted", "release", "products")))
        ):
            if one.kind == "deleted":
                records[one.order_id].deletions.append((one.position, one.at))
            elif one.kind == "products":
                records[one.order_id].lookups.append((one.position, json.loads(one.body)["products"]))
            else:
                records[one.order_id].released = one.position
        for order_id, facts in load_order_facts(self.connection, ids).items():
            records[order_id].facts = facts
        for one in self.connection.execute(
            select(decision).where(among(decision.c.order_id, ids)).order_by(decision.c.position)
        ):
            records[one.order_id].decision, records[one.order_id].decided_at = one.body, one.position
        return records

    def _chains_of(self, records: Mapping[int, "_Told"]) -> dict[int, "_Told"]:
        """Return the records of the same customers' other orders."""
        customers = {record.row.customer_key for record in records.values()} - {None}
        rows = self.connection.execute(
            select(orders).where(orders.c.shop_id == self.shop.id, among(orders.c.customer_key, customers))
        ).all()
        return self._records([row for row in rows if row.id not in records])

    def _known(self, records: Sequence["_Told"]) -> Known:
        states = [state for record in records for _, state in record.states]
        named = {one.sharer for record in records for one in record.facts.manual if one.sharer is not None}
        stored = [json.loads(record.decision) for record in records if record.decision]
        named |= {one["frozen"][0] for one in stored if one["frozen"][0] is not None}
        return load_known(
            self.connection,
            self.context.keys,
            self.shop.id,
            touches=[state.order.touch for state in states],
            customers=[state.order.customer for state in states if state.order.customer],
            sharers=named,
        )

    def _check_order(
        self, record: "_Told", deriving: Deriving, booked: Lots, cached: Lots, parts: Mapping[int, Parts]
    ) -> None:
        row, story = record.row, record.story(None)
        decision, is_late = deriving.in_force(record)
        body = encode_decision(decision)
        if record.decision != body:
            self._note("order %(ref)s: its stored decision is not what its states and facts decide", ref=row.ref)
        plan = next(one.plan for one in self.plans if one.version == decision.plan_version)
        stand = reckon_standing(story, decision, plan, starts_at=self.shop.starts_at, is_late=is_late)
        for key in sorted({*stand.targets, *booked, *cached}):
            target, lies = stand.targets.get(key, 0), booked.get(key, {})
            self._check_lot(record, key, target, lies, cached.get(key, {}), decision.held)
        first, now = story.first, story.now
        count = counted(story, decision.winner, stand.outcome.now.net, starts_at=self.shop.starts_at)
        customer = (first.customer.key, first.customer.email_hash) if first.customer else (None, None)
        told = (row.ref, row.currency, row.placed_at, row.customer_key, row.customer_email)
        counts = tuple(getattr(row, name) for name in COUNTED)
        said = (row.story, row.decision, row.held, row.released, json.loads(row.flags), row.release_at, told, counts)
        must = (
            stories.dump(story),
            body,
            decision.held,
            record.released,
            list(stand.flags),
            stand.release_at,
            (now.order.id, now.order.currency, first.placed_at, *customer),
            tuple(getattr(count, name) for name in COUNTED),
        )
        if said != must or stories.unpack(row.now).text != now.text:
            self._note("order %(ref)s: its row is not what its states and facts say", ref=row.ref)
        if self.counts is not None and record.changed_at <= self.place:  # else it is still to be counted
            theirs = rows_of(self.counts, row, story, decision, stand.outcome.now, count)
            if differing({row.id: theirs}, {row.id: parts[row.id]} if row.id in parts else {}):
                self._note("order %(ref)s is not counted by product and channel as it must be", ref=row.ref)

    def _check_lot(
        self,
        record: "_Told",
        key: LotKey,
        target: int,
        lies: Mapping[str, int],
        cached: Mapping[str, int],
        held: bool,
    ) -> None:
        """Hold one commission's transfers against its target, and its lot against the transfers."""
        whose = {"ref": record.ref, "who": f"{show(SHARER, key[0])} ({key[1]})"}
        there = sum(lies.values())
        if there != target:
            self._note(
                "order %(ref)s: %(who)s should have %(target)s %(currency)s minor units in the books and has %(there)s",
                **whose, target=target, currency=key[2], there=there,
            )  # fmt: skip
        elif not _lies_right(lies, held, record.released is not None):
            self._note("order %(ref)s: %(who)s has money in the wrong account", **whose)
        if any(lies.get(purpose, 0) != cached.get(purpose, 0) for purpose in SHARER_PURPOSES):
            self._note("order %(ref)s: %(who)s has a lot that is not the sum of its transfers", **whose)

    def _booked(self, ids: Sequence[int]) -> dict[int, dict[LotKey, dict[str, int]]]:
        """Return what lies where of each commission, summed from the transfers alone."""
        found: dict[int, dict[LotKey, dict[str, int]]] = defaultdict(lambda: defaultdict(Counter))
        for side, sign in ((transfer.c.to_account, 1), (transfer.c.from_account, -1)):
            rows = self.connection.execute(
                select(
                    transfer.c.order_id,
                    transfer.c.sharer_id,
                    transfer.c.role,
                    transfer.c.currency,
                    account.c.purpose,
                    func.sum(transfer.c.amount).label("amount"),
                )
                .join(account, account.c.id == side)
                .where(among(transfer.c.order_id, ids), account.c.sharer_id != 0)
                .group_by(
                    transfer.c.order_id,
                    transfer.c.sharer_id,
                    transfer.c.role,
                    transfer.c.currency,
                    account.c.purpose,
                )
            )
            for row in rows:
                found[row.order_id][(row.sharer_id, row.role, row.currency)][row.purpose] += sign * int(row.amount)
        return found

    def _cached_lots(self, ids: Sequence[int]) -> dict[int, dict[LotKey, Mapping[str, int]]]:
        found: dict[int, dict[LotKey, Mapping[str, int]]] = defaultdict(dict)
        for row in self.connection.execute(select(lot).where(among(lot.c.order_id, ids))).mappings():
            found[row["order_id"]][(row["sharer_id"], row["role"], row["currency"])] = dict(row)
        return found

    # --- accounts and payouts -----------------------------------------------------------------------------------------

    def _check_belonging(self) -> None:
        """Hold rows against the shop of what they are about: one that names another shop would escape both checks."""
        about = [(table, "order", orders) for table in (order_state, decision, fact, transfer)]
        about += [(table, "sharer", sharer) for table in (fact, transfer, link)]
        for table, what, owner in about:
            column = table.c[f"{what}_id"]
            strays = (
                select(column, owner.c.id)
                .outerjoin(owner, owner.c.id == column)
                .where(column.is_not(None), table.c.shop_id.is_distinct_from(owner.c.shop_id))
                .where(or_(table.c.shop_id == self.shop.id, owner.c.shop_id == self.shop.id))
                .distinct()
            )
            for number, known in self.connection.execute(strays.limit(PROBLEMS_MAX)):
                which = {"kind": table.name.removeprefix("pa_"), "what": what, "number": number}
                if known is None:
                    self._note("a %(kind)s is about an %(what)s that is gone, number %(number)s", **which)
                else:
                    self._note(
                        "a %(kind)s about %(what)s number %(number)s stands in the books of another shop", **which
                    )
        for row in self.connection.execute(
            select(order_state.c.order_id)
            .outerjoin(delivery, delivery.c.id == order_state.c.delivery_id)
            .where(order_state.c.shop_id == self.shop.id, delivery.c.id.is_(None))
        ):
            self._note("the delivery of a state of order number %(number)s is gone", number=row.order_id)

    def _check_edges(self) -> None:
        """Hold the accounts' owners and purposes against the transfers that moved along them."""
        source, target = account.alias(), account.alias()
        owners = [
            case((side.c.sharer_id == 0, 0), (side.c.sharer_id == transfer.c.sharer_id, 1), else_=2)
            for side in (source, target)
        ]
        columns = (transfer.c.kind, source.c.purpose, target.c.purpose, *owners)
        edges = (
            select(*columns, func.min(transfer.c.number))
            .join(source, source.c.id == transfer.c.from_account)
            .join(target, target.c.id == transfer.c.to_account)
            .where(transfer.c.shop_id == self.shop.id)
            .group_by(*columns)
        )
        for kind, *purposes, first_owner, second_owner, number in self.connection.execute(edges):
            must = [0 if purpose in SHOP_PURPOSES else 1 for purpose in purposes]
            if EDGES.get(kind) != tuple(purposes) or [first_owner, second_owner] != must:
                self._note(
                    "an account of transfer %(number)s is another's, or for something else, than it was", number=number
                )

    def _check_accounts(self) -> None:
        sums: Counter[int] = Counter()
        for side, sign in ((transfer.c.to_account, 1), (transfer.c.from_account, -1)):
            rows = self.connection.execute(
                select(side.label("account"), func.sum(transfer.c.amount).label("amount"))
                .where(transfer.c.shop_id == self.shop.id)
                .group_by(side)
            )
            for row in rows:
                sums[row.account] += sign * int(row.amount)
        self.report.transfers += self.connection.execute(
            select(func.count()).select_from(transfer).where(transfer.c.shop_id == self.shop.id)
        ).scalar_one()
        totals: Counter[str] = Counter()
        for row in self.connection.execute(select(account).where(account.c.shop_id == self.shop.id)):
            self.report.accounts += 1
            totals[row.currency] += row.balance
            if row.balance != sums.pop(row.id, 0):
                self._note(
                    "account %(number)s (%(purpose)s, sharer %(sharer)s, %(currency)s) is not the sum of its transfers",
                    number=row.id, purpose=row.purpose, sharer=row.sharer_id, currency=row.currency,
                )  # fmt: skip
            if row.live != self.shop.live:
                self._note("account %(number)s mixes live money with test money", number=row.id)
        for number in sums:
            self._note("account %(number)s is gone", number=number)
        for currency, total in totals.items():
            if total:
                self._note(
                    "the accounts in %(currency)s add up to %(total)s and not to zero", currency=currency, total=total
                )

    def _check_payouts(self) -> None:
        """Hold items, their lots and the transfers against each other and against the facts."""
        said: dict[tuple[str, int], str] = {}
        for row in self.connection.execute(
            select(fact)
            .where(fact.c.shop_id == self.shop.id, fact.c.kind.in_(("payout", "item")))
            .order_by(fact.c.position, fact.c.id)
        ):
            body = json.loads(row.body)
            said[(row.kind, body[row.kind])] = body["state"]
        batches = self.connection.execute(select(payout).where(payout.c.shop_id == self.shop.id)).all()
        for batch in batches:
            if said.pop(("payout", batch.id), None) != batch.state:
                self._note("payout %(id)s is not in the state its facts say", id=show(PAYOUT, batch.id))
        expected: dict[int, Counter[str]] = defaultdict(Counter)
        items = self.connection.execute(
            select(payout_item, payout.c.state.label("batch_state"))
            .join(payout, payout.c.id == payout_item.c.payout_id)
            .where(payout.c.shop_id == self.shop.id)
        ).all()
        for item in items:
            last = said.pop(("item", item.id), None)
            if last is None and item.batch_state in (payout_states.DRAFT, payout_states.CANCELLED):
                continue
            if last != item.state:
                self._note("payout item %(id)s is not in the state its facts say", id=show(ITEM, item.id))
            self._check_item(item, expected)
        for kind, number in said:
            self._note("%(row)s is gone from the payouts", row=f"{kind} {number}")
        lies: dict[int, Counter[str]] = defaultdict(Counter)
        for row in self.connection.execute(
            select(account.c.sharer_id, account.c.purpose, func.sum(account.c.balance).label("balance"))
            .where(account.c.shop_id == self.shop.id, account.c.purpose.in_((IN_FLIGHT, PAID)))
            .group_by(account.c.sharer_id, account.c.purpose)
        ):
            lies[row.sharer_id][row.purpose] = int(row.balance)
        for who in {*expected, *lies}:
            for purpose in (IN_FLIGHT, PAID):
                if expected[who][purpose] != lies[who][purpose]:
                    self._note(
                        "sharer %(id)s: what is %(purpose)s is not what the payouts say",
                        id=show(SHARER, who), purpose=purpose,
                    )  # fmt: skip

    def _check_item(self, item: Row[Any], expected: dict[int, Counter[str]]) -> None:
        lots = self.connection.execute(
            select(func.coalesce(func.sum(payout_lot.c.amount), 0)).where(payout_lot.c.item_id == item.id)
        ).scalar_one()
        reserved = item.batch_state != payout_states.DRAFT
        if reserved and item.state != payout_states.CANCELLED and int(lots) != item.gross:
            self._note("payout item %(id)s: its commissions do not add up to its amount", id=show(ITEM, item.id))
        if item.gross - item.withheld - item.fee != item.net:
            self._note(
                "payout item %(id)s: what is sent is not its amount less what is withheld and the fee",
                id=show(ITEM, item.id),
            )
        if item.state == payout_states.PAID:
            expected[item.sharer_id][PAID] += item.gross
        elif item.state not in payout_states.ENDS and reserved:
            expected[item.sharer_id][IN_FLIGHT] += item.gross


def _name(table: Table, row: Mapping[str, Any]) -> str:
    ref = row.get("order_ref")
    name = f"{table.name.removeprefix('pa_')} {row['id']}"
    return name if ref is None else _of_order(name, ref)


def _of_order(row: str, ref: str) -> Sentence:
    return Sentence("order %(ref)s: %(row)s", ref=ref, row=row)


def _lies_right(lies: Mapping[str, int], held: bool, released: bool) -> bool:
    """Tell whether the unpaid part lies where hold and release say."""
    if released:
        return not lies.get(PENDING) and not lies.get(HELD)
    return not lies.get(PENDING if held else HELD) and not any(
        lies.get(purpose) for purpose in (PAYABLE, IN_FLIGHT, PAID)
    )


@dataclass(slots=True)
class _Told(Record):
    """The record of an order beside what is stored of it and must be compared."""

    row: Any = None
    decision: str | None = None
    decided_at: int = 0

    @property
    def changed_at(self) -> int:
        """Return the position at which anything that the reports count was written last."""
        told = (*self.states, *self.deletions, *self.lookups)
        return max([self.decided_at, *(position for position, _ in told)])
