"""The JSON API: a thin rim around the services, with one shape for errors and a document that says it all.

Nothing here is registered for the whole app but one look at paths under the prefix, so that pages beside it keep
their own errors.
"""

import json
from functools import cache
from typing import Any

import flask_smorest
from flask import Flask, Response, request
from werkzeug.exceptions import MethodNotAllowed, NotFound

from plugin import schemas
from plugin.api import coupons, endpoints, events, links, orders, payouts, plans, reports, sharers
from plugin.api.operation import JSON_TYPE, PREFIX, PROBLEMS
from plugin.api.problems import PROBLEM_TYPE, answer_error

DOCUMENT = f"{PREFIX}/openapi.json"
VERSION = "1"
NOUNS = tuple(noun.blueprint for noun in (sharers, links, coupons, orders, plans, payouts, events, endpoints, reports))


class _Api(flask_smorest.Api):
    """flask-smorest without what it would do to the rest of the app."""

    DEFAULT_ERROR_RESPONSE_NAME = None

    def _register_error_handlers(self) -> None:
        """Register none: it would answer every page's errors, and its 405 names no allowed methods."""

    def _register_responses(self) -> None:
        """Document the problems, whose content type flask-smorest cannot be told."""
        self.spec.components.schema("Problem", schema=schemas.Problem)
        for status in PROBLEMS:
            content = {PROBLEM_TYPE: {"schema": schemas.Problem}}
            told = {"description": _SENTENCES[status], "content": content}
            self.spec.components.response(f"PROBLEM_{status}", told, lazy=True)

    def _register_etag_headers(self) -> None:
        """Document none: there are none."""

    def _register_pagination_header(self) -> None:
        """Document none: a page says itself where the next one begins."""


_SENTENCES = {
    401: "No token, or a bad one",
    403: "The token's scope is too small",
    404: "Not there, or not yours",
    409: "Not possible in the present state, or the idempotency key is in use",
    413: "The body is too large",
    415: "The body is not application/json",
    422: "Something in the query or the body is wrong; `errors` names it by field",
    500: "Our fault; it is in the log",
    503: "The database could not be had; try again",
}


def init_app(app: Flask) -> None:
    """Mount the API on an app whose ``extensions["passalong"].context`` is the installation it speaks for."""
    app.url_map.converters["order"] = orders.OrderId
    for noun in NOUNS:
        app.register_blueprint(noun)
    address = app.extensions["passalong"].context.settings.base_url
    app.add_url_rule(DOCUMENT, "api_document", lambda: Response(_document(address), content_type=JSON_TYPE))
    app.before_request(_refuse_what_has_no_route)


@cache
def _document(address: str) -> bytes:
    """Return the document of the API at an address, made when it is first asked for, on an app of its own."""
    app = Flask("document", static_folder=None, template_folder=None)
    app.url_map.converters["order"] = orders.OrderId
    api = _Api(
        spec_kwargs={
            "title": "Passalong",
            "version": VERSION,
            "openapi_version": "3.1.0",
            "security": [{"bearer": []}],
            "servers": [{"url": address}],
        }
    )
    api.init_app(app)
    api.spec.components.security_scheme("bearer", {"type": "http", "scheme": "bearer"})
    api.spec.components.schema("Plan", schemas.PLAN)
    api.spec.components.schema("PlanVersion", schemas.PLAN_VERSION)
    api.ma_plugin.converter.add_attribute_function(_plan_property)
    for noun in NOUNS:
        api.register_blueprint(noun)
    tags = [{"name": noun.noun, "description": noun.description} for noun in NOUNS]
    return json.dumps(api.spec.to_dict() | {"tags": tags}, indent=1).encode()


def _plan_property(converter: Any, field: Any, **kwargs: Any) -> dict[str, Any]:
    """Document the field that holds a plan."""
    return {"$ref": "#/components/schemas/Plan"} if field.metadata.get("x-plan") else {}


def _refuse_what_has_no_route() -> Response | None:
    """Answer paths under the prefix that lead nowhere, or not by this method, in the shape of the API's errors."""
    error = request.routing_exception
    if error is None or not (request.path + "/").startswith(PREFIX + "/"):
        return None
    return answer_error(error if isinstance(error, MethodNotAllowed) else NotFound())
