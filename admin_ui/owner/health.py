"""Health: what the doctor sees of the whole installation, how old its keys are, and whether mails go out."""

from typing import Any

from admin_ui.access import installation
from admin_ui.owner import OWN, Desk, page, show_form
from admin_ui.page import Answer, gettext, go, said
from plugin.errors import NotAllowed
from plugin.languages import mark
from plugin.mail import MailDelayed, MailRefused
from plugin.outbound import Busy
from plugin.queue import Queue
from plugin.services.doctor import examine
from plugin.services.try_mail import try_mail

_SENT = said("mail-tried", mark("The mail server took it. Look into your mail."))


@page("/<shop>/health", needs=OWN)
def health(desk: Desk) -> Answer:
    """Every check of the doctor, what is wrong first."""
    return _health(desk)


def _health(desk: Desk, errors: Any = None) -> Answer:
    _require_all_shops(desk)
    checks = examine(installation().settings, reach_queue=lambda context: Queue(context).ping())
    keys = desk.context.keys
    return show_form(
        "owner/health.html",
        errors,
        checks=sorted(checks, key=lambda check: check.ok),
        rings=(("sign", mark("Signs links"), keys.sign), ("encrypt", mark("Seals what is secret"), keys.encrypt)),
        has_mail=bool(desk.context.settings.mail_url),
    )


@page("/<shop>/health/mail", methods=["POST"], needs=OWN)
def send_test_mail(desk: Desk) -> Answer:
    """Send a mail to whoever asks."""
    _require_all_shops(desk)
    subject, text = gettext("A test mail from Passalong"), gettext("If you can read this, mails go out.")
    try:
        try_mail(desk.context, desk.member.email, subject=subject, text=text)
    except (MailDelayed, MailRefused, Busy) as error:
        return _health(desk, {"mail": [error.message]})
    return go("owner.health", shop=desk.shop_key, code=_SENT)


def _require_all_shops(desk: Desk) -> None:
    if desk.member.shop_id is not None:
        raise NotAllowed("role_too_small", "Your role does not allow this. Ask an owner of the shop.")
