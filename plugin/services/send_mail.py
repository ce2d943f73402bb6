"""Sending the mails that are wanted. What is said is read from the books at that moment, and so is whether to say it.

A mail that was handed over but not written down as sent is sent again under the same id, by which mailboxes know it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Row, func, select

from plugin import mail
from plugin.domain.ledger import SHARER_PURPOSES
from plugin.domain.moment import DAY, SECOND, format_moment, parse_moment
from plugin.languages import choose
from plugin.mails import Written, write
from plugin.mails.letters import Amount, Letter, Voice, Week
from plugin.models import account, delivery, lot, orders, owner, payout, payout_item, person, sharer, shop, shop_day
from plugin.models import ticket as ticket_table
from plugin.services import tickets
from plugin.services.choose_mails import CHOICES, OWNER, PERSON, Off, off_address, wants
from plugin.services.context import Context
from plugin.services.enrol_sharer import standing, statuses_of
from plugin.services.manage_program import Program, show_program
from plugin.services.run_tasks import Done, Hopeless, Kind, Task
from plugin.services.want_mail import (
    FIRST_COMMISSION,
    INVITATION,
    PAID,
    PAYOUT_FAILED,
    PAYOUT_WAY,
    READY,
    SIGN_IN,
    TEAM_INVITATION,
    WEEKLY_DIGEST,
)

EARNINGS, PAYOUTS, PROFILE = "/me/{shop}/earnings", "/me/{shop}/payouts", "/me/profile"
HOME = "/admin/{shop}/"
READY_EVERY = DAY  # orders leave their hold at any hour; that is no reason for a mail at any hour
# Where the address of a ticket leads, by its purpose.
ADDRESSES: Mapping[str, str] = {
    tickets.SIGN_IN: "/me/enter/{ticket}",
    tickets.JOIN: "/join/{shop}/{ticket}",
    tickets.TEAM: "/admin/join/{ticket}",
}
# What a shop's people speak where nothing else is known of them: the language of the currency it sells in.
_SPOKEN = {"TWD": "zh-Hant", "HKD": "zh-Hant", "MOP": "zh-Hant", "CNY": "zh-Hans", "JPY": "ja"}
_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


class _Nothing(Exception):
    """There is nothing to be sent, and why."""


@dataclass(frozen=True, slots=True)
class _Reader:
    """Whom a letter is for: where it goes, in which language, and by which address its kind is turned off."""

    email: str
    tag: str
    name: str | None = None
    off: Off | None = None


@dataclass(frozen=True, slots=True)
class _Desk:
    """What the writers below need: the task, the shop in whose name is written, and a look into the database."""

    context: Context
    connection: Connection
    task: Task
    shop: Row[Any]
    program: Program

    def voice(self, reader: _Reader) -> Voice:
        return Voice(reader.tag, self.shop.name, self.shop.timezone, name=reader.name)

    def address(self, path: str, **parts: str) -> str:
        return self.context.settings.base_url + path.format(shop=self.shop.key, **parts)

    def tag(self, *known: str | None) -> str:
        """Return the language of the first of these that is known, else the shop's."""
        wanted = next((one for one in (*known, self.program.language) if one), None)
        return choose([(wanted, 1)]) if wanted else _SPOKEN.get(self.shop.currency, "en")


def _send(context: Context, one: Task) -> Done:
    now = context.now()
    if one.body["template"] == READY and one.result and "sent_at" in one.result:
        again_at = parse_moment(one.result["sent_at"]) + READY_EVERY
        if now < again_at:
            return Done(one.result, again_at=again_at)
    try:
        with context.database.reading() as connection:
            row = connection.execute(select(shop).where(shop.c.id == one.shop_id)).one()
            program = show_program(connection, one.shop_id)
            if one.body["template"] in program.mails_off:
                raise _Nothing("The shop turned such mails off.")
            reader, letter = _WRITERS[one.body["template"]](_Desk(context, connection, one, row, program))
    except _Nothing as reason:
        return Done({"skipped": str(reason)})
    off = None if reader.off is None else off_address(context, reader.off)
    written = write(letter, reader.tag, off=off)
    try:
        context.postman.send(context.settings, _mail(context, one, reader, written, off), now=now)
    except mail.MailRefused as error:
        raise Hopeless(error.message) from None
    return Done({"sent_at": format_moment(now)})


def _mail(context: Context, one: Task, reader: _Reader, written: Written, off: str | None) -> mail.Mail:
    name = context.keys.pepper_hash("mail", f"{one.id}.{one.wanted}")
    return mail.Mail(name, reader.email, written.subject, written.text, written.html, off)


# --- by ticket --------------------------------------------------------------------------------------------------------


def _by_ticket(desk: _Desk, write: Callable[[Voice], Callable[..., Letter]]) -> tuple[_Reader, Letter]:
    number = desk.task.body["ticket"]
    row = desk.connection.execute(select(ticket_table).where(ticket_table.c.id == number)).one_or_none()
    if row is None or row.used_at is not None or row.ends_at < desk.context.now():
        raise _Nothing("The address was used already, or is too old.")
    reader = _holder(desk, row)
    text = tickets.show(desk.context, desk.connection, row.id)
    address = desk.address(ADDRESSES[row.purpose], ticket=text)
    return reader, write(desk.voice(reader))(address, ends_at=row.ends_at)


def _holder(desk: _Desk, row: Row[Any]) -> _Reader:
    """Return whom a ticket is for."""
    asked = desk.task.body["language"]
    if row.person_id is not None:
        who = desk.connection.execute(select(person).where(person.c.id == row.person_id)).one()
        if who.email is None:
            raise _Nothing("The person was erased.")
        return _Reader(who.email, desk.tag(asked, who.locale), who.name)
    if row.owner_id is not None:
        member = desk.connection.execute(select(owner).where(owner.c.id == row.owner_id)).one()
        if member.ended_at is not None:
            raise _Nothing("Their access was ended.")
        return _Reader(member.email, desk.tag(asked, member.locale))
    if row.email is None:
        raise _Nothing("The ticket is for nobody who can be written to.")
    return _Reader(row.email, desk.tag(asked))


# --- to sharers -------------------------------------------------------------------------------------------------------


def _sharer(desk: _Desk) -> _Reader:
    """Return the sharer a notice is for, unless they are not to get it."""
    body = desk.task.body
    row = desk.connection.execute(
        select(person).join(sharer, sharer.c.person_id == person.c.id).where(sharer.c.id == body["sharer"])
    ).one()
    if row.email is None:
        raise _Nothing("The person was erased.")
    status = standing(desk.connection, body["sharer"]).status
    if status != "approved":
        raise _Nothing(f"The sharer is {status}.")
    template = body["template"]
    if not wants(row.mail_choices, template):
        raise _Nothing("The person turned such mails off.")
    off = Off(PERSON, row.id, template) if template in CHOICES[PERSON] else None
    return _Reader(row.email, desk.tag(row.locale), row.name, off)


def _first_commission(desk: _Desk) -> tuple[_Reader, Letter]:
    body = desk.task.body
    rows = desk.connection.execute(
        select(lot, orders.c.release_at, orders.c.released)
        .join(orders, orders.c.id == lot.c.order_id)
        .where(lot.c.order_id == body["order"], lot.c.sharer_id == body["sharer"], lot.c.currency == orders.c.currency)
    ).all()
    earned = sum(getattr(row, purpose) for row in rows for purpose in SHARER_PURPOSES)
    if earned <= 0:
        raise _Nothing("Nothing is left of the commission.")
    reader = _sharer(desk)
    amount, ready_at = (earned, rows[0].currency), rows[0].release_at if rows[0].released is None else None
    return reader, desk.voice(reader).first_commission(desk.address(EARNINGS), amount=amount, ready_at=ready_at)


def _ready(desk: _Desk) -> tuple[_Reader, Letter]:
    mine = account.c.sharer_id == desk.task.body["sharer"]
    amounts = _balances(desk, "payable", mine)
    if not amounts:
        raise _Nothing("Nothing is payable any more.")
    reader = _sharer(desk)
    return reader, desk.voice(reader).ready(desk.address(EARNINGS), amounts=amounts)


def _balances(desk: _Desk, purpose: str, *where: Any) -> list[Amount]:
    """Return the sum of a purpose's balances above zero, by currency."""
    total = func.sum(account.c.balance)
    rows = desk.connection.execute(
        select(account.c.currency, total.label("minor"))
        .where(account.c.shop_id == desk.shop.id, account.c.purpose == purpose, account.c.balance > 0, *where)
        .group_by(account.c.currency)
        .order_by(account.c.currency)
    )
    return [(int(row.minor), row.currency) for row in rows]


def _item(desk: _Desk) -> Row[Any]:
    """Return the item of a payout that a mail is about."""
    return desk.connection.execute(
        select(payout_item, payout.c.currency)
        .join(payout, payout.c.id == payout_item.c.payout_id)
        .where(payout_item.c.id == desk.task.body["item"])
    ).one()


def _paid(desk: _Desk) -> tuple[_Reader, Letter]:
    row, reader = _item(desk), _sharer(desk)
    if row.state != "paid":
        raise _Nothing(f"The payment is {row.state} by now.")
    return reader, desk.voice(reader).paid(
        desk.address(PAYOUTS),
        net=(row.net, row.currency),
        gross=(row.gross, row.currency),
        withheld=(row.withheld, row.currency),
        fee=(row.fee, row.currency),
        reference=row.reference,
    )


def _payout_failed(desk: _Desk) -> tuple[_Reader, Letter]:
    row, reader = _item(desk), _sharer(desk)
    net = (row.net, row.currency)
    return reader, desk.voice(reader).payout_failed(desk.address(PAYOUTS), net=net, reason=row.reason)


def _payout_way(desk: _Desk) -> tuple[_Reader, Letter]:
    """Tell of a change of where money goes, however the sharer stands: it may not have been them."""
    row = desk.connection.execute(
        select(person).join(sharer, sharer.c.person_id == person.c.id).where(sharer.c.id == desk.task.body["sharer"])
    ).one()
    if row.email is None:
        raise _Nothing("The person was erased.")
    reader = _Reader(row.email, desk.tag(row.locale), row.name)
    return reader, desk.voice(reader).payout_way(desk.address(PROFILE))


# --- to those who run the shop ----------------------------------------------------------------------------------------


def _weekly_digest(desk: _Desk) -> tuple[_Reader, Letter]:
    row = desk.connection.execute(select(owner).where(owner.c.id == desk.task.body["owner"])).one()
    if row.ended_at is not None:
        raise _Nothing("Their access was ended.")
    if not wants(row.mail_choices, WEEKLY_DIGEST):
        raise _Nothing("They turned such mails off.")
    week = _week(desk, date.fromisoformat(desk.task.body["monday"]))
    if week.is_empty:
        raise _Nothing("Nothing happened, and nothing waits.")
    reader = _Reader(row.email, desk.tag(row.locale), off=Off(OWNER, row.id, WEEKLY_DIGEST))
    return reader, desk.voice(reader).weekly_digest(desk.address(HOME), week=week)


def _week(desk: _Desk, monday: date) -> Week:
    """Return the figures of the seven days before a Monday, and what waits now."""
    connection, shop_id = desk.connection, desk.shop.id
    first, zone = monday - timedelta(days=7), ZoneInfo(desk.shop.timezone)
    start, end = _midnight(first, zone), _midnight(monday, zone)
    figures = shop_day.c
    earned = figures.direct + figures.upline + figures.buyer
    rows = connection.execute(
        select(
            figures.currency,
            func.sum(figures.net).label("net"),
            func.sum(figures.credited).label("credited"),
            func.sum(earned).label("earned"),
        )
        .where(figures.shop_id == shop_id, figures.day >= str(first), figures.day < str(monday))
        .group_by(figures.currency)
        .order_by(figures.currency)
    ).all()
    fresh = select(func.count()).where(
        sharer.c.shop_id == shop_id, sharer.c.created_at >= start, sharer.c.created_at < end
    )
    unread = select(func.count()).where(delivery.c.shop_id == shop_id, delivery.c.state == "quarantined")
    return Week(
        start=start,
        end=end - SECOND,
        sales=_amounts(rows, "net"),
        orders=sum(int(row.credited) for row in rows),
        commission=_amounts(rows, "earned"),
        new_sharers=connection.execute(fresh).scalar_one(),
        to_approve=list(statuses_of(connection, shop_id).values()).count("pending"),
        held=_balances(desk, "held"),
        payable=_balances(desk, "payable"),
        unread=connection.execute(unread).scalar_one(),
    )


def _amounts(rows: Sequence[Any], name: str) -> list[Amount]:
    return [(int(getattr(row, name)), row.currency) for row in rows if getattr(row, name)]


def _midnight(day: date, zone: ZoneInfo) -> int:
    began = datetime(day.year, day.month, day.day, tzinfo=zone)
    return (began - _EPOCH) // timedelta(microseconds=1)


_WRITERS: Mapping[str, Callable[[_Desk], tuple[_Reader, Letter]]] = {
    INVITATION: lambda desk: _by_ticket(desk, lambda voice: voice.invitation),
    TEAM_INVITATION: lambda desk: _by_ticket(desk, lambda voice: voice.team_invitation),
    SIGN_IN: lambda desk: _by_ticket(desk, lambda voice: voice.sign_in),
    FIRST_COMMISSION: _first_commission,
    READY: _ready,
    PAID: _paid,
    PAYOUT_FAILED: _payout_failed,
    PAYOUT_WAY: _payout_way,
    WEEKLY_DIGEST: _weekly_digest,
}

SEND = Kind(_send)
