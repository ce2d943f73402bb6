"""Loads what decisions read: plans, links behind tokens, sharers and their facts. A fixed number of queries a batch."""

import json
from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Row, or_, select

from plugin.database import among
from plugin.domain.attribution import Token
from plugin.domain.facts import CodeFact, HoldFact, Identity, Link, ManualFact, Roster, SharerFact
from plugin.domain.order import Customer, Touch, normalise_code
from plugin.domain.plan import Plan, read_plan
from plugin.domain.settlement import Known, OrderFacts, PlanVersion
from plugin.errors import BadSignature
from plugin.keys import Keys
from plugin.models import fact, link, plan, sharer, shop
from plugin.signing import CodeClaim, TokenClaim, read_for_shop


@lru_cache(maxsize=1_000)
def _read_plan(body: str) -> Plan:
    return read_plan(json.loads(body))


def load_plans(connection: Connection, shop_id: int) -> tuple[PlanVersion, ...]:
    """Return all versions of the shop's plan, oldest first."""
    rows = connection.execute(select(plan).where(plan.c.shop_id == shop_id).order_by(plan.c.version))
    return tuple(_version(row) for row in rows)


def load_terms(connection: Connection, shop_id: int) -> tuple[int, tuple[PlanVersion, ...]]:
    """Return when a shop's orders begin to earn, and all versions of its plan, oldest first, in one question."""
    wanted = select(plan, shop.c.starts_at).join(shop).where(shop.c.id == shop_id).order_by(plan.c.version)
    rows = connection.execute(wanted).all()
    return rows[0].starts_at, tuple(_version(row) for row in rows)


def _version(row: Row[Any]) -> PlanVersion:
    return PlanVersion(row.version, row.in_force_from, row.position, _read_plan(row.body))


def load_order_facts(connection: Connection, order_ids: Collection[int]) -> dict[int, OrderFacts]:
    """Return the manual decisions and holds of the orders, by our number."""
    if not order_ids:
        return {}
    rows = connection.execute(
        select(fact).where(among(fact.c.order_id, order_ids), fact.c.kind.in_(("manual", "hold"))).order_by(fact.c.id)
    )
    manual: dict[int, list[ManualFact]] = {}
    holds: dict[int, list[HoldFact]] = {}
    for row in rows:
        reason = json.loads(row.body)["reason"]
        if row.kind == "manual":
            manual.setdefault(row.order_id, []).append(ManualFact(row.position, row.at, row.sharer_id, reason))
        else:
            holds.setdefault(row.order_id, []).append(HoldFact(row.position, row.at, reason))
    return {
        order_id: OrderFacts(tuple(manual.get(order_id, ())), tuple(holds.get(order_id, ())))
        for order_id in {*manual, *holds}
    }


def load_known(
    connection: Connection,
    keys: Keys,
    shop_id: int,
    *,
    touches: Collection[Touch],
    customers: Collection[Customer],
    sharers: Collection[int] = (),
) -> Known:
    """Load every sharer, link and code that the touches, customers and named sharers may concern."""
    claims = _claims(keys, shop_id, {text for touch in touches for _, text in touch.tokens})
    links = _links(connection, shop_id, {claim.link for claim in claims.values()})
    tokens = {text: _token(claim, links) for text, claim in claims.items()}
    codes = _codes(connection, shop_id, {normalise_code(code) for touch in touches for code in touch.codes})
    wanted = {row.sharer_id for row in links.values()} | set(sharers)
    wanted |= {one.sharer for facts in codes.values() for one in facts if one.sharer is not None}
    wanted |= _buyers(connection, shop_id, customers)
    facts = _sharer_facts(connection, wanted)
    inviters = {one.inviter for known in facts.values() for one in known if one.inviter is not None} - wanted
    facts |= _sharer_facts(connection, inviters)
    return Known(
        Roster(
            identities=_identities(connection, shop_id, wanted | inviters),
            sharers=facts,
            codes=codes,
            links={row.id: Link(row.id, row.sharer_id, row.channel, row.campaign) for row in links.values()},
        ),
        tokens,
    )


def _claims(keys: Keys, shop_id: int, texts: Iterable[str]) -> dict[str, Any]:
    """Return what the genuine ones claim; of the others the decision sees that no token is known under the text."""
    claims = {text: read_claim(keys, text, shop_id) for text in texts}
    return {text: claim for text, claim in claims.items() if claim is not None}


@lru_cache(maxsize=2_000)
def read_claim(keys: Keys, text: str, shop_id: int) -> CodeClaim | TokenClaim | None:
    """Return what a code or token claims, None for one that is not genuine.

    Remembered: verifying is done before the shop's other writers must wait, and found done when they do.
    """
    try:
        return read_for_shop(keys, text, shop_id)
    except BadSignature:
        return None


def _links(connection: Connection, shop_id: int, numbers: Collection[int]) -> dict[int, Any]:
    if not numbers:
        return {}
    rows = connection.execute(select(link).where(link.c.shop_id == shop_id, among(link.c.number, numbers)))
    return {row.number: row for row in rows}


def _token(claim: Any, links: Mapping[int, Any]) -> Token | None:
    row = links.get(claim.link)
    if row is None:
        return None
    if isinstance(claim, CodeClaim):
        signed_too_late = claim.retired_at is not None and row.created_at > claim.retired_at
        return None if signed_too_late else Token(row.id, None)
    return Token(row.id, claim.at)


def _codes(connection: Connection, shop_id: int, names: Collection[str]) -> dict[str, tuple[CodeFact, ...]]:
    if not names:
        return {}
    known = select(fact).where(
        fact.c.shop_id == shop_id, among(fact.c.code, names), among(fact.c.kind, ("code", "click_code"))
    )
    rows = connection.execute(known.order_by(fact.c.id))
    found: dict[str, list[CodeFact]] = {}
    for row in rows:
        found.setdefault(row.code, []).append(CodeFact(row.position, row.at, row.code, row.sharer_id))
    return {name: tuple(facts) for name, facts in found.items()}


def _buyers(connection: Connection, shop_id: int, customers: Collection[Customer]) -> set[int]:
    ids = {one.id for one in customers if one.id is not None}
    hashes = {one.email_hash for one in customers if one.email_hash is not None}
    if not ids and not hashes:
        return set()
    matches = or_(among(sharer.c.customer_id, ids), among(sharer.c.email_hash, hashes))
    return set(connection.execute(select(sharer.c.id).where(sharer.c.shop_id == shop_id, matches)).scalars())


def _sharer_facts(connection: Connection, sharers: Collection[int]) -> dict[int, tuple[SharerFact, ...]]:
    if not sharers:
        return {}
    rows = connection.execute(
        select(fact).where(among(fact.c.sharer_id, sharers), fact.c.kind == "sharer").order_by(fact.c.id)
    )
    found: dict[int, list[SharerFact]] = {}
    for row in rows:
        body = json.loads(row.body)
        found.setdefault(row.sharer_id, []).append(
            SharerFact(row.position, row.at, row.sharer_id, body["status"], body["group"], body["inviter"])
        )
    return {number: tuple(facts) for number, facts in found.items()}


def _identities(connection: Connection, shop_id: int, sharers: Collection[int]) -> dict[int, Identity]:
    if not sharers:
        return {}
    rows = connection.execute(select(sharer).where(sharer.c.shop_id == shop_id, among(sharer.c.id, sharers)))
    return {row.id: Identity(row.id, row.customer_id, row.email_hash, row.position) for row in rows}
