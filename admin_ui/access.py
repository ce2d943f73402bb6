"""Who stands before a page, what they may do there, and whether a form was really sent from it.

Owners and sharers have a cookie each, whose path is that of their own pages; neither is ever sent to the other's.
"""

import secrets as randomness
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Network, ip_address
from urllib.parse import urlsplit

from flask import Request, Response, current_app, g, request

from plugin.errors import BadSignature, NotAllowed
from plugin.installation import EXTENSION, Installation
from plugin.services.context import Context
from plugin.services.sessions import AGENT_MAX, OWNER_LIFE, SHARER_LIFE
from plugin.signing import check_form_token, make_form_token

SEE, MANAGE, PAY, OWN = "see", "manage", "pay", "own"
ROLES: Mapping[str, frozenset[str]] = {
    "owner": frozenset({SEE, MANAGE, PAY, OWN}),
    "manager": frozenset({SEE, MANAGE}),
    "payer": frozenset({SEE, PAY}),
    "viewer": frozenset({SEE}),
}
FORM_FIELD = "_form"
_SECOND = 1_000_000


@dataclass(frozen=True, slots=True)
class Cookie:
    """The cookie of one kind of people: its name, the path below ours where it is sent, and how long it is kept."""

    name: str
    path: str
    seconds: int


OWNER_COOKIE = Cookie("passalong_owner", "/admin", OWNER_LIFE // _SECOND)
SHARER_COOKIE = Cookie("passalong_sharer", "/me", SHARER_LIFE // _SECOND)
# Tells the forms of a browser apart in which nobody is signed in; it says nothing and opens nothing.
VISITOR_COOKIE = Cookie("passalong_visitor", "/", 24 * 3_600)


class ForeignForm(NotAllowed):
    """A form that was not sent from a page of ours, or from one that was opened before signing in or out."""

    def __init__(self) -> None:
        super().__init__("foreign_form", "This page was open for too long. Go back, reload it, and try again.")


def installation() -> Installation:
    """Return what is open for the app that answers this request."""
    found: Installation = current_app.extensions[EXTENSION]
    return found


def context() -> Context:
    """Return what the services are given."""
    return installation().context


# --- cookies --------------------------------------------------------------------------------------------------------


def set_cookie(response: Response, cookie: Cookie, value: str) -> None:
    """Give a cookie to the browser, for our own pages alone and out of any script's reach."""
    response.set_cookie(
        cookie.name,
        value,
        max_age=cookie.seconds,
        path=f"{request.script_root}{cookie.path}",
        secure=_is_secure(),
        httponly=True,
        samesite="Lax",
    )


def drop_cookie(response: Response, cookie: Cookie) -> None:
    """Take a cookie back."""
    response.delete_cookie(
        cookie.name, path=f"{request.script_root}{cookie.path}", secure=_is_secure(), httponly=True, samesite="Lax"
    )


def give_cookie(cookie: Cookie, value: str | None) -> None:
    """Have a cookie given with the answer to this request, or taken back."""
    g.setdefault("cookies", {})[cookie] = value


def hand_out_cookies(response: Response) -> None:
    """Give and take back what is due; what the view itself has set is newer and stays."""
    set_already = {line.partition("=")[0] for line in response.headers.getlist("Set-Cookie")}
    for cookie, value in g.get("cookies", {}).items():
        if cookie.name in set_already:
            continue
        if value is None:
            drop_cookie(response, cookie)
        else:
            set_cookie(response, cookie, value)


def _is_secure() -> bool:
    return request.is_secure or installation().settings.base_url.startswith("https://")


# --- forms ----------------------------------------------------------------------------------------------------------


def visitor() -> tuple[str, bool]:
    """Return what tells this browser apart, and whether it is new and must be given to it."""
    known = request.cookies.get(VISITOR_COOKIE.name, "")
    return (known, False) if 20 <= len(known) <= 64 else (randomness.token_urlsafe(24), True)


def form_token(holder: str) -> str:
    """Return the token that a form carries, for the session or the visitor it is shown to."""
    return make_form_token(context().keys, holder)


def require_own_form(holder: str) -> None:
    """Raise ForeignForm unless the request comes from a form of ours that was shown to this very browser.

    The token decides. What the browser says of the sender is held against us besides: Origin (RFC 6454) and
    Sec-Fetch-Site (W3C Fetch Metadata), so that even a stolen token is of no use on another site.
    """
    if not _is_from_here(request):
        raise ForeignForm
    try:
        check_form_token(context().keys, holder, request.form.get(FORM_FIELD, ""))
    except BadSignature:
        raise ForeignForm from None


def _is_from_here(asked: Request) -> bool:
    if asked.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
        return False
    origin = asked.headers.get("Origin")
    if origin is None:
        return True
    return origin in {_origin(asked.host_url), _origin(installation().settings.base_url)}


def _origin(address: str) -> str:
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}"


def safe_next(text: str | None, *, below: str) -> str | None:
    """Return where to go on after signing in: a path of ours below that one, else None."""
    if not text or not text.isprintable() or "\\" in text or not text.startswith(f"{below}/"):
        return None
    return None if ".." in text.partition("?")[0].split("/") else text


def path_now() -> str:
    """Return where this request is, below our root and with its query."""
    return request.full_path.rstrip("?")


def way_back(*, below: str) -> str:
    """Return the page to come back to: this one, or for a form the page it stands on."""
    if request.method == "GET":
        return path_now()
    came = request.headers.get("Referer", "")
    root = request.host_url.rstrip("/") + request.script_root
    return came.removeprefix(root) if came.startswith(f"{root}{below}/") else f"{below}/"


def agent() -> str:
    """Return what the browser calls itself, as far as it is kept."""
    return request.headers.get("User-Agent", "")[:AGENT_MAX]


def address() -> str:
    """Return the network address of whoever asks; of IPv6 the network, for its addresses are all at one's command."""
    text = request.remote_addr or ""
    try:
        found = ip_address(text)
    except ValueError:  # a server that listens on a socket of this machine has none to tell
        return text
    if isinstance(found, IPv4Address) or found.ipv4_mapped:
        return text
    return str(IPv6Network((found.packed[:8] + bytes(8), 64)))
