"""The share-link redirect and its pictures: the hot door of the shoppers. No session, no cookie, no schema library.

Whatever is wrong with a code, the answer is one and the same page, so that trying codes teaches nothing. A click on a
link that is known is answered in front of Flask (docs/decisions/0006), everything else by the routes.
"""

import os
import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from io import BytesIO
from typing import TYPE_CHECKING, Any

import segno
from flask import Blueprint, Flask, Response, current_app, request
from werkzeug.datastructures import Headers
from werkzeug.routing import PathConverter

from plugin.errors import BadSignature, Unavailable
from plugin.languages import LANGUAGES, choose
from plugin.link_preview import preview_page
from plugin.plain_page import POLICY, plain_page
from plugin.services.record_clicks import ShareLink
from plugin.signing import CLICK_BYTES, make_token, read_code

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

RETRY_AFTER_SECONDS = 10
POSTER_LASTS_SECONDS = 3_600  # it shows a name, which may change
POSTER_TRIED_SECONDS = 60  # of one whose picture could not be had
_PREFIX = "/s/"
_USER_AGENT_READ = 400  # preview bots name themselves well before that

blueprint = Blueprint("links", __name__)

# LINE's, Facebook's and LinkedIn's own browsers carry people and are not in here, and neither are curl and wget.
_PREVIEW = re.compile(
    r"facebookexternalhit|facebot|meta-externalagent|twitterbot|linkedinbot|slackbot|telegrambot|whatsapp/|line-poker"
    r"|discordbot|googlebot|google-inspectiontool|bingbot|applebot|pinterestbot|redditbot|kakaotalk-scrap|skypeuripreview",
    re.ASCII | re.IGNORECASE,
)
_REFERRER_POLICY = ("Referrer-Policy", "strict-origin-when-cross-origin")
_REDIRECT_HEADERS = [
    ("Cache-Control", "no-store"),
    _REFERRER_POLICY,
    ("Content-Type", "text/plain"),
    ("Content-Length", "0"),
]
_PAGE_HEADERS = [
    ("Content-Type", "text/html; charset=utf-8"),
    ("Cache-Control", "no-store"),
    ("Content-Security-Policy", POLICY),
    ("X-Robots-Tag", "noindex"),
    _REFERRER_POLICY,
]
_PICTURES = {"svg": "image/svg+xml", "png": "image/png"}
_NOT_FOUND = plain_page(
    {
        "en": ("This link does not exist", "It may have been copied incompletely. Ask the person who shared it."),
        "zh-Hant": ("找不到這個連結", "可能沒有複製完整，請向分享的人再要一次。"),
        "zh-Hans": ("找不到此链接", "可能没有复制完整，请向分享的人再要一次。"),
        "ja": ("このリンクは見つかりません", "コピーが不完全かもしれません。共有した方にお尋ねください。"),
    }
)
_BUSY = plain_page(
    {
        "en": ("This link cannot be opened right now", "Try again in a moment."),
        "zh-Hant": ("目前無法開啟這個連結", "請稍後再試。"),
        "zh-Hans": ("暂时无法打开此链接", "请稍后再试。"),
        "ja": ("ただいまこのリンクを開けません", "しばらくしてからもう一度お試しください。"),
    }
)


class _Rest(PathConverter):
    """Whatever follows, slashes first and several in a row too, which a path of werkzeug's would be led away from."""

    regex, part_isolating = ".*?", False


def init_app(app: Flask) -> None:
    """Mount the share links on an app whose ``extensions["passalong"]`` is an installation."""
    app.url_map.converters["rest"] = _Rest
    app.register_blueprint(blueprint)
    app.wsgi_app = KnownClicks(app.wsgi_app, app.extensions["passalong"])  # type: ignore[method-assign]


def services() -> Any:
    """Return the services of the app that answers this request."""
    return current_app.extensions["passalong"]


@blueprint.get("/s/<code>")
def follow(code: str) -> Response:
    """Lead to the shop: a visitor with a fresh token, a preview bot to a page that says what is shared.

    Where the link has a coupon, the visitor brings a code along; a bot takes none.
    """
    passalong = services()
    found = _find(passalong, code)
    if found is None:
        return _not_found()
    if _is_preview(request.environ):
        return _preview(passalong, found, code)
    return _redirect(_visit(passalong, found, request.environ) if found.may_earn else found.plain_address())


class KnownClicks:
    """Answers a visitor's click on a link that needs no look at the database; leaves all else to the app behind it.

    Routing, a request and a response of Flask's cost twice what is done here.
    """

    def __init__(self, app: "WSGIApplication", passalong: Any) -> None:
        self._app, self._passalong = app, passalong

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if not path.startswith(_PREFIX) or environ["REQUEST_METHOD"] != "GET" or _is_preview(environ):
            return self._app(environ, start_response)
        found = _checked(self._passalong, path[len(_PREFIX) :], self._passalong.link_cache.known)
        if found is None or not found.may_earn:
            return self._app(environ, start_response)
        address = _visit(self._passalong, found, environ)
        start_response("302 FOUND", [("Location", address), *_REDIRECT_HEADERS])
        return ()


def _visit(passalong: Any, found: ShareLink, environ: "WSGIEnvironment") -> str:
    """Return where a visitor is led, with a token of their own; a click is counted, a look at the head is not."""
    context = passalong.context
    now, click = context.now(), os.urandom(CLICK_BYTES)
    address = found.address(make_token(context.keys, found.shop_id, found.number, now, click))
    if environ["REQUEST_METHOD"] == "GET":
        if found.discounts is not None and (coupon := passalong.codes.take(found.shop_id, found.id)) is not None:
            address = found.discounts.bring_code(address, coupon)
        passalong.clicks.add(
            shop_id=found.shop_id,
            link_id=found.id,
            sharer_id=found.sharer_id,
            click=click,
            at=now,
            address=environ.get("REMOTE_ADDR") or "",
            user_agent=environ.get("HTTP_USER_AGENT", ""),
            place=found.place,
        )
    return address


@blueprint.get("/s/<code>/qr.svg", defaults={"kind": "svg"})
@blueprint.get("/s/<code>/qr.png", defaults={"kind": "png"})
def qr(code: str, kind: str) -> Response:
    """Draw the share address, to be printed or shown."""
    passalong = services()
    if _find(passalong, code) is None:
        return _not_found()
    headers = [("Content-Type", _PICTURES[kind]), ("Cache-Control", "public, max-age=86400")]
    return Response(draw_qr(_share_url(passalong, code), kind), headers=headers)


@blueprint.get("/s/<code>/poster.png")
def poster(code: str) -> Response:
    """Draw a poster of what is shared, to be kept and posted where a link alone would be lost."""
    passalong = services()
    found = _find(passalong, code)
    if found is None:
        return _not_found()
    asked = request.args.get("lang", "")
    plan = passalong.posters.plan(
        found,
        passalong.products.find(found.shop_id, found.page),
        shop=passalong.link_cache.shop_name(found.shop_id),
        address=_share_url(passalong, code),
        language=asked if asked in LANGUAGES else choose(request.accept_languages),
    )
    headers = [
        ("Content-Type", "image/png"),
        ("Cache-Control", f"public, max-age={POSTER_LASTS_SECONDS if plan.is_whole else POSTER_TRIED_SECONDS}"),
        ("Vary", "Accept-Language"),
        ("ETag", f'"{plan.key}"'),
        ("X-Robots-Tag", "noindex"),
    ]
    if request.if_none_match.contains_weak(plan.key):
        return Response(status=304, headers=headers)
    return Response(passalong.posters.show(plan), headers=headers)


@blueprint.get("/s/<rest:rest>")
def lost(rest: str) -> Response:
    """Answer everything else below /s/ like a bad code."""
    return _not_found()


@blueprint.errorhandler(Unavailable)
def busy(error: Unavailable) -> Response:
    """Say that a link nobody followed lately cannot be looked up."""
    return Response(_BUSY, 503, [*_PAGE_HEADERS, ("Retry-After", str(RETRY_AFTER_SECONDS))])


def _find(passalong: Any, code: str) -> ShareLink | None:
    """Return the link of a code that holds, else None."""
    return _checked(passalong, code, passalong.link_cache.find)


def _checked(passalong: Any, code: str, find: Callable[[int, int], ShareLink | None]) -> ShareLink | None:
    """Return the link that is found for a code, where the code holds."""
    try:
        claim = read_code(passalong.context.keys, code)
    except BadSignature:
        return None
    found = find(claim.shop, claim.link)
    # A code carries no time, so the link's own day says whether the key was still allowed to sign it.
    if found is None or (claim.retired_at is not None and found.created_at > claim.retired_at):
        return None
    return found


class _Redirect(Response):
    """An empty answer whose headers are as they shall be: reckoning them again costs a fifth of the whole request."""

    def get_wsgi_headers(self, environ: "WSGIEnvironment") -> Headers:
        return self.headers


def _redirect(address: str) -> Response:
    return _Redirect(b"", 302, [("Location", address), *_REDIRECT_HEADERS])


def _not_found() -> Response:
    return Response(_NOT_FOUND, 404, _PAGE_HEADERS)


def _share_url(passalong: Any, code: str) -> str:
    return f"{passalong.context.settings.base_url}/s/{code}"


def _preview(passalong: Any, found: ShareLink, code: str) -> Response:
    name = passalong.link_cache.shop_name(found.shop_id)
    known = passalong.products.find(found.shop_id, found.page)
    product = known.product if known is not None else None
    page = preview_page(name, product, _share_url(passalong, code), request.accept_languages)
    return Response(page, 200, _PAGE_HEADERS)


def _is_preview(environ: "WSGIEnvironment") -> bool:
    return is_preview(environ.get("HTTP_USER_AGENT", "")[:_USER_AGENT_READ])


@lru_cache(maxsize=4_096)
def is_preview(user_agent: str) -> bool:
    """Tell whether this is a program that draws a preview or an index, and no visitor."""
    return _PREVIEW.search(user_agent) is not None


@lru_cache(maxsize=256)
def draw_qr(address: str, kind: str) -> bytes:
    """Return the QR picture of an address as ``svg`` or ``png``, with the quiet zone that readers need."""
    picture = BytesIO()
    segno.make(address, micro=False).save(picture, kind=kind, scale=8, border=4, dark="#000", light="#fff")
    return picture.getvalue()
