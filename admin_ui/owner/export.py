"""The export of a shop: made in the background at an owner's word, and fetched by an address that works once."""

from collections.abc import Mapping
from typing import Any

from flask import Response, request

from admin_ui.owner import OWN, Desk, page
from admin_ui.page import Answer, go, is_part, said, show
from plugin.errors import NotFound
from plugin.languages import mark
from plugin.services.kept_exports import ask_export, drop_export, open_export, show_export, use_export
from plugin.services.tickets import TicketOver

_OVER = said("export-over", mark("That address was used already or is too old. Press the button once more."))
_DROPPED = said("export-dropped", mark("The export is removed."))


@page("/<shop>/export", needs=OWN)
def export(desk: Desk) -> Answer:
    """What an export holds, and the one that can be had now."""
    return show("owner/export.html", **_seen(desk))


@page("/<shop>/export/progress", needs=OWN)
def export_progress(desk: Desk) -> Answer:
    """How far it is, for a page that looks again; nothing where it is as far as the page knows."""
    if not is_part():
        return go("owner.export", shop=desk.shop_key)
    seen = _seen(desk)
    if request.args.get("seen") == seen["progress_mark"]:
        return "", 204
    return show("owner/export_progress.html", **seen)


@page("/<shop>/export", methods=["POST"], needs=OWN, fresh=True)
def make_export(desk: Desk) -> Answer:
    """Have everything of the shop written into one file."""
    ask_export(desk.context, desk.shop_id)
    return go("owner.export", shop=desk.shop_key)


@page("/<shop>/export/remove", methods=["POST"], needs=OWN)
def remove_export(desk: Desk) -> Answer:
    """Remove the file before its time."""
    drop_export(desk.context, desk.shop_id)
    return go("owner.export", shop=desk.shop_key, code=_DROPPED)


@page("/<shop>/export/fetch", methods=["POST"], needs=OWN, fresh=True)
def fetch_export(desk: Desk) -> Answer:
    """Lead to the file by an address of its own, which this owner can use once."""
    try:
        ticket = open_export(desk.context, desk.shop_id, desk.member.id)
    except NotFound:
        return go("owner.export", shop=desk.shop_key)
    return go("owner.exported_file", shop=desk.shop_key, ticket=ticket)


@page("/<shop>/export/<ticket>.zip", needs=OWN)
def exported_file(desk: Desk, ticket: str) -> Answer:
    """The file itself, piece by piece; whoever comes a second time is led back to the button."""
    try:
        made, pieces = use_export(desk.context, ticket, shop_id=desk.shop_id, owner_id=desk.member.id)
    except TicketOver:
        return go("owner.export", shop=desk.shop_key, code=_OVER)
    headers = {
        "Content-Disposition": f'attachment; filename="{desk.shop_key}-export.zip"',
        "Content-Length": str(made.bytes),
    }
    return Response(pieces, headers=headers, content_type="application/zip")


def _seen(desk: Desk) -> Mapping[str, Any]:
    made, making = show_export(desk.context, desk.shop_id)
    stage = f"{making.is_near}.{making.percent}.{making.due_at}" if making else "none"
    return {"made": made, "making": making, "progress_mark": stage}
