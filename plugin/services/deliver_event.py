"""Bringing one message to an endpoint, once: signed by Standard Webhooks, within bounds, and told in a sentence.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from plugin.domain.moment import SECOND
from plugin.domain.stored_json import canonical
from plugin.errors import Sentence
from plugin.outbound import Answer, Bounds, Busy, OutboundError, retry_after
from plugin.services.context import Context
from plugin.shops import generic

# A receiver has its quarter of a minute; what it writes into the body of its answer is nobody's business.
BOUNDS = Bounds(connect_seconds=5, read_seconds=15, total_seconds=15, body_bytes=0)
GONE = 410


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent: the id by which a receiver knows it again, and the body."""

    id: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an attempt. ``reason`` is None where the message arrived; ``status`` where no whole answer came.

    ``not_before`` is when the receiver wants to hear again at the earliest, in microseconds since 1970. Where it
    ``is_busy`` it asked for patience and nothing else is wrong; where not ``was_tried`` it had asked so before.
    """

    status: int | None = None
    reason: str | None = None
    not_before: int = 0
    is_busy: bool = False
    was_tried: bool = True

    @property
    def arrived(self) -> bool:
        return self.reason is None

    @property
    def is_gone(self) -> bool:
        return self.status == GONE


def event_message(context: Context, shown: Mapping[str, Any]) -> Message:
    """Return the message that tells an event: the same at every attempt, in every replay and to every endpoint."""
    data = {**shown["data"], "shop": shown["shop"], "seq": shown["seq"]}
    return message(event_id(context, shown["seq"]), shown["type"], shown["at"], data)


def event_id(context: Context, seq: int) -> str:
    """Return the id of an event's message.

    It names the installation too: a receiver that hears several must not take one's events for another's.
    """
    return f"evt_{context.keys.pepper_hash('event', 'id')[:8]}_{seq}"


def message(id: str, kind: str, timestamp: str, data: Mapping[str, Any]) -> Message:
    """Return a message of the form that Standard Webhooks recommends."""
    return Message(id, canonical({"type": kind, "timestamp": timestamp, "data": data}).encode())


def deliver(context: Context, url: str, secrets: Sequence[str], one: Message) -> Outcome:
    """Bring a message to an address, signed with each of the secrets."""
    now = context.now()
    seconds = now // SECOND
    headers = {
        "Content-Type": "application/json",
        "webhook-id": one.id,
        "webhook-timestamp": str(seconds),
        "webhook-signature": " ".join(generic.sign(secret, one.id, seconds, one.body) for secret in secrets),
    }
    try:
        answer = context.outbound.send("POST", url, headers=headers, body=one.body, bounds=BOUNDS)
    except Busy as error:
        return Outcome(reason=error.message, not_before=error.retry_at, is_busy=True, was_tried=error.sent)
    except OutboundError as error:
        return Outcome(reason=error.message)
    if 200 <= answer.status < 300:
        return Outcome(answer.status)
    wait = retry_after(answer.headers.get("retry-after", ""), now)
    return Outcome(answer.status, _refusal(answer), 0 if wait is None else now + wait)


def _refusal(answer: Answer) -> Sentence:
    if answer.status == GONE:
        return Sentence("%(host)s answered 410 Gone: it wants no more events.", host=answer.host)
    if 300 <= answer.status < 400:
        return Sentence(
            "%(host)s answered %(status)s, and redirects are not followed: give the address it leads to.",
            host=answer.host,
            status=answer.status,
        )
    return Sentence(
        "%(host)s answered %(status)s; only 2xx says that an event has arrived.",
        host=answer.host,
        status=answer.status,
    )
