"""Inviting people to share: by their addresses, by a link to join, or every buyer on the page that thanks them."""

from flask import request

from admin_ui.owner import MANAGE, Desk, page, show_form
from admin_ui.page import Answer, gettext, go, said
from plugin.errors import BadRequest
from plugin.languages import mark
from plugin.services.invite_sharers import NoAddresses, invite_sharers, newest_sharers
from plugin.services.manage_program import APPROVE, CLOSED, OPEN, change_program, show_program

_INVITED = said("invited", mark("They are sharers now. Their links stand below."))
_WRITTEN = said(
    "invited-by-mail", mark("They are sharers now and get a mail with the way in. Their links stand below.")
)
_KNOWN = said("invited-known", mark("All of them are sharers already."))
_JOINING = said("join-kept", mark("Who may join is kept."))
JOIN_MODES = (
    (
        OPEN,
        mark("Everybody, at once"),
        mark("Every buyer can share. Once it is saved, the line for your thank-you page stands below."),
    ),
    (APPROVE, mark("Everybody, once you approve"), mark("Who asks waits on your home page until you say yes.")),
    (CLOSED, mark("Only whom you invite"), mark("The page to join says that it is closed.")),
)


@page("/<shop>/invite", methods=["GET", "POST"], needs=MANAGE)
def invite(desk: Desk) -> Answer:
    """The three ways to sharers, and those who came last."""
    if request.method == "POST":
        try:
            done = invite_sharers(desk.context, desk.shop_id, request.form.get("addresses", ""), actor=desk.actor)
        except NoAddresses as error:
            return _invite(desk, error.fields, wrong=error.lines)
        writes = desk.context.settings.mail_url and desk.row.live
        code = (_WRITTEN if writes else _INVITED) if done.new else _KNOWN
        return go("owner.invite", shop=desk.shop_key, code=code)
    return _invite(desk)


@page("/<shop>/invite/join", methods=["POST"], needs=MANAGE)
def keep_join_mode(desk: Desk) -> Answer:
    """Say who may join by the link."""
    try:
        change_program(desk.context, desk.shop_id, {"join_mode": request.form.get("join_mode")})
    except BadRequest as error:
        return _invite(desk, error.fields)
    return go("owner.invite", shop=desk.shop_key, code=_JOINING)


def _invite(desk: Desk, errors: object = None, *, wrong: object = ()) -> Answer:
    context, row = desk.context, desk.row
    with context.database.reading() as connection:
        program = show_program(connection, row.id)
    join_url = f"{context.settings.base_url}/join/{row.key}"
    return show_form(
        "owner/invite.html",
        errors,
        wrong=wrong,
        program=program,
        join_modes=JOIN_MODES,
        join_url=join_url,
        lines=f'<p><a href="{join_url}">{gettext("Share and earn")}</a></p>',
        newest=newest_sharers(context, row.id),
        share_url=f"{context.settings.base_url}/s/",
    )
