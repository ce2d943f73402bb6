"""Moments: whole microseconds since 1970 in UTC. Text with a zone comes in, text ending in Z goes out."""

from datetime import UTC, datetime, timedelta

from plugin.errors import Malformed

SECOND = 1_000_000
DAY = 86_400 * SECOND
LAST = 253_370_764_800 * SECOND - 1  # the end of the year 9998: what every database and page can show
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def parse_moment(text: object) -> int:
    """Read an ISO 8601 time that carries a zone; raise Malformed for anything else."""
    if not isinstance(text, str) or len(text) > 40:
        raise Malformed("A time is not an ISO 8601 string.")
    try:
        value = datetime.fromisoformat(text)
        if value.tzinfo is None:
            raise Malformed("A time has no zone.")
        moment = (value - _EPOCH) // _MICROSECOND
    except (ValueError, OverflowError):
        raise Malformed("A time is not an ISO 8601 string.") from None
    if not 0 <= moment <= LAST:
        raise Malformed("A time lies outside the years 1970 to 9998.")
    return moment


def format_moment(moment: int) -> str:
    """Write a moment as ISO 8601 in UTC, with a fraction only where there is one."""
    return (_EPOCH + timedelta(microseconds=moment)).isoformat().replace("+00:00", "Z")
