"""Who the host app says is signed in: asked once a page, and let in without a mail or a password.

A session that somebody began here by themselves goes on whatever the host says. One that began by the host's word ends
with it, on the server.
"""

import logging

from flask import g, request

from admin_ui import access
from plugin.services import enter_by_host
from plugin.services.enter_by_host import HostUser
from plugin.services.sessions import Guest, Member, end_session, find_guest, find_member

_log = logging.getLogger(__name__)


def member_here() -> Member | None:
    """Return which member of the shop is signed in in this browser, or in the host app."""
    context, token = access.context(), request.cookies.get(access.OWNER_COOKIE.name)
    found = find_member(context, token) if token else None
    if found is not None:
        kept = enter_by_host.keep_member(context, found, _user()) if found.by_host else found
        if kept is not None:
            return kept
        _end(access.OWNER_COOKIE, found.session_id)
    user = _newcomer()
    token = None if user is None else enter_by_host.enter_member(context, user, agent=access.agent())
    if token is None:
        return None
    access.give_cookie(access.OWNER_COOKIE, token)
    begun = find_member(context, token)
    return None if begun is None else enter_by_host.keep_member(context, begun, user)


def guest_here() -> Guest | None:
    """Return which person is signed in in this browser, or in the host app."""
    context, token = access.context(), request.cookies.get(access.SHARER_COOKIE.name)
    found = find_guest(context, token) if token else None
    if found is not None:
        kept = enter_by_host.keep_guest(found, _user()) if found.by_host else found
        if kept is not None:
            return kept
        _end(access.SHARER_COOKIE, found.session_id)
    user = _newcomer()
    token = None if user is None else enter_by_host.enter_guest(context, user, agent=access.agent())
    if token is None:
        return None
    access.give_cookie(access.SHARER_COOKIE, token)
    begun = find_guest(context, token)
    return None if begun is None else enter_by_host.keep_guest(begun, user)


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
