"""What a person who shares says of themselves: their name, the one that friends may see, and their language."""

import re

from sqlalchemy import update

from plugin.domain.plan import UNSHOWABLE
from plugin.errors import BadRequest
from plugin.languages import LANGUAGES, mark
from plugin.models import person
from plugin.services.context import Context
from plugin.services.let_in import read_name

SHOWN_LENGTH_MAX = 40
# What turns the direction of a text would turn the sentence in which strangers read the name (UAX #9), and a name that
# could be taken for an address or is more than a line is none to be shown on somebody else's page.
_TURNING = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_ADDRESS = re.compile(r"://|[Ww]{3}\.|@|\w\.[a-z]{2,}")


def change_person(context: Context, person_id: int, *, name: str, shown_name: str, language: str) -> None:
    """Keep what a person says of themselves; raise BadRequest with what is wrong by field."""
    kept = {"name": read_name(name), "shown_name": _read_shown_name(shown_name), "locale": language}
    if language not in LANGUAGES:
        raise BadRequest("bad_language", "This language is not spoken here.")
    with context.database.writing() as connection:
        theirs = update(person).where(person.c.id == person_id, person.c.erased_at.is_(None))
        connection.execute(theirs.values(kept))


def _read_shown_name(text: str) -> str | None:
    """Return a name as friends see it, None for none; raise BadRequest for what can be no such name."""
    name = " ".join(text.split())
    if len(name) > SHOWN_LENGTH_MAX or any(one.search(name) for one in (UNSHOWABLE, _TURNING, _ADDRESS)):
        wrong = {"shown_name": [mark("Write a name of at most 40 characters, and no address.")]}
        raise BadRequest("invalid", "Some fields are not right.", fields=wrong)
    return name or None
