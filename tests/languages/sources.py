"""What the sources say to people, read from their Python files and templates, and where each text stands."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from babel.messages.extract import extract

# What marks a text for translation. Of several texts those numbered are taken; "c" is the context.
KEYWORDS = {
    "_": None,
    "mark": None,
    "gettext": None,
    "ngettext": (1, 2),
    "pgettext": ((1, "c"), 2),
    "npgettext": ((1, "c"), 2, 3),
}
TEMPLATES = frozenset({".html", ".txt", ".xml", ".jinja"})
_METHODS = {".py": "python", **dict.fromkeys(TEMPLATES, "jinja2.ext:babel_extract")}
_OPTIONS = {"silent": "false", "newstyle_gettext": "true"}

Key = tuple[str | None, str]  # context and text, the singular one where there are two


@dataclass(slots=True)
class Said:
    """A text that is said somewhere, with its plural if it has one."""

    plural: str | None = None
    places: list[str] = field(default_factory=list)


def read(*roots: Path) -> dict[Key, Said]:
    """Return every text that the files below some folders mark for translation."""
    found: dict[Key, Said] = {}
    for root in roots:
        for path in sorted(root.rglob("*")):
            if path.suffix in _METHODS and "__pycache__" not in path.parts:
                for line, key, plural in _texts(path):
                    said = found.setdefault(key, Said())
                    said.plural = said.plural or plural
                    said.places.append(f"{path.relative_to(root.parent)}:{line}")
    return found


def _texts(path: Path) -> Iterator[tuple[int, Key, str | None]]:
    method = _METHODS[path.suffix]
    with path.open("rb") as file:
        for line, message, _, context in extract(method, file, KEYWORDS, (), _OPTIONS):
            singular, plural = message if isinstance(message, tuple) else (message, None)
            if singular:
                yield line, (context, singular), plural
