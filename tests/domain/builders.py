"""Builds the smallest orders, plans and rosters that the tests of the core speak of."""

from functools import reduce
from typing import Any

from hypothesis import settings

from plugin.domain.attribution import Case, Token
from plugin.domain.binding import Bound
from plugin.domain.facts import APPROVED, CodeFact, HoldFact, Identity, Link, ManualFact, Roster, SharerFact
from plugin.domain.moment import parse_moment
from plugin.domain.order import Order, State, Story, merge, read_order, state_of, story_of
from plugin.domain.plan import read_plan

fixed = settings(derandomize=True, database=None, deadline=None)

PLACED = "2026-11-01T10:00:00Z"
PLACED_AT = parse_moment(PLACED)
ALICE, BOB, CAROL = 1, 2, 3
ALICES_LINK, BOBS_LINK = 11, 12


def hash_email(email: str) -> str:
    """Stand in for the keyed hash, so that a test can read it."""
    return f"#{email}"


def line(id: Any = "l1", amount: Any = "100.00", quantity: Any = 1, **more: Any) -> dict[str, Any]:
    """Return one line as a shop states it."""
    return {"id": id, "quantity": quantity, "amount": amount, **more}


def refund(
    id: str, amount: str, *lines: tuple[str, int, str] | tuple[str, int, str, str], **more: Any
) -> dict[str, Any]:
    """Return one refund; its lines are (line, quantity, amount[, tax])."""
    names = ("line_id", "quantity", "amount", "tax")
    return {"id": id, "amount": amount, "lines": [dict(zip(names, one, strict=False)) for one in lines], **more}


def order(**changes: Any) -> dict[str, Any]:
    """Return a paid order of one line of 100.00 USD."""
    return {
        "id": "1001",
        "updated_at": PLACED,
        "placed_at": PLACED,
        "currency": "USD",
        "status": "open",
        "payment": "paid",
        "lines": [line()],
        "refunds": [],
        **changes,
    }


def read(**changes: Any) -> Order:
    """Return an order as it is read."""
    return read_order(order(**changes), hash_email)


def state(**changes: Any) -> State:
    """Return one state of the order."""
    return state_of(read(**changes))


def story(*states: State) -> Story:
    """Return what states say together; without any, what the plain order says."""
    return reduce(merge, map(story_of, states or (state(),)))


def standing_from(at: int, status: str = APPROVED, **more: Any) -> SharerFact:
    """Return the fact of how a sharer stands from a moment on."""
    return SharerFact(**{"seq": 1, "at": at, "sharer": ALICE, "status": status, "group": None, "inviter": None, **more})


def roster(**changes: Any) -> Roster:
    """Return a shop with Alice and Bob, both approved from the beginning, each with a code and a link."""
    facts: dict[str, Any] = {
        "identities": {
            ALICE: Identity(ALICE, "c-alice", "#alice@example.org"),
            BOB: Identity(BOB, "c-bob", "#bob@example.org"),
        },
        "sharers": {ALICE: (standing_from(0),), BOB: (standing_from(0, sharer=BOB),)},
        "codes": {
            "alice10": (CodeFact(1, 0, "alice10", ALICE),),
            "bob10": (CodeFact(1, 0, "bob10", BOB),),
        },
        "links": {
            ALICES_LINK: Link(ALICES_LINK, ALICE, "instagram", "spring"),
            BOBS_LINK: Link(BOBS_LINK, BOB, "wechat", None),
        },
    }
    return Roster(**(facts | changes))


def case(
    *states: State,
    plan: dict[str, Any] | None = None,
    shop: Roster | None = None,
    tokens: dict[str, Token | None] | None = None,
    manual: tuple[ManualFact, ...] = (),
    holds: tuple[HoldFact, ...] = (),
    bound: Bound | None = None,
) -> Case:
    """Return all that a decision reads."""
    return Case(story(*states), shop or roster(), read_plan(plan or {}), 1, tokens or {}, manual, holds, bound)
