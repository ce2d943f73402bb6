"""Changing how sharers stand, one or many, with the reason kept as a note; what is written about a sharer by hand."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select

from plugin.database import again
from plugin.errors import BadRequest, PluginError
from plugin.languages import mark
from plugin.models import note, owner
from plugin.services.context import Context
from plugin.services.enrol_sharer import change_sharer
from plugin.services.show_sharer import find_sharer

NOTE_MAX = 2_000
NOTES_SHOWN = 50


@dataclass(slots=True)
class Changed:
    """What became of a change of many: how many it reached, and the ids of those it did not."""

    count: int = 0
    failed: list[str] = field(default_factory=list)


def change_many(
    context: Context, shop_id: int, names: Sequence[str], changes: Mapping[str, Any], *, actor: str
) -> Changed:
    """Change sharers of a shop, each by a fact of its own: one that cannot be changed holds up none of the others."""
    changed = Changed()
    for name in dict.fromkeys(names):
        try:
            row = find_sharer(context, name, shop_id=shop_id)
            again(lambda: change_sharer(context, row, changes, actor=actor))  # noqa: B023 - run at once
            changed.count += 1
        except PluginError:
            changed.failed.append(name)
    return changed


def add_note(context: Context, sharer_id: int, text: str, *, owner_id: int) -> None:
    """Keep what a member of the shop writes about a sharer; sharers never see it. Raise BadRequest where it is none."""
    text = text.replace("\r\n", "\n").replace("\0", "").strip()
    if not text or len(text) > NOTE_MAX:
        fields = {"text": [mark("Write one to two thousand characters.")]}
        raise BadRequest("invalid", "Some fields are not right.", fields=fields)
    row = {"sharer_id": sharer_id, "owner_id": owner_id, "text": text, "created_at": context.now()}
    with context.database.writing() as connection:
        connection.execute(note.insert().values(row))


def list_notes(context: Context, sharer_id: int) -> Sequence[Any]:
    """Return the newest notes about a sharer, with who wrote them."""
    wanted = (
        select(note.c.text, note.c.created_at, owner.c.email)
        .join(owner, owner.c.id == note.c.owner_id)
        .where(note.c.sharer_id == sharer_id)
        .order_by(note.c.id.desc())
        .limit(NOTES_SHOWN)
    )
    with context.database.reading() as connection:
        return connection.execute(wanted).all()
