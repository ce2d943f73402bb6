"""The tables, one file per noun. Times are microseconds since 1970 (BIGINT), money is minor units (BIGINT)."""

from plugin.models.access import api_token, attempt, idempotency, owner, session, ticket
from plugin.models.books import account, chain, head, lot, transfer
from plugin.models.coupon import coupon
from plugin.models.endpoint import endpoint, event_delivery, event_replay
from plugin.models.event import event, event_head
from plugin.models.export import export, export_piece
from plugin.models.inbox import delivery, refusal
from plugin.models.link import click, link, link_code, link_coupon
from plugin.models.metadata import metadata
from plugin.models.order import decision, fact, order_code, order_state, orders
from plugin.models.payout import payout, payout_item, payout_lot
from plugin.models.person import person, sharer, standing
from plugin.models.product import product
from plugin.models.program import note, payout_way, program
from plugin.models.rollup import (
    ORDER_PARTS,
    ROLLUPS,
    channel_month,
    click_channel,
    click_day,
    click_link,
    click_month,
    order_credit,
    product_month,
    report_place,
    sharer_month,
    sharer_total,
    shop_day,
    sold_product,
)
from plugin.models.shop import plan, shop
from plugin.models.task import task

__all__ = [
    "ORDER_PARTS",
    "ROLLUPS",
    "account",
    "api_token",
    "attempt",
    "chain",
    "channel_month",
    "click",
    "click_channel",
    "click_day",
    "click_link",
    "click_month",
    "coupon",
    "decision",
    "delivery",
    "endpoint",
    "event",
    "event_delivery",
    "event_head",
    "event_replay",
    "export",
    "export_piece",
    "fact",
    "head",
    "idempotency",
    "link",
    "link_code",
    "link_coupon",
    "lot",
    "metadata",
    "note",
    "order_code",
    "order_credit",
    "order_state",
    "orders",
    "owner",
    "payout",
    "payout_item",
    "payout_lot",
    "payout_way",
    "person",
    "plan",
    "product",
    "product_month",
    "program",
    "refusal",
    "report_place",
    "session",
    "sharer",
    "sharer_month",
    "sharer_total",
    "shop",
    "shop_day",
    "sold_product",
    "standing",
    "task",
    "ticket",
    "transfer",
]
