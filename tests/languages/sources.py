"""What the sources say to people, read from their Python files and templates, and where each text stands."""

import ast
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
    "Sentence": None,
}
# The sentences of errors, which pages show to people: those raised where a page can call, and those that are kept and
# shown later, as of a delivery that cannot be understood or of books that do not hold. What only commands, programs and
# the machine itself are told stays English.
ERRORS = {
    **dict.fromkeys(("BadRequest", "Conflict", "NotAllowed", "NotFound", "Unavailable", "__init__"), (2,)),
    **dict.fromkeys(("ForbiddenAddress", "MailDelayed", "MailRefused", "NotSignedIn", "ShopRefused"), None),
    **dict.fromkeys(("InvariantBroken", "Malformed", "_note", "note"), None),
    "BadAnswer": (2,),
}
_ON_PAGES = (
    "admin_ui", "plugin/domain", "plugin/errors.py", "plugin/mail.py", "plugin/outbound.py", "plugin/rails",
    "plugin/services", "plugin/shops",
)  # fmt: skip
# What reads a body is told what it reads, so that an error can name it: the place of that argument.
READERS = {
    **dict.fromkeys(("mapping", "decimal", "ident", "_mapping", "_list", "_text", "_id", "_count"), 1),
    **dict.fromkeys(("required", "_required"), 2),
    "_after_discounts": 3,
}
_READS = ("plugin/domain", "plugin/shops")
_NOT_ON_PAGES = frozenset(
    f"plugin/services/{name}.py"
    for name in (
        "find_storefront", "keep_answer", "reconcile_now", "record_clicks", "replay_deliveries",
        "seed_demo", "show_poster", "store_delivery",
    )
)  # fmt: skip
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
                for line, key, plural in _texts(path, path.relative_to(root.parent).as_posix()):
                    said = found.setdefault(key, Said())
                    said.plural = said.plural or plural
                    said.places.append(f"{path.relative_to(root.parent)}:{line}")
    return found


def is_on_pages(name: str) -> bool:
    """Tell whether pages show what the errors of a source file say."""
    return name.startswith(_ON_PAGES) and name not in _NOT_ON_PAGES


def _texts(path: Path, name: str) -> Iterator[tuple[int, Key, str | None]]:
    method = _METHODS[path.suffix]
    keywords = KEYWORDS | ERRORS if is_on_pages(name) else KEYWORDS
    with path.open("rb") as file:
        for line, message, _, context in extract(method, file, keywords, (), _OPTIONS):
            singular, plural = message if isinstance(message, tuple) else (message, None)
            if singular:
                yield line, (context, singular), plural
    if name.startswith(_READS):
        yield from _read_things(path)


def _read_things(path: Path) -> Iterator[tuple[int, Key, None]]:
    """Yield what the readers of a file read; the name of a field is the shop's and is said in no language."""
    for node in ast.walk(ast.parse(path.read_text())):
        place = READERS.get(node.func.id) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else None
        if isinstance(node, ast.Call) and place is not None and len(node.args) > place:
            what = node.args[place]
            if isinstance(what, ast.Constant) and isinstance(what.value, str) and not what.value.isidentifier():
                yield node.lineno, (None, what.value), None
