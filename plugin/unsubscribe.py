"""The address in a mail that turns mails of its kind off, without signing in: by a button, there or in the program
(RFC 8058).

A look at it changes nothing, for programs follow every address in a mail.
"""

from typing import Any

from flask import Blueprint, Flask, Response, current_app, request

from plugin.languages import choose, texts
from plugin.plain_page import POLICY, plain_page
from plugin.services.choose_mails import Off, choose_mails, read_off

ON = "on"
blueprint = Blueprint("unsubscribe", __name__)
_HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Content-Security-Policy": POLICY,
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",  # the address itself is what opens the door
}


def init_app(app: Flask) -> None:
    """Open the door."""
    app.register_blueprint(blueprint)


@blueprint.get("/mails/off/<who>/<template>/<token>")
def ask(who: str, template: str, token: str) -> Response:
    """Ask whether mails of this kind are to be turned off."""
    _read(who, template, token)
    say = texts(_tag())
    heading = say.gettext("Turn off these mails?")
    return _page(heading, say.gettext("You will get no more mails of this kind."), say.gettext("Turn off"), "")


@blueprint.post("/mails/off/<who>/<template>/<token>")
def turn(who: str, template: str, token: str) -> Response:
    """Turn them off, or on again where the button for that was used."""
    off, is_on = _read(who, template, token), request.form.get("mails") == ON
    choose_mails(_context(), off.who, off.number, {off.template: is_on})
    say = texts(_tag())
    if is_on:
        heading, sentence = say.gettext("Turned on"), say.gettext("You will get these mails again.")
        return _page(heading, sentence, say.gettext("Turn off"), "")
    heading, sentence = say.gettext("Turned off"), say.gettext("You will get no more mails of this kind.")
    return _page(heading, sentence, say.gettext("Turn on again"), ON)


def _read(who: str, template: str, token: str) -> Off:
    return read_off(_context(), who, template, token)


def _context() -> Any:
    return current_app.extensions["passalong"].context


def _tag() -> str:
    return choose(request.accept_languages)


def _page(heading: str, sentence: str, button: str, value: str) -> Response:
    page = plain_page({_tag(): (heading, sentence)}, button=("mails", value, button))
    return Response(page, 200, _HEADERS)
