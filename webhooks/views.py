"""``POST /webhooks/<shop key>``: cap, verify the raw bytes, store, and only then 200. Nothing is parsed here.

The body stays bytes all the way: what is stored is what was signed, and a body that nobody understands is the worker's
business. Every error is a problem of RFC 9457 and says nothing about the secret or the body.
"""

import logging
from http import HTTPStatus
from typing import Any

from flask import Blueprint, Response, current_app, request
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from plugin.api.problems import problem
from plugin.errors import BadSignature, NotFound, PluginError, Unavailable
from plugin.services.store_delivery import Intake, ShopDoor
from plugin.shops.base import OURS, Headers, Label

RETRY_AFTER_SECONDS = 10
_STORED, _GREETED = b'{"stored":true}\n', b'{"stored":false}\n'
_READ_AT_ONCE = 65_536
_log = logging.getLogger(__name__)

blueprint = Blueprint("webhooks", __name__)


class TooLarge(PluginError):
    """The body is larger than the owner allows."""

    status = 413

    def __init__(self, limit: int) -> None:
        super().__init__("body_too_large", f"A delivery has at most {limit} bytes.")


class Unreadable(PluginError):
    """The body could not be read to its end."""

    status = 400

    def __init__(self) -> None:
        super().__init__("body_unreadable", "The body did not arrive whole. Send it again.")


def services() -> Any:
    """Return the services of the app that answers this request."""
    return current_app.extensions["passalong"]


@blueprint.post("/webhooks/<key>", provide_automatic_options=False)
def receive(key: str) -> Response:
    """Take a delivery: 200 once it is stored; 401, 404, 413 or 503 as a problem."""
    passalong = services()
    intake: Intake = passalong.intake
    shop = intake.shops.find(key)
    if shop is None:
        raise NotFound("unknown_shop", "There is no shop with this key.")
    body = _read_body(passalong.context.settings.max_body_bytes)
    headers = _headers()
    if shop.adapter.is_ping(headers, body):
        return Response(_GREETED, mimetype="application/json")
    label = shop.adapter.label(headers)
    _verify(intake, shop, headers, body, label, passalong.context.now())
    # No header is signed: what came under the name of an answer that we asked for is none.
    topic = f"sent:{label.topic}" if label.topic.startswith(OURS) else label.topic
    intake.store(intake.row(shop.id, label.delivery_id or "", topic, shop.kept(headers), body))
    return Response(_STORED, mimetype="application/json")


@blueprint.route("/webhooks/<key>", methods=["GET", "PUT", "PATCH", "DELETE", "OPTIONS"])
def other_method(key: str) -> Response:
    """Say, as a problem too, that a delivery is posted; OPTIONS must not name the methods that are only told so."""
    asks = request.method == "OPTIONS"
    answer = Response() if asks else problem(405, "method_not_allowed", "A delivery is sent by POST.")
    answer.headers["Allow"] = "POST, OPTIONS"
    return answer


def _read_body(limit: int) -> bytes:
    """Return the raw body, reading never more than one byte over the limit, whatever length was announced."""
    length = request.content_length
    if length is not None and length > limit:
        raise TooLarge(limit)
    chunks, left = [], limit + 1
    try:
        stream = request.stream
        while left and (chunk := stream.read(min(left, _READ_AT_ONCE))):
            chunks.append(chunk)
            left -= len(chunk)
    except RequestEntityTooLarge:  # the app's own limit
        raise TooLarge(limit) from None
    except Exception as error:  # each server has errors of its own for a broken chunk or a sender that went away
        raise Unreadable from error
    if not left:
        raise TooLarge(limit)
    return b"".join(chunks)


def _headers() -> Headers:
    """Return the headers by their names in lower case, each value as WSGI gives it: one character for one byte."""
    environ = request.environ
    headers = {name[5:].replace("_", "-").lower(): value for name, value in environ.items() if name[:5] == "HTTP_"}
    headers["content-type"] = environ.get("CONTENT_TYPE", "")
    return headers


def _verify(intake: Intake, shop: ShopDoor, headers: Headers, body: bytes, label: Label, now: int) -> None:
    is_foreign = False
    try:
        _verify_signature(intake, shop, headers, body, now)
        is_foreign = shop.account is not None and label.shop not in (None, shop.account)
        if is_foreign:
            raise BadSignature  # genuine, but another shop's: one secret signs for all shops of an app
    except BadSignature as error:
        count = intake.count_refused(error.code)
        if count & (count - 1) == 0:  # 1, 2, 4, 8, …: a flood of them must not fill the log
            _log.warning("Refused a delivery for shop %s (%s); so far: %d", shop.key, error.code, count)
        intake.note_refused(shop, headers, body, is_foreign=is_foreign, now=now)
        raise


def _verify_signature(intake: Intake, shop: ShopDoor, headers: Headers, body: bytes, now: int) -> None:
    """Verify by the secrets as remembered, else by those of this moment: a new one holds as soon as it is shown."""
    try:
        shop.adapter.verify(headers, body, shop.secrets_at(now), now)
    except BadSignature:
        renewed = intake.shops.renewed(shop)
        if renewed is None:
            raise
        renewed.adapter.verify(headers, body, renewed.secrets_at(now), now)


@blueprint.errorhandler(PluginError)
def refused(error: PluginError) -> Response:
    """Answer an error of ours as a problem."""
    answer = problem(error.status, error.code, error.message)
    if isinstance(error, Unavailable):
        answer.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return answer


@blueprint.errorhandler(HTTPException)
def refused_by_framework(error: HTTPException) -> Response:
    """Answer an error of the framework as a problem."""
    status = HTTPStatus(error.code or 500)
    return problem(status.value, status.name.lower(), error.description or status.phrase)
