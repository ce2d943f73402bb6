"""How an order's story is stored: the summary as JSON, the state now as compressed canonical text."""

import json
from functools import lru_cache, reduce

from plugin import compression
from plugin.domain.order import Customer, First, Key, State, Story, Touch, merge, read_state, story_of
from plugin.domain.stored_json import compact


@lru_cache(maxsize=2_000)
def pack(text: str) -> bytes:
    """Compress a canonical normal form."""
    return compression.pack(text.encode())


def unpack(body: bytes) -> State:
    """Read a compressed normal form back."""
    return read_state(compression.unpack(body).decode())


def dump(story: Story) -> str:
    """Return the story without the body of the state now."""
    customer = story.first.customer
    sold = {"sold": story.sold} if story.sold else {}
    return compact(
        sold
        | {
            "first": [
                story.first.key,
                story.first.placed_at,
                customer and [customer.id, customer.email_hash, customer.orders_before],
            ],
            "paid": story.paid,
            "touches": [[key, touch.codes, touch.tokens] for key, touch in story.touches],
            "deleted_at": story.deleted_at,
        }
    )


def _key(parts: list[int | str]) -> Key:
    return tuple(parts)  # type: ignore[return-value]


def load(text: str, now: bytes) -> Story:
    """Return the story that :func:`dump` and :func:`pack` stored."""
    data = json.loads(text)
    key, placed_at, customer = data["first"]
    return Story(
        now=unpack(now),
        first=First(_key(key), placed_at, customer and Customer(*customer)),
        paid=data["paid"] and (_key(data["paid"][0]), data["paid"][1]),
        touches=tuple(
            (_key(key), Touch(tuple(codes), tuple((carrier, token) for carrier, token in tokens)))
            for key, codes, tokens in data["touches"]
        ),
        deleted_at=data["deleted_at"],
        sold=tuple((product, tuple(several)) for product, several in data.get("sold", ())),
    )


def told(states: list[State]) -> Story:
    """Return what several states of one order say together."""
    return reduce(merge, map(story_of, states))
