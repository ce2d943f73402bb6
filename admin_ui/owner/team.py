"""Team and tokens: who runs the shop, with which role, and which programs may speak to the API.

An owner alone, freshly signed in, changes anything here. What opens a door is shown once.
"""

from typing import Any

from flask import make_response, redirect, request, url_for

from admin_ui import access
from admin_ui.owner import OWN, Desk, open_page, page, show_form
from admin_ui.page import Answer, go, language, said
from plugin.errors import BadRequest, Conflict, NotFound
from plugin.languages import mark
from plugin.services import public_id
from plugin.services.context import Context
from plugin.services.manage_access import PASSWORD_LENGTH_MIN, SCOPES, add_token, revoke_token
from plugin.services.manage_team import (
    ROLES,
    Invited,
    accept_invitation,
    change_role,
    end_access,
    invite_member,
    list_team,
    list_tokens,
    look_at_invitation,
)

ROLE_WORDS = {
    "owner": mark("Owner: everything"),
    "manager": mark("Manager: everything but money, team and tokens"),
    "payer": mark("Payer: looks, and pays out"),
    "viewer": mark("Viewer: looks only"),
}
SCOPE_WORDS = {
    "read": mark("Read"),
    "write": mark("Read and write"),
    "payout": mark("Read, write and pay out"),
}
NAME_MAX = 100
_CHANGED = said("team-changed", mark("Changed. It holds from their next page on."))
_ENDED = said("team-ended", mark("Their access has ended, and they are signed out everywhere."))
_REVOKED = said("token-revoked", mark("The token is worth nothing any more."))


@page("/<shop>/team", needs=OWN)
def team(desk: Desk) -> Answer:
    """Who runs the shop, and the tokens of the API."""
    return _team(desk)


def _team(desk: Desk, errors: Any = None, **made: str) -> Answer:
    return show_form(
        "owner/team.html",
        errors,
        members=list_team(desk.context, desk.member),
        tokens=list_tokens(desk.context, desk.member),
        roles=ROLE_WORDS,
        scopes=SCOPE_WORDS,
        everywhere=desk.member.shop_id is None,
        **{"address": None, "token": None, **made},
    )


@page("/<shop>/team", methods=["POST"], needs=OWN, fresh=True)
def invite_to_team(desk: Desk) -> Answer:
    """Invite somebody; their one-time address is shown this once."""
    form = request.form
    wanted = Invited(form.get("email", ""), form.get("role", ""), _where(desk))
    try:
        path = invite_member(desk.context, desk.member, wanted, shop_id=desk.shop_id, language=language())
    except BadRequest as error:
        return _team(desk, error.fields)
    return _team(desk, address=f"{desk.context.settings.base_url}{path}")


@page("/<shop>/team/change", methods=["POST"], needs=OWN, fresh=True)
def change_team(desk: Desk) -> Answer:
    """Give a member another role, or end their access."""
    form = request.form
    number = public_id.read(public_id.OWNER, form.get("member", ""))
    try:
        if form.get("do") == "end":
            end_access(desk.context, desk.member, number)
            code = _ENDED
        else:
            change_role(desk.context, desk.member, number, form.get("role", ""))
            code = _CHANGED
    except Conflict:
        return _team(desk, {"team": [mark("The last owner stays an owner: make somebody else one first.")]})
    except BadRequest:
        return _team(desk, {"team": [mark("Choose a role.")]})
    if number == desk.member.id:  # who they are now decides where they may go
        return redirect(url_for("owner.home"), 303)
    return go("owner.team", shop=desk.shop_key, code=code)


@page("/<shop>/team/token", methods=["POST"], needs=OWN, fresh=True)
def make_token(desk: Desk) -> Answer:
    """Make a token of the API; it is shown this once."""
    form, errors = request.form, {}
    name, scope = form.get("name", "").strip(), form.get("scope", "")
    if not 0 < len(name) <= NAME_MAX or not name.isprintable():
        errors["name"] = [mark("Give it a name of at most 100 characters.")]
    if scope not in SCOPES:
        errors["scope"] = [mark("Choose one of these.")]
    if errors:
        return _team(desk, errors)
    shop_key = None if _where(desk) is None else desk.shop_key
    return _team(desk, token=add_token(desk.context, name, scope=scope, shop_key=shop_key)["token"])


@page("/<shop>/team/token/revoke", methods=["POST"], needs=OWN, fresh=True)
def end_token(desk: Desk) -> Answer:
    """Revoke a token at once."""
    number = public_id.read(public_id.TOKEN, request.form.get("token", ""))
    if number not in {row.id for row in list_tokens(desk.context, desk.member)}:
        raise NotFound("not_found", "There is no such token, or it is revoked already.")
    revoke_token(desk.context, public_id.show(public_id.TOKEN, number))
    return go("owner.team", shop=desk.shop_key, code=_REVOKED)


@open_page("/join/<ticket>", methods=["GET", "POST"])
def join_team(context: Context, ticket: str) -> Answer:
    """The door of whoever was invited: a password, and they are in. Looking at it changes nothing."""
    found = look_at_invitation(context, ticket)
    errors: object = None
    if request.method == "POST":
        agent = access.agent()
        try:
            token = accept_invitation(context, ticket, request.form.get("password", ""), agent=agent)
        except BadRequest as error:
            errors = error.fields
        else:
            response = make_response(redirect(url_for("owner.home"), 303))
            access.set_cookie(response, access.OWNER_COOKIE, token)
            return response
    role = ROLE_WORDS[found.body["role"]]
    return show_form(
        "owner/join_team.html", errors, email=found.email, role=role, password_length=PASSWORD_LENGTH_MIN
    )


def _where(desk: Desk) -> int | None:
    """Return the shop a form is about: this one, unless it says all and whoever sends it runs all."""
    everywhere = request.form.get("where") == "all" and desk.member.shop_id is None
    return None if everywhere else desk.shop_id


assert set(ROLE_WORDS) == set(ROLES)  # noqa: S101 - every role has its words
