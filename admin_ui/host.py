"""Who the host app says is signed in: asked once a page, and let in without a mail or a password.

A session that somebody began here by themselves goes on whatever the host says. One that began by the host's word ends
with it, on the server.
"""

import logging
from collections.abc import Callable
from typing import TypeVar

from flask import g, request

from admin_ui import access
from plugin.services import enter_by_host
from plugin.services.context import Context
from plugin.services.enter_by_host import HostUser
from plugin.services.sessions import Guest, Member, end_session, find_guest, find_member

Who = TypeVar("Who", Member, Guest)
_log = logging.getLogger(__name__)


def member_here() -> Member | None:
    """Return which member of the shop is signed in in this browser, or in the host app."""
    return _here(access.OWNER_COOKIE, find_member, enter_by_host.keep_member, enter_by_host.enter_member)


def guest_here() -> Guest | None:
    """Return which person is signed in in this browser, or in the host app."""

    def keep(_context: Context, found: Guest, user: HostUser | None) -> Guest | None:
        return enter_by_host.keep_guest(found, user)

    return _here(access.SHARER_COOKIE, find_guest, keep, enter_by_host.enter_guest)


def _here(
    cookie: access.Cookie,
    find: Callable[[Context, str], Who | None],
    keep: Callable[[Context, Who, HostUser | None], Who | None],
    enter: Callable[..., str | None],
) -> Who | None:
    context, token = access.context(), request.cookies.get(cookie.name)
    found = find(context, token) if token else None
    if found is not None:
        kept = keep(context, found, _user()) if found.by_host else found
        if kept is not None:
            return kept
        _end(cookie, found.session_id)
    user = _newcomer()
    token = None if user is None else enter(context, user, agent=access.agent())
    if token is None:
        return None
    access.give_cookie(cookie, token)
    begun = find(context, token)
    return None if begun is None else keep(context, begun, user)


def _newcomer() -> HostUser | None:
    """Return whom to let in now. A form is never the first thing somebody sends, so it lets nobody in."""
    return _user() if request.method == "GET" else None


def _end(cookie: access.Cookie, session_id: int) -> None:
    end_session(access.context(), session_id)
    access.give_cookie(cookie, None)


def _user() -> HostUser | None:
    """Return whom the host names; nobody where there is no host, and where it fails or says what makes no sense."""
    if "host_user" not in g:
        g.host_user = _asked()
    user: HostUser | None = g.host_user
    return user


def _asked() -> HostUser | None:
    identify = access.installation().identify
    if identify is None:
        return None
    try:
        return enter_by_host.read_host_user(identify(request.environ))
    except Exception as error:  # it is the host's code: whatever it raises, its word is missing
        _log.error("The host app could not say who is signed in.", exc_info=error)
        return None
