"""Health: what the doctor sees of the whole installation, for those who run all of it."""

from admin_ui.access import installation
from admin_ui.owner import OWN, Desk, page
from admin_ui.page import Answer, show
from plugin.errors import NotAllowed
from plugin.queue import Queue
from plugin.services.doctor import examine


@page("/<shop>/health", needs=OWN)
def health(desk: Desk) -> Answer:
    """Every check of the doctor, what is wrong first."""
    if desk.member.shop_id is not None:
        raise NotAllowed("role_too_small", "Your role does not allow this. Ask an owner of the shop.")
    checks = examine(installation().settings, reach_queue=lambda context: Queue(context).ping())
    return show("owner/health.html", checks=sorted(checks, key=lambda check: check.ok))
