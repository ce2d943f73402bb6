"""Who calls, what they may do, and which things are theirs. Another shop's things are as good as not there."""

import re

from flask import current_app, request
from sqlalchemy import Row

from plugin.api.body import wrong
from plugin.errors import NotFound
from plugin.services.context import Context
from plugin.services.manage_access import BadToken, Caller, authenticate, shop_of
from plugin.services.show_sharer import find_sharer

_NUMBER = re.compile("[0-9]{1,18}", re.ASCII)


def context() -> Context:
    """Return the installation that answers this request."""
    found: Context = current_app.extensions["passalong"].context
    return found


def identify() -> Caller:
    """Return who holds the bearer token of the request; raise BadToken."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise BadToken
    return authenticate(context(), token.strip())


def shop_in_body(caller: Caller, key: str) -> int:
    """Return the number of the shop a body names; raise BadRequest where it is not there or not the caller's."""
    try:
        return shop_of(context(), caller, key)
    except NotFound as error:
        raise wrong("shop", error.message) from None


def sharer_in_body(caller: Caller, name: str, field: str) -> Row[tuple[object, ...]]:
    """Return the row of a sharer a body names; raise BadRequest where it is not there or not the caller's."""
    try:
        return find_sharer(context(), name, shop_id=caller.shop_id)
    except NotFound:
        raise wrong(field, "There is no such sharer.") from None


def cursor_in_query(text: str | None) -> int | None:
    """Return the number a list goes on from, or None for the first page; raise BadRequest for no cursor of ours."""
    numbers = cursor_numbers(text, count=1)
    return numbers[0] if numbers else None


def cursor_numbers(text: str | None, *, count: int) -> tuple[int, ...] | None:
    """Return the numbers of a cursor that has several."""
    if text is None:
        return None
    numbers = text.split(".")
    if len(numbers) != count or not all(_NUMBER.fullmatch(one) for one in numbers):
        raise wrong("cursor", "Is not a cursor; take the next of the page before.")
    return tuple(int(one) for one in numbers)
