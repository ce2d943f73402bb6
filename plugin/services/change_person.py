"""What a person who shares says of themselves: their name and their language."""

from sqlalchemy import update

from plugin.errors import BadRequest
from plugin.languages import LANGUAGES
from plugin.models import person
from plugin.services.context import Context
from plugin.services.let_in import read_name


def change_person(context: Context, person_id: int, *, name: str, language: str) -> None:
    """Keep a person's name and language; raise BadRequest with what is wrong by field."""
    called = read_name(name)
    if language not in LANGUAGES:
        raise BadRequest("bad_language", "This language is not spoken here.")
    with context.database.writing() as connection:
        theirs = update(person).where(person.c.id == person_id, person.c.erased_at.is_(None))
        connection.execute(theirs.values(name=called, locale=language))
