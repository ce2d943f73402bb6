"""Having mails sent: each is a task, written in the transaction of its cause.

Its row names what it is about and no more: neither an address nor a name nor anything that opens a door. What is said,
and to whom, is read when it is sent. :mod:`plugin.services.send_mail` sends it.
"""

from collections.abc import Collection, Mapping

from sqlalchemy import Connection, Row

from plugin.services.want_task import want_each, want_each_once, want_once

KIND = "mail"
INVITATION, TEAM_INVITATION, SIGN_IN = "invitation", "team_invitation", "sign_in"
FIRST_COMMISSION, READY, PAID, PAYOUT_FAILED = "first_commission", "ready", "paid", "payout_failed"
PAYOUT_WAY = "payout_way"
WEEKLY_DIGEST = "weekly_digest"


def want_ticket_mail(
    connection: Connection, shop_id: int, template: str, ticket: int, *, now: int, language: str | None = None
) -> None:
    """Have the address of a ticket sent to whom it is for, as an invitation or for signing in.

    ``shop_id`` is the shop in whose name it is sent. Where no ``language`` is named it is the recipient's own, else the
    shop's. Wake the workers once it is committed, for somebody waits.
    """
    body = {"template": template, "language": language, "ticket": ticket}
    want_once(connection, shop_id, KIND, f"{template}:{ticket}", body, now=now)


def want_first_commission_mails(
    connection: Connection, shop: Row[tuple[object, ...]], firsts: Mapping[int, int], *, now: int
) -> None:
    """Tell sharers, in one statement, of the first order they earn by; ``firsts`` are order numbers by sharer."""
    if shop.live:
        bodies = {
            f"{FIRST_COMMISSION}:{sharer}": _body(FIRST_COMMISSION, sharer=sharer, order=order)
            for sharer, order in firsts.items()
        }
        want_each_once(connection, shop.id, KIND, bodies, now=now)


def want_ready_mails(
    connection: Connection, shop: Row[tuple[object, ...]], sharers: Collection[int], *, now: int
) -> None:
    """Tell sharers, in one statement, that they have something to be paid."""
    if shop.live:
        bodies = {f"{READY}:{sharer}": _body(READY, sharer=sharer) for sharer in sorted(sharers)}
        want_each(connection, shop.id, KIND, bodies, now=now)


def want_payout_mail(
    connection: Connection, shop: Row[tuple[object, ...]], template: str, item: int, sharer: int, *, now: int
) -> None:
    """Tell a sharer what came of a payment: ``PAID`` or ``PAYOUT_FAILED``."""
    if shop.live:
        want_once(connection, shop.id, KIND, f"{template}:{item}", _body(template, sharer=sharer, item=item), now=now)


def want_payout_way_mail(connection: Connection, shop_id: int, sharer: int, *, now: int) -> None:
    """Tell a sharer that where their money goes was changed, in case it was not them."""
    want_once(connection, shop_id, KIND, f"{PAYOUT_WAY}:{sharer}:{now}", _body(PAYOUT_WAY, sharer=sharer), now=now)


def want_digest_mails(connection: Connection, shop_id: int, owners: Collection[int], monday: str, *, now: int) -> None:
    """Tell those who run a shop how the week was that ended before this Monday."""
    bodies = {f"{WEEKLY_DIGEST}:{one}:{monday}": _body(WEEKLY_DIGEST, owner=one, monday=monday) for one in owners}
    want_each_once(connection, shop_id, KIND, bodies, now=now)


def _body(template: str, **about: object) -> dict[str, object]:
    return {"template": template, "language": None, **about}
