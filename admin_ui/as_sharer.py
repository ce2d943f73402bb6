"""What a sharer sees, for the people of the shop: the sharer's own pages, to be read and never acted on.

It shows the pages of :mod:`admin_ui.sharer` themselves, from a seat that is read-only, below the sharer's page of the
desk and guarded as that is. Whatever is sent here is refused, and the log keeps who looked at whom.
"""

import logging
from collections.abc import Callable
from typing import Any

from flask import Blueprint, Flask, request

from admin_ui import owner
from admin_ui.owner import NEEDS, SEE, Desk, enter
from admin_ui.page import Answer, answer_error, finish
from admin_ui.sharer import look_on
from admin_ui.sharer.earnings import show_earnings, show_line
from admin_ui.sharer.home import show_home
from admin_ui.sharer.payouts import show_payment, show_payouts
from admin_ui.sharer.profile import show_profile
from admin_ui.sharer.share import show_link, show_share
from plugin.errors import NotAllowed, NotFound

PAGES: dict[str, tuple[str, Callable[..., Answer]]] = {
    "home": ("/", show_home),
    "share": ("/share", show_share),
    "one_link": ("/links/<link>", show_link),
    "earnings": ("/earnings", show_earnings),
    "line": ("/earnings/<number:order>", show_line),
    "payouts": ("/payouts", show_payouts),
    "statement": ("/payouts/<item>", show_payment),
    "profile": ("/profile", show_profile),
}
BELOW = f"{owner.blueprint.url_prefix}/<shop>/sharers/<sharer>/as"

_log = logging.getLogger(__name__)
blueprint = Blueprint("as_sharer", __name__, url_prefix=BELOW, template_folder="templates")
blueprint.register_error_handler(Exception, answer_error("owner/error.html"))


def init_app(app: Flask) -> None:
    """Open the pages."""
    app.register_blueprint(blueprint)


def _look(show: Callable[..., Answer]) -> Callable[..., Any]:
    """Return a view that shows a sharer's page to whoever may see the sharer."""

    def view(desk: Desk, sharer: str, **values: Any) -> Answer:
        if request.method != "GET":
            raise NotAllowed("not_allowed", "Only they themselves can do this.")
        seat = look_on(desk.context, desk.shop_id, sharer)
        _log.info("%s looks at the pages of %s.", desk.actor, seat.id)
        return show(seat, **values)

    def answer(**values: Any) -> Any:
        return finish(enter(view, values, needs=SEE))

    return answer


def _nothing(seat: Any, anything: str) -> Answer:
    raise NotFound("not_found", "The page may have moved, or it belongs to somebody else.")


for name, (rule, show) in PAGES.items():
    blueprint.add_url_rule(rule, name, _look(show), methods=["GET", "POST"])
    NEEDS[f"as_sharer.{name}"] = SEE
# What a sharer's forms would be sent to has no page here.
blueprint.add_url_rule("/<path:anything>", "nothing", _look(_nothing), methods=["GET", "POST"])
