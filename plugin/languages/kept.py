"""Sentences that are kept as their English text, found again: by which wording a text was made, and with what values.

What is kept in the database is the text alone, for programs, commands and logs. A page that shows it in another
language asks here. The wordings are those of ``errors.po``. Texts carry what strangers sent, so nothing is matched
whose time is more than a few walks along the text.
"""

import re
from dataclasses import dataclass
from functools import cache
from typing import Self

from plugin.errors import Sentence
from plugin.languages import DEFAULT, FOLDER, read_catalog

_AREA = "errors.po"
_VALUE = re.compile(r"%\((\w+)\)s")


@dataclass(frozen=True, slots=True)
class _Wording:
    """A wording with values: what stands before, between and after them, as a sentence that it made shows it."""

    text: str
    names: tuple[str, ...]
    first: str
    between: tuple[str, ...]
    last: str

    @classmethod
    def of(cls, text: str) -> Self:
        parts = _VALUE.split(text)
        first, *between, last = (part.replace("%%", "%") for part in parts[::2])
        return cls(text, tuple(parts[1::2]), first, tuple(between), last)

    @property
    def literal(self) -> int:
        """Return how much of a sentence this wording says itself."""
        return len(self.first) + sum(map(len, self.between)) + len(self.last)

    def read(self, text: str) -> Sentence | None:
        """Return the sentence of this wording that a text is; None where it is none.

        Each piece is looked for where the one before it ends. A text that is such a sentence at all is read so too, for
        taking a piece later leaves less room for the rest; so nothing is ever tried twice.
        """
        at, end = len(self.first), len(text) - len(self.last)
        if at > end or not text.startswith(self.first) or not text.endswith(self.last):
            return None
        found = []
        for piece in self.between:
            place = text.find(piece, at, end)
            if place < 0:
                return None
            found.append(text[at:place])
            at = place + len(piece)
        found.append(text[at:end])
        values = dict(zip(self.names, found, strict=True))
        is_one = all(values[name] == value for name, value in zip(self.names, found, strict=True))
        return Sentence(self.text, **values) if is_one else None


def find(text: str, tag: str) -> Sentence | None:
    """Return the sentence that a kept text is, to be said in a language; None for a text of no wording.

    Of several wordings that fit it is the one that says most of the text itself.
    """
    if tag == DEFAULT:  # it is said already
        return None
    plain, wordings = _wordings(tag)
    if text in plain:
        return Sentence(text)
    return next((found for one in wordings if (found := one.read(text))), None)


@cache
def _wordings(tag: str) -> tuple[frozenset[str], tuple[_Wording, ...]]:
    """Return the wordings without values, and those with values, the most literal first."""
    said = read_catalog(FOLDER / tag.replace("-", "_") / _AREA, tag)
    texts = [message.id for message in said if isinstance(message.id, str) and message.id]
    open_ = [_Wording.of(text) for text in texts if _VALUE.search(text)]
    plain = frozenset(text for text in texts if not _VALUE.search(text))
    return plain, tuple(sorted(open_, key=lambda one: -one.literal))
