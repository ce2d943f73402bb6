"""Every error of the API in one shape: RFC 9457 problem JSON with a stable code. What is our fault shows no detail."""

import json
import logging
from http import HTTPStatus
from typing import Any

from flask import Response
from sqlalchemy.exc import DBAPIError
from werkzeug.exceptions import HTTPException

from plugin.database import raise_if_unavailable
from plugin.errors import BadRequest, PluginError, Unavailable

PROBLEM_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = 1
_log = logging.getLogger(__name__)
_CODES = {404: "not_found", 405: "method_not_allowed", 413: "too_large", 415: "unsupported_media_type"}


def answer_error(error: Exception) -> Response:
    """Return the problem that tells the caller of an error."""
    error = _known(error)
    if isinstance(error, HTTPException):
        return _http_problem(error)
    if not isinstance(error, PluginError) or (error.status >= 500 and not isinstance(error, Unavailable)):
        _log.error("the API failed", exc_info=error)
        code = error.code if isinstance(error, PluginError) else "internal_error"
        return problem(500, code, "Something went wrong on our side; it is in the log.")
    response = problem(error.status, error.code, error.message, errors=_errors(error))
    if error.status == 401:
        response.headers["WWW-Authenticate"] = 'Bearer realm="passalong"'
    if error.status == 503:
        response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return response


def problem(status: int, code: str, detail: str, *, errors: dict[str, Any] | None = None) -> Response:
    """Return a problem; ``errors`` names what is wrong by field."""
    told: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "code": code,
    }
    if errors is not None:
        told["errors"] = errors
    return Response(json.dumps(told, ensure_ascii=False), status=status, content_type=PROBLEM_TYPE)


def _known(error: Exception) -> Exception:
    """Return a database that cannot be had as what it is for the caller: a reason to try again."""
    if isinstance(error, DBAPIError):
        try:
            raise_if_unavailable(error)
        except Unavailable as unavailable:
            return unavailable
    return error


def _errors(error: PluginError) -> dict[str, Any] | None:
    """Return what is wrong by field: always there on 422, so that a caller need not look whether it is."""
    if error.status != BadRequest.status:
        return None
    return error.fields or {"body": [error.message]}


def _http_problem(error: HTTPException) -> Response:
    """Tell what Werkzeug refused; a request it could not read is the caller's to mend, like any wrong field."""
    status = 422 if error.code == 400 else error.code or 500
    code = "malformed" if status == 422 else _CODES.get(status, "http_error")
    detail = error.description or HTTPStatus(status).phrase
    response = problem(status, code, detail, errors={"body": [detail]} if status == 422 else None)
    for name, value in error.get_headers():
        if name not in ("Content-Type", "Content-Length"):
            response.headers[name] = value
    return response
