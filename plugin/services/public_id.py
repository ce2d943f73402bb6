"""The ids others see: a prefix that says what it is, and our number."""

import re

from plugin.errors import NotFound

_SHAPE = re.compile(r"([a-z]{3})_([0-9]{1,18})", re.ASCII)

SHARER, PERSON, LINK, PAYOUT, ITEM = "shr", "per", "lnk", "pay", "itm"
DELIVERY, TOKEN, OWNER, COUPON, ENDPOINT = "dlv", "tok", "own", "cpn", "end"


def show(prefix: str, number: int) -> str:
    """Return the public id, such as ``shr_12``."""
    return f"{prefix}_{number}"


def show_optional(prefix: str, number: int | None) -> str | None:
    """Return the public id, or None where there is nobody."""
    return None if number is None else show(prefix, number)


def read(prefix: str, text: object) -> int:
    """Return our number of a public id; raise NotFound for anything that is not such an id."""
    match = _SHAPE.fullmatch(text) if isinstance(text, str) else None
    if not match or match[1] != prefix:
        raise NotFound("not_found", "There is no such id; ids of this kind begin with %(prefix)s_.", prefix=prefix)
    return int(match[2])
