"""Coming in and going out: the first owner, signing in, the second step, signing in again for money, signing out."""

from flask import make_response, redirect, request, url_for
from werkzeug.wrappers import Response

from admin_ui import access
from admin_ui.owner import Desk, open_page, page, show_form
from admin_ui.page import Answer, go
from plugin.errors import BadRequest, Conflict
from plugin.services import sign_in as signing
from plugin.services import tickets
from plugin.services.context import Context
from plugin.services.manage_access import PASSWORD_LENGTH_MIN
from plugin.services.sessions import end_session


@open_page("/setup/<ticket>", methods=["GET", "POST"])
def set_up(context: Context, ticket: str) -> Answer:
    """The first owner, by the one-time address that the first start prints."""
    tickets.look(context, tickets.SETUP, ticket)
    errors: object = None
    if request.method == "POST":
        form = request.form
        try:
            token = signing.set_up(
                context, ticket, form.get("email", ""), form.get("password", ""), agent=access.agent()
            )
        except BadRequest as error:
            errors = error.fields
        except Conflict as error:
            errors = {"email": [error.message]}
        else:
            return _welcome(token, url_for("owner.home"))
    return show_form("owner/set_up.html", errors, password_length=PASSWORD_LENGTH_MIN)


@open_page("/sign-in", methods=["GET", "POST"])
def sign_in(context: Context) -> Answer:
    """E-mail and password."""
    wrong = None
    if request.method == "POST":
        form = request.form
        try:
            entered = signing.enter(
                context, form.get("email", ""), form.get("password", ""), agent=access.agent(), address=access.address()
            )
        except signing.NotSignedIn as error:
            wrong = error.message
        else:
            if entered.second is not None:
                return show_form("owner/second_step.html", second=entered.second, next=_next())
            return _welcome(entered.token or "", _next())
    return show_form("owner/sign_in.html", {"password": [wrong]} if wrong else None, next=_next())


@open_page("/second-step", methods=["GET", "POST"])
def second_step(context: Context) -> Answer:
    """The code of the authenticator app; whoever comes without a password begins with that."""
    if request.method == "GET":
        return go("owner.sign_in")
    second = request.form.get("second", "")
    try:
        token = signing.enter_by_code(
            context, second, request.form.get("code", ""), agent=access.agent(), address=access.address()
        )
    except signing.NotSignedIn as error:
        return show_form("owner/second_step.html", {"code": [error.message]}, second=second, next=_next())
    return _welcome(token, _next())


@page("/again", methods=["GET", "POST"])
def again(desk: Desk) -> Answer:
    """Sign in again, because what comes next moves money or opens doors."""
    errors: object = None
    if request.method == "POST":
        form = request.form
        try:
            token = signing.freshen(
                desk.context,
                desk.member,
                form.get("password", ""),
                form.get("code", ""),
                agent=access.agent(),
                address=access.address(),
            )
        except signing.NotSignedIn as error:
            errors = {"password": [error.message]}
        else:
            return _welcome(token, _next())
    return show_form("owner/again.html", errors, next=_next())


@page("/sign-out", methods=["POST"])
def sign_out(desk: Desk) -> Answer:
    """End the session on the server; the cookie is worth nothing from now on."""
    end_session(desk.context, desk.member.session_id)
    response = make_response(redirect(url_for("owner.sign_in"), 303))
    access.drop_cookie(response, access.OWNER_COOKIE)
    return response


def _welcome(token: str, address: str) -> Response:
    response = make_response(redirect(address, 303))
    access.set_cookie(response, access.OWNER_COOKIE, token)
    return response


def _next() -> str:
    """Return where to go on: where the visitor wanted to go, if that is one of our pages."""
    asked = request.values.get("next", "").removeprefix(request.script_root)
    wanted = access.safe_next(asked, below="/admin")
    return f"{request.script_root}{wanted}" if wanted else url_for("owner.home")
