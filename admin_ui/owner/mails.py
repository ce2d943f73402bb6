"""Mails: which of them the shop has sent to its people, in which language, and whether they go out at all."""

from typing import Any

from flask import request

from admin_ui.owner import MANAGE, Desk, page, show_form
from admin_ui.page import Answer, gettext, go, said
from plugin.errors import BadRequest
from plugin.languages import LANGUAGES, mark
from plugin.mail import MailDelayed, MailRefused
from plugin.outbound import Busy
from plugin.services.manage_program import MAILS, change_program, show_program
from plugin.services.try_mail import try_mail

KINDS = {
    "first_commission": mark("To a sharer who earns for the first time"),
    "ready": mark("To a sharer when commission is ready to be paid"),
    "paid": mark("To a sharer when a payment is on its way"),
    "payout_failed": mark("To a sharer when a payment failed"),
    "weekly_digest": mark("To owners and managers on Monday: how the week was"),
}
_KEPT = said("mails-kept", mark("Saved."))
_SENT = said("mail-tried", mark("The mail server took it. Look into your mail."))


@page("/<shop>/mails", needs=MANAGE)
def mails(desk: Desk) -> Answer:
    """Which mails go out, and the button that tries it."""
    return _mails(desk)


def _mails(desk: Desk, errors: Any = None) -> Answer:
    with desk.context.database.reading() as connection:
        program = show_program(connection, desk.shop_id)
    return show_form(
        "owner/mails.html",
        errors,
        kinds=KINDS,
        program=program,
        spoken=[("", gettext("That of the shop's currency")), *((one.tag, one.name) for one in LANGUAGES.values())],
        has_mail=bool(desk.context.settings.mail_url),
    )


@page("/<shop>/mails", methods=["POST"], needs=MANAGE)
def keep_mails(desk: Desk) -> Answer:
    """Keep which mails go out, and in which language to those whose own is not known."""
    wanted = request.form.getlist("mails")
    off = tuple(name for name in MAILS if name not in wanted)
    try:
        change_program(
            desk.context, desk.shop_id, {"mails_off": off, "language": request.form.get("language") or None}
        )
    except BadRequest as error:
        return _mails(desk, error.fields)
    return go("owner.mails", shop=desk.shop_key, code=_KEPT)


@page("/<shop>/mails/try", methods=["POST"], needs=MANAGE)
def send_test_mail(desk: Desk) -> Answer:
    """Send a mail to whoever asks."""
    subject, text = gettext("A test mail from Passalong"), gettext("If you can read this, mails go out.")
    try:
        try_mail(desk.context, desk.member.email, subject=subject, text=text)
    except (MailDelayed, MailRefused, Busy) as error:
        return _mails(desk, {"mail": [error.message]})
    return go("owner.mails", shop=desk.shop_key, code=_SENT)


assert set(KINDS) == set(MAILS)  # noqa: S101 - every kind has its words
