"""Sharers: enrolling them and changing how they stand. Each change is a dated fact and alters nothing decided."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, and_, func, or_, select

from plugin.database import among
from plugin.domain.facts import STATUSES
from plugin.domain.moment import SECOND
from plugin.domain.order import normalise_code, normalise_email
from plugin.domain.plan import UNSHOWABLE
from plugin.errors import BadRequest, Conflict, Sentence
from plugin.languages import mark
from plugin.models import fact, order_code, orders, person, sharer
from plugin.models import standing as standing_now
from plugin.services import public_id
from plugin.services.context import Context
from plugin.services.recorder import Recorder, insert_new, put_row, recording
from plugin.services.settle_order import CODE_LENGTH_MAX, resettle

CODES_MAX = 50
# Whose a code is: one that the sharer holds and passes on, and one for a single order that a click was given.
CODE_KINDS = ("code", "click_code")


@dataclass(frozen=True, slots=True)
class NewSharer:
    """What is said of a sharer at enrolment; ``since`` in microseconds since 1970."""

    email: str
    name: str | None = None
    codes: Sequence[str] = ()
    inviter: int | None = None
    group: str | None = None
    locale: str | None = None
    status: str = "approved"
    since: int | None = None
    customer_id: str | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """How a sharer stands now, and the coupon codes they hold, as they were written."""

    status: str
    group: str | None
    inviter: int | None
    since: int
    codes: tuple[str, ...]


def date_of_change(recorder: Recorder) -> int:
    """Return the moment from which a change made now counts: this second, but after every order decided in it."""
    second = recorder.now - recorder.now % SECOND
    last = recorder.connection.execute(
        select(func.max(orders.c.placed_at)).where(
            orders.c.shop_id == recorder.shop.id, orders.c.placed_at >= second, orders.c.placed_at <= recorder.now
        )
    ).scalar_one()
    return second if last is None else int(last) + 1


def enrol_sharer(context: Context, shop_id: int, new: NewSharer, *, actor: str) -> int:
    """Enrol a person as a sharer of the shop and return their number; raise Conflict where e-mail or code is taken."""
    email = new.email.strip()
    _check(email, new.status, new.codes)
    email_hash = context.keys.pepper_hash("email", normalise_email(email))
    with recording(context, shop_id, actor=actor) as recorder:
        since = recorder.now - recorder.now % SECOND if new.since is None else new.since
        person_id = _person(recorder, email, email_hash, new)
        taken = select(sharer.c.id).where(sharer.c.shop_id == shop_id, sharer.c.person_id == person_id)
        if recorder.connection.execute(taken).first():
            raise Conflict("email_taken", "This shop has a sharer with this e-mail already.")
        _check_inviter(recorder.connection, shop_id, new.inviter, None)
        number = recorder.add_row(
            sharer,
            {
                "person_id": person_id,
                "customer_id": new.customer_id,
                "email_hash": email_hash,
                "created_at": recorder.now,
            },
        )
        _stand(recorder, number, new.status, new.group, new.inviter, at=since)
        names = _give_codes(recorder, number, new.codes, at=since)
        recorder.flush()
        _settle_concerned(recorder, number, names, email_hash, new.customer_id, since)
        recorder.emit(
            f"sharer.{new.status}",
            {"shop": recorder.shop.key, "sharer": public_id.show(public_id.SHARER, number), "status": new.status},
        )
    return number


def change_sharer(context: Context, row: Row[Any], changes: Mapping[str, Any], *, actor: str) -> None:
    """Change status, group, inviter or codes from now on. ``row`` is the sharer's; raise Conflict for a taken code."""
    with recording(context, row.shop_id, actor=actor) as recorder:
        now = standing(recorder.connection, row.id)
        at = max(date_of_change(recorder), now.since)  # a change before the sharer begins counts from the beginning
        status = changes.get("status", now.status)
        _check(None, status, changes.get("codes", ()))
        inviter = changes.get("inviter", now.inviter)
        _check_inviter(recorder.connection, row.shop_id, inviter, row.id)
        group = changes.get("group", now.group)
        names: set[str] = set()
        if (status, group, inviter) != (now.status, now.group, now.inviter):
            _stand(recorder, row.id, status, group, inviter, at=at)
        if "codes" in changes:
            kept = {normalise_code(code) for code in changes["codes"]}
            held = {normalise_code(code) for code in now.codes}
            for name in sorted(held - kept):
                recorder.add_fact("code", {"code": None}, at=at, code=name)
            names = (held - kept) | _give_codes(
                recorder, row.id, [code for code in changes["codes"] if normalise_code(code) not in held], at=at
            )
        recorder.flush()
        _settle_concerned(recorder, row.id, names, None, None, at)
        if status != now.status:
            recorder.emit(
                f"sharer.{status}",
                {"shop": recorder.shop.key, "sharer": public_id.show(public_id.SHARER, row.id), "status": status},
            )


def give_code(recorder: Recorder, sharer_id: int, code: str) -> None:
    """Give one more coupon code to a sharer from now on; raise Conflict where it is somebody's, or one too many."""
    now = standing(recorder.connection, sharer_id)
    if len(now.codes) >= CODES_MAX:
        raise Conflict("too_many_codes", "A sharer has at most %(most)s codes.", most=CODES_MAX)
    at = max(date_of_change(recorder), now.since)
    names = _give_codes(recorder, sharer_id, [code], at=at)
    recorder.flush()
    _settle_concerned(recorder, sharer_id, names, None, None, at)


def give_click_codes(recorder: Recorder, sharer_id: int, codes: Sequence[str]) -> list[str]:
    """Give a sharer new codes that their clicks bring along; return those of them that were nobody's before.

    No order can carry one yet, so nothing is settled again.
    """
    free = [code for code in codes if _holder(recorder.connection, recorder.shop.id, normalise_code(code)) is None]
    at = max(date_of_change(recorder), standing(recorder.connection, sharer_id).since)
    for code in free:
        recorder.add_fact("click_code", {"code": code}, at=at, sharer_id=sharer_id, code=normalise_code(code))
    return free


def take_code(recorder: Recorder, sharer_id: int, code: str) -> None:
    """Take a coupon code from a sharer from now on; one that is another's by now stays theirs."""
    name = normalise_code(code)
    holder = _holder(recorder.connection, recorder.shop.id, name)
    if holder is None or holder.sharer_id != sharer_id:
        return
    at = max(date_of_change(recorder), holder.at)
    recorder.add_fact("code", {"code": None}, at=at, code=name)
    recorder.flush()
    _settle_concerned(recorder, sharer_id, {name}, None, None, at)


def standing(connection: Connection, sharer_id: int) -> Standing:
    """Return how a sharer stands by the newest facts."""
    row = connection.execute(
        select(fact)
        .where(fact.c.sharer_id == sharer_id, fact.c.kind == "sharer")
        .order_by(fact.c.at.desc(), fact.c.position.desc())
        .limit(1)
    ).one()
    body = json.loads(row.body)
    codes = current_codes(connection, [sharer_id]).get(sharer_id, ())
    return Standing(body["status"], body["group"], body["inviter"], row.at, codes)


def statuses_of(connection: Connection, shop_id: int, these: Collection[int] | None = None) -> dict[int, str]:
    """Return how every sharer of the shop, or only ``these``, stand by the newest facts."""
    wanted = select(fact.c.sharer_id, fact.c.body).where(fact.c.shop_id == shop_id, fact.c.kind == "sharer")
    if these is not None:
        wanted = wanted.where(among(fact.c.sharer_id, these))
    rows = connection.execute(wanted.order_by(fact.c.at, fact.c.position))
    return {row.sharer_id: json.loads(row.body)["status"] for row in rows}


def why_unpaid(connection: Connection, shop_id: int, these: Collection[int]) -> dict[int, str]:
    """Return whom of ``these`` no payout pays, with the reason: who is not approved, and who was erased."""
    found = {who: f"sharer_{status}" for who, status in statuses_of(connection, shop_id, these).items()}
    gone = select(sharer.c.id).join(person).where(among(sharer.c.id, these), person.c.erased_at.is_not(None))
    erased = dict.fromkeys(connection.execute(gone).scalars(), "sharer_erased")
    return {who: why for who, why in found.items() if why != "sharer_approved"} | erased


def current_codes(connection: Connection, sharers: Sequence[int]) -> dict[int, tuple[str, ...]]:
    """Return the codes each sharer holds now, as they were written."""
    given = fact.alias()
    ever = select(given.c.shop_id, given.c.code).where(given.c.kind == "code", among(given.c.sharer_id, sharers))
    mine = ever.distinct().subquery()
    rows = connection.execute(
        select(fact)
        .join(mine, and_(mine.c.shop_id == fact.c.shop_id, mine.c.code == fact.c.code))
        .where(fact.c.kind == "code")
        .order_by(fact.c.at, fact.c.position)
    )
    found = {(row.shop_id, row.code): row for row in rows}  # of each code, what was said last
    held: dict[int, list[str]] = {}
    for row in found.values():
        if row.sharer_id in sharers:
            held.setdefault(row.sharer_id, []).append(json.loads(row.body)["code"])
    return {number: tuple(sorted(codes)) for number, codes in held.items()}


def _holder(connection: Connection, shop_id: int, name: str) -> Any:
    return connection.execute(
        select(fact)
        .where(fact.c.shop_id == shop_id, among(fact.c.kind, CODE_KINDS), fact.c.code == name)
        .order_by(fact.c.at.desc(), fact.c.position.desc())
        .limit(1)
    ).one_or_none()


def is_email(text: str) -> bool:
    """Tell whether a text looks like an e-mail address; only a mail to it can tell whether it is one."""
    return "@" in text[1:-1] and len(text) <= 254 and text.isprintable() and " " not in text


def _check(email: str | None, status: str, codes: Sequence[str]) -> None:
    errors: dict[str, list[str]] = {}
    if email is not None and not is_email(email):
        errors["email"] = [mark("This is not an e-mail address.")]
    if status not in STATUSES:
        errors["status"] = [Sentence("Must be one of %(names)s.", names=", ".join(STATUSES))]
    if len(codes) > CODES_MAX or not all(
        0 < len(normalise_code(code)) <= CODE_LENGTH_MAX and not UNSHOWABLE.search(code) for code in codes
    ):
        errors["codes"] = [Sentence("At most %(most)s codes of 1 to 255 characters.", most=CODES_MAX)]
    if errors:
        raise BadRequest("invalid", "Some fields are not right.", fields=errors)


def _check_inviter(connection: Connection, shop_id: int, inviter: int | None, myself: int | None) -> None:
    if inviter is None:
        return
    if inviter == myself:
        fields = {"referred_by": [mark("A sharer invites others.")]}
        raise BadRequest("invalid", "Some fields are not right.", fields=fields)
    row = connection.execute(select(sharer.c.shop_id).where(sharer.c.id == inviter)).one_or_none()
    if row is None or row.shop_id != shop_id:
        fields = {"referred_by": [mark("There is no such sharer.")]}
        raise BadRequest("invalid", "Some fields are not right.", fields=fields)


def _person(recorder: Recorder, email: str, email_hash: str, new: NewSharer) -> int:
    """Return the person of this e-mail, known from another shop or new."""
    row = {
        "email_hash": email_hash,
        "email": email,
        "name": new.name,
        "locale": new.locale,
        "created_at": recorder.now,
    }
    insert_new(recorder.connection, person, [row])
    number: int = recorder.connection.execute(
        select(person.c.id).where(person.c.email_hash == email_hash)
    ).scalar_one()
    return number


def _stand(recorder: Recorder, number: int, status: str, group: str | None, inviter: int | None, *, at: int) -> None:
    recorder.add_fact("sharer", {"status": status, "group": group, "inviter": inviter}, at=at, sharer_id=number)
    row = {"sharer_id": number, "shop_id": recorder.shop.id, "status": status, "group_name": group}
    put_row(recorder.connection, standing_now, row)


def _give_codes(recorder: Recorder, number: int, codes: Sequence[str], *, at: int) -> set[str]:
    """Give coupon codes to a sharer; raise Conflict where one is somebody's. Return them normalised."""
    given: set[str] = set()
    for code in codes:
        name = normalise_code(code)
        if name in given:
            continue
        holder = _holder(recorder.connection, recorder.shop.id, name)
        if holder is not None and holder.sharer_id is not None:
            raise Conflict("code_taken", "The code %(code)s is another sharer's already.", code=code)
        recorder.add_fact("code", {"code": code.strip()}, at=at, sharer_id=number, code=name)
        given.add(name)
    return given


def _settle_concerned(
    recorder: Recorder, number: int, codes: set[str], email_hash: str | None, customer_id: str | None, since: int
) -> None:
    """Settle again the orders a dated fact concerns: those with its codes, the sharer's own, or later ones."""
    shop_id, connection = recorder.shop.id, recorder.connection
    concerned: set[int] = set()
    if codes:
        named = select(order_code.c.order_id).where(order_code.c.shop_id == shop_id, among(order_code.c.code, codes))
        concerned |= set(connection.execute(named).scalars())
    own = []
    if email_hash is not None:
        own.append(orders.c.customer_email == email_hash)
    if customer_id is not None:
        own.append(orders.c.customer_key == f"id:{customer_id}")
    if own:
        mine = select(orders.c.id).where(orders.c.shop_id == shop_id, or_(*own))
        concerned |= set(connection.execute(mine).scalars())
    else:
        later = select(orders.c.id).where(orders.c.shop_id == shop_id, orders.c.placed_at >= since)
        concerned |= set(connection.execute(later).scalars())
    if concerned:
        resettle(recorder, concerned, cause=f"sharer:{number}")
