"""Health: what the doctor sees of the whole installation, and how old its keys are."""

from admin_ui.access import installation
from admin_ui.owner import OWN, Desk, page
from admin_ui.page import Answer, show
from plugin.errors import NotAllowed
from plugin.languages import mark
from plugin.queue import Queue
from plugin.services.doctor import examine

NAMES = {
    "settings": mark("Settings"),
    "instance": mark("Folder of the installation"),
    "keys": mark("Keys"),
    "base_url": mark("Public address"),
    "database": mark("Database"),
    "queue": mark("Queue"),
    "migrations": mark("Version of the database"),
    "guards": mark("Guards of the books"),
    "clock": mark("Clock"),
    "inbox": mark("Inbox"),
    "tasks": mark("Work outside"),
    "endpoints": mark("Endpoints"),
    "shops": mark("Shops"),
}

@page("/<shop>/health", needs=OWN)
def health(desk: Desk) -> Answer:
    """Every check of the doctor, what is wrong first."""
    if desk.member.shop_id is not None:
        raise NotAllowed("role_too_small", "Your role does not allow this. Ask an owner of the shop.")
    checks = examine(installation().settings, reach_queue=lambda context: Queue(context).ping())
    keys = desk.context.keys
    return show(
        "owner/health.html",
        checks=sorted(checks, key=lambda check: check.ok),
        names=NAMES,
        rings=(("sign", mark("Signs links"), keys.sign), ("encrypt", mark("Seals what is secret"), keys.encrypt)),
        has_mail=bool(desk.context.settings.mail_url),
    )
