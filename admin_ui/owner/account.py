"""A member's own account: language, password, second factor, and where they are signed in."""

import segno
from flask import redirect, request
from sqlalchemy import select, update

from admin_ui import access
from admin_ui.owner import Desk, page, show_form
from admin_ui.page import LANGUAGE_COOKIE, Answer, go, said
from plugin.errors import BadRequest
from plugin.languages import LANGUAGES, mark
from plugin.models import owner, session
from plugin.services import sign_in as signing
from plugin.services.sessions import end_sessions

_KEPT = said("kept", mark("Saved."))
_PASSWORD = said("password", mark("Your password was changed, and every other device was signed out."))
_FACTOR = said("factor", mark("From now on signing in takes a code from your app."))
_NO_FACTOR = said("no-factor", mark("From now on your password is enough to sign in."))
_ENDED = said("ended", mark("Every other device was signed out."))
# How a browser and a system are known in the User-Agent, the more telling first: most call themselves Safari too.
_BROWSERS = {
    "Line/": "LINE", "MicroMessenger/": "WeChat", "Edg": "Edge", "OPR/": "Opera", "SamsungBrowser/": "Samsung Internet",
    "Firefox/": "Firefox", "FxiOS/": "Firefox", "CriOS/": "Chrome", "Chrome/": "Chrome", "Safari/": "Safari",
}  # fmt: skip
_SYSTEMS = {
    "iPhone": "iPhone", "iPad": "iPad", "Android": "Android", "Windows": "Windows", "Mac OS X": "Mac",
    "CrOS": "ChromeOS", "Linux": "Linux",
}  # fmt: skip


@page("/account")
def account(desk: Desk) -> Answer:
    """What a member can change of their own."""
    return _account(desk)


@page("/account/language", methods=["POST"])
def keep_language(desk: Desk) -> Answer:
    """Keep the language of mails and of new browsers."""
    tag = request.form.get("language")
    if tag not in LANGUAGES:
        raise BadRequest("bad_language", "This language is not spoken here.")
    with desk.context.database.writing() as connection:
        connection.execute(update(owner).where(owner.c.id == desk.member.id).values(locale=tag))
    response = go("owner.account", code=_KEPT)
    access.set_cookie(response, LANGUAGE_COOKIE, tag)
    return response


@page("/account/password", methods=["POST"])
def change_password(desk: Desk) -> Answer:
    """Change the password; all other sessions end."""
    try:
        signing.change_password(
            desk.context,
            desk.member,
            request.form.get("old", ""),
            request.form.get("password", ""),
            address=access.address(),
        )
    except signing.NotSignedIn as error:
        return _account(desk, {"old": [error.message]})
    except BadRequest as error:
        return _account(desk, error.fields)
    return go("owner.account", code=_PASSWORD)


@page("/account/second-factor", methods=["GET", "POST"], fresh=True)
def second_factor(desk: Desk) -> Answer:
    """Set up an authenticator app, or switch it off."""
    errors: object = None
    form = request.form
    secret = form.get("secret") or signing.new_factor()
    wanted = access.safe_next(request.values.get("next"), below="/admin")
    if request.method == "POST":
        try:
            signing.keep_factor(desk.context, desk.member, secret, form.get("code", ""))
        except BadRequest as error:
            if error.code == "bad_factor":
                raise
            errors = error.fields
        else:
            on = f"{request.script_root}{wanted}"
            return go("owner.account", code=_FACTOR) if wanted is None else redirect(on, 303)
    address = signing.factor_address(secret, desk.member.email)
    picture = segno.make(address, micro=False).svg_data_uri(scale=5, border=2, light="#fff")
    return show_form("owner/second_factor.html", errors, secret=secret, picture=picture, next=wanted)


@page("/account/second-factor/off", methods=["POST"], fresh=True)
def drop_factor(desk: Desk) -> Answer:
    """Sign in by password alone again; it takes a code."""
    try:
        signing.drop_factor(
            desk.context, desk.member, request.form.get("code", ""), address=access.address()
        )
    except signing.NotSignedIn as error:
        return _account(desk, {"code": [error.message]})
    return go("owner.account", code=_NO_FACTOR)


@page("/account/sessions/end", methods=["POST"])
def end_others(desk: Desk) -> Answer:
    """Sign every other device out."""
    with desk.context.database.writing() as connection:
        end_sessions(connection, owner_id=desk.member.id, but=desk.member.session_id)
    return go("owner.account", code=_ENDED)


def device_of(agent: str) -> str:
    """Return browser and system as people know them; what names neither as it is."""
    known = [next((name for sign, name in table.items() if sign in agent), "") for table in (_BROWSERS, _SYSTEMS)]
    return " · ".join(filter(None, known)) or agent


def _account(desk: Desk, errors: object = None) -> Answer:
    mine = session.c.owner_id == desk.member.id
    with desk.context.database.reading() as connection:
        sessions = connection.execute(select(session).where(mine).order_by(session.c.seen_at.desc()).limit(20)).all()
    return show_form("owner/account.html", errors, sessions=sessions, device_of=device_of)
