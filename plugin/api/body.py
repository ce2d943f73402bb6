"""Reading what a request says: JSON strictly, and each value as every database can keep it."""

import re
from collections.abc import Iterator
from typing import Any

from flask import current_app, g, request
from marshmallow import RAISE, Schema, ValidationError
from webargs.flaskparser import FlaskParser
from werkzeug.exceptions import UnsupportedMediaType

from plugin.errors import BadRequest, Malformed
from plugin.shops.base import DEPTH_MAX, read_json

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_INTEGER_MAX = 2**63 - 1


def wrong(name: str, message: str, *, code: str = "invalid") -> BadRequest:
    """Return the error that one field is wrong."""
    return BadRequest(code, "Some fields are not right.", fields={name: [message]})


def json_body() -> Any:
    """Return the parsed body of the request, an empty object where there is none.

    Raises BadRequest for what is no JSON or holds what no database could keep, UnsupportedMediaType for other types.
    """
    if "json_body" not in g:
        g.json_body = _read()
    return g.json_body


def _read() -> Any:
    request.max_content_length = current_app.extensions["passalong"].context.settings.max_body_bytes
    raw = request.get_data()
    if not raw:
        return {}
    if not request.is_json:
        raise UnsupportedMediaType("Send JSON, with Content-Type: application/json.")
    try:
        data = read_json(raw)
    except Malformed as error:
        raise wrong("body", error.message, code="malformed_json") from None
    faults = {path: [fault] for path, fault in _faults(data, "", 0)}
    if faults:
        raise BadRequest("invalid", "Some fields are not right.", fields=faults)
    return data


def _faults(value: Any, path: str, depth: int) -> Iterator[tuple[str, str]]:
    """Give each place whose value no database could keep, with what is wrong there."""
    place = path or "body"
    if depth > DEPTH_MAX:
        yield place, "Is nested too deep."
    elif isinstance(value, str) and _UNSTORABLE.search(value):
        yield place, "Holds characters that cannot be stored."
    elif isinstance(value, int) and abs(value) > _INTEGER_MAX:
        yield place, "Is too large a number."
    elif isinstance(value, dict | list):
        for name, item in value.items() if isinstance(value, dict) else enumerate(value):
            if isinstance(name, str) and _UNSTORABLE.search(name):
                yield place, "Holds a name with characters that cannot be stored."
            else:
                yield from _faults(item, f"{path}.{name}" if path else str(name), depth + 1)


def flatten(messages: Any, path: str = "") -> dict[str, list[str]]:
    """Turn marshmallow's nested messages into lists by dotted path."""
    if isinstance(messages, dict):
        found: dict[str, list[str]] = {}
        for name, inner in messages.items():
            below = path if name == "_schema" else f"{path}.{name}" if path else str(name)
            found |= flatten(inner, below)
        return found
    return {path or "body": [str(message) for message in messages]}


class Parser(FlaskParser):
    """Reads bodies by :func:`json_body` and queries strictly; what is wrong is a BadRequest by field."""

    DEFAULT_UNKNOWN_BY_LOCATION = {"json": RAISE, "query": RAISE}

    def load_json(self, req: Any, schema: Schema) -> Any:
        """Return the body, as strictly read as everything else."""
        return json_body()

    def load_querystring(self, req: Any, schema: Schema) -> dict[str, str]:
        """Return the query, in which each name stands once."""
        faults = {}
        for name, values in req.args.lists():
            if len(values) > 1:
                faults[name] = ["Stands more than once."]
            elif _UNSTORABLE.search(name + values[0]):
                faults[name] = ["Holds characters that cannot be stored."]
        if faults:
            raise BadRequest("invalid", "Some query values are not right.", fields=faults)
        return dict(req.args.items())

    def handle_error(self, error: ValidationError, req: Any, schema: Schema, **kwargs: Any) -> Any:
        """Raise what is wrong, without the location webargs puts above it."""
        fields: dict[str, list[str]] = {}
        for below in error.normalized_messages().values():
            fields |= flatten(below)
        raise BadRequest("invalid", "Some fields are not right.", fields=fields) from None
