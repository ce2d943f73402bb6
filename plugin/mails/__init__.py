"""What mails say and how they look: one layout as HTML and as text, filled by :mod:`plugin.mails.letters`."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from plugin.languages import texts
from plugin.mails.letters import Letter


@dataclass(frozen=True, slots=True)
class Written:
    """A letter as it goes out."""

    subject: str
    text: str
    html: str


def write(letter: Letter, tag: str, *, off: str | None) -> Written:
    """Lay a letter out in a language; ``off`` is where letters of its kind are turned off."""
    values = {
        "letter": letter,
        "tag": tag,
        "off": off,
        "off_text": texts(tag).gettext("Turn off mails like this one"),
    }
    text = _templates().get_template("layout.txt").render(values)
    return Written(letter.subject, text, _templates().get_template("layout.html").render(values))


@cache
def _templates() -> Environment:
    return Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
