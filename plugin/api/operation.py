"""How an operation of the API is written: a view that is given what was read and checked, and returns plain data.

The decorator does what is the same for all of them, in this order: who calls and may they, has this key been answered
already, is what they send in shape, the view, and one shape for every error. It tells the document all of that too.
"""

import json
from collections.abc import Callable
from functools import wraps
from http import HTTPStatus
from typing import Any

import flask_smorest
from flask import Response, request
from marshmallow import Schema

from plugin.api.access import context, identify
from plugin.api.body import Parser, json_body
from plugin.api.problems import PROBLEM_TYPE, answer_error
from plugin.errors import NotFound
from plugin.services.keep_answer import KEY_LENGTH_MAX, Answer, kept
from plugin.services.manage_access import Caller

PREFIX = "/api/v1"
JSON_TYPE = "application/json"
View = Callable[..., Any]
Shape = type[Schema] | dict[str, Any]  # a dict is JSON Schema, for the document alone
PROBLEMS = (401, 403, 404, 409, 413, 415, 422, 500, 503)
_ALWAYS = (401, 403, 422, 500, 503)
_METHOD_PROBLEMS = {"POST": (409, 413, 415), "PUT": (413, 415), "PATCH": (413, 415)}
_IDEMPOTENCY_KEY = {
    "in": "header",
    "name": "Idempotency-Key",
    "description": "The same key with the same body is answered once, and then always alike, for 30 days.",
    "schema": {"type": "string", "minLength": 1, "maxLength": KEY_LENGTH_MAX, "pattern": "^[!-~]+$"},
}


class Blueprint(flask_smorest.Blueprint):
    """The operations on one noun."""

    ARGUMENTS_PARSER = Parser()

    def __init__(self, noun: str, description: str) -> None:
        super().__init__(f"api_{noun}", __name__, url_prefix=PREFIX, description=description)
        self.noun = noun
        self._prepare_doc_cbks.append(_document_key)

    def operation(
        self,
        method: str,
        rule: str,
        *,
        scope: str,
        gives: Shape | None,
        status: int = 200,
        body: Shape | None = None,
        query: type[Schema] | None = None,
        files: tuple[str, ...] = (),
        problems: tuple[int, ...] = (),
    ) -> Callable[[View], View]:
        """Mount a view. It is given the caller, the parts of the path, and ``body`` and ``query`` where there are any.

        It returns what ``gives`` shapes, or a whole Response; ``files`` are the content types of that. ``problems``
        are the statuses beside those that any operation may answer.
        """

        def decorate(view: View) -> View:
            read = view
            if isinstance(body, type):
                read = self.arguments(body, arg_name="body", required=_is_required(body))(read)
            if query is not None:
                read = self.arguments(query, location="query", arg_name="query")(read)
            answer = _answering(read, scope=scope, status=status)
            refusals = {*_ALWAYS, *problems, *_METHOD_PROBLEMS.get(method, ())}
            told: dict[str, Any] = {
                "operationId": view.__name__,
                "responses": {status: _success(status, gives, files)}
                | {code: f"PROBLEM_{code}" for code in sorted(refusals)},
            }
            if isinstance(body, dict):
                told["requestBody"] = {"required": True, "content": {JSON_TYPE: {"schema": body}}}
            self.route(rule, methods=[method], tags=[self.noun])(self.doc(**told)(answer))
            return view

        return decorate


def _is_required(body: type[Schema]) -> bool:
    return any(field.required for field in body().fields.values())


def _success(status: int, gives: Shape | None, files: tuple[str, ...]) -> dict[str, Any]:
    content: dict[str, Any] = {} if gives is None else {JSON_TYPE: {"schema": gives}}
    content |= {name: {"schema": {"type": "string"}} for name in files}
    return {"description": HTTPStatus(status).phrase} | ({"content": content} if content else {})


def _document_key(doc: dict[str, Any], doc_info: Any, *, method: str, **kwargs: Any) -> dict[str, Any]:
    """Tell the document that every POST takes an idempotency key."""
    if method == "post":
        doc.setdefault("parameters", []).append(dict(_IDEMPOTENCY_KEY))
    return doc


def _answering(view: View, *, scope: str, status: int) -> View:
    """Return the view with everything around it; whatever happens, it answers."""

    @wraps(view)
    def answer(**path: str) -> Response:
        try:
            if "\x00" in request.path:  # no database could have stored such an id
                raise NotFound("not_found", "There is nothing here.")
            caller = identify()
            caller.must(scope)
            if request.method == "POST" and "Idempotency-Key" in request.headers:
                return _kept(caller, lambda: _run(view, caller, path, status))
        except Exception as error:
            return answer_error(error)
        return _run(view, caller, path, status)

    return answer


def _run(view: View, caller: Caller, path: dict[str, str], status: int) -> Response:
    try:
        made = view(caller, **path)
    except Exception as error:
        return answer_error(error)
    return made if isinstance(made, Response) else _json(json.dumps(made, ensure_ascii=False).encode(), status)


def _json(body: bytes, status: int) -> Response:
    return Response(body, status=status, content_type=JSON_TYPE if status < 400 else PROBLEM_TYPE)


def _kept(caller: Caller, work: Callable[[], Response]) -> Response:
    """Answer by the idempotency key of the request: anew, or as the first time."""

    def answer() -> Answer:
        response = work()
        return Answer(response.status_code, response.get_data())

    answered, is_old = kept(
        context(),
        token_id=caller.token_id,
        method=request.method,
        path=request.path,
        key=request.headers["Idempotency-Key"],
        body=json_body(),
        work=answer,
    )
    response = _json(answered.body, answered.status)
    if is_old:
        response.headers["Idempotency-Replayed"] = "true"
    return response
