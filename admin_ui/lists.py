"""What pages with lists share: how long a page is, where it begins, and how what was typed into a filter is read."""

import re

from flask import request

PAGE = 50
_TYPED_MAX = 255
_UNSEEN = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_NUMBER = re.compile(r"[0-9]{1,18}", re.ASCII)


def typed(name: str, *, form: bool = False) -> str:
    """Return what was typed into a field of the address or, with ``form``, of the form; without what cannot be seen."""
    text = (request.form if form else request.args).get(name, "")
    return _UNSEEN.sub("", text).strip()[:_TYPED_MAX]


def cursors(count: int) -> tuple[int, ...] | None:
    """Return the numbers of ``?after=``, where the page before ended; None begins at the newest."""
    parts = request.args.get("after", "").split(".")
    if len(parts) != count or not all(_NUMBER.fullmatch(part) for part in parts):
        return None
    return tuple(int(part) for part in parts)


def cursor() -> int | None:
    """Return the one number of ``?after=``, or None."""
    found = cursors(1)
    return found[0] if found else None
