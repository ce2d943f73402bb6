"""The languages people are spoken to in: which one to choose, its translated texts, its way to write amounts and dates.

For pages, mails, previews and posters alike. English is the text in the source; each other language has a folder of
``.po`` files here, one for each area, which are read as they are when the language is first spoken.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, lru_cache
from gettext import GNUTranslations, NullTranslations
from io import BytesIO
from pathlib import Path

from babel.core import get_global
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

FOLDER = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Language:
    """A language by its BCP 47 tag: its locale as Babel and Open Graph write it, and what its speakers call it."""

    tag: str
    locale: str
    open_graph: str
    name: str


LANGUAGES = {
    language.tag: language
    for language in (
        Language("en", "en", "en_US", "English"),
        Language("zh-Hant", "zh_Hant_TW", "zh_TW", "繁體中文"),
        Language("zh-Hans", "zh_Hans_CN", "zh_CN", "简体中文"),
        Language("ja", "ja_JP", "ja_JP", "日本語"),
    )
}
DEFAULT = "en"


def choose(accepted: Iterable[tuple[str, float]]) -> str:
    """Return the tag of the dearest language that is spoken here; English where none is.

    ``accepted`` are pairs of a tag and its weight as in Accept-Language (RFC 9110, section 12.5.4); a weight of zero is
    never chosen. A single preference that is stored somewhere is ``[(tag, 1)]``.
    """
    for tag, weight in sorted(accepted, key=lambda pair: -pair[1]):
        if weight > 0 and (found := _spoken(tag)):
            return found
    return DEFAULT


@lru_cache(maxsize=1_024)
def _spoken(tag: str) -> str | None:
    """Return the language here that a tag means, by its script: the Chinese of Taiwan is not that of China."""
    first, *more = tag.lower().replace("_", "-").split("-")
    script = next((part.title() for part in more if len(part) == 4 and part.isalpha()), None)
    if script is None:
        region = next((part.upper() for part in more if len(part) == 2 and part.isalpha()), None)
        likely = get_global("likely_subtags")
        full = (region and likely.get(f"{first}_{region}")) or likely.get(first)
        script = full.split("_")[1] if full else None
    return next((known for known in (f"{first}-{script}", first) if known in LANGUAGES), None)


def mark(text: str) -> str:
    """Return a text as it is: it is listed for the translators here and translated where it is shown."""
    return text


@cache
def texts(tag: str) -> NullTranslations:
    """Return the translations into a language: ``gettext``, ``ngettext``, ``pgettext`` and ``npgettext``.

    What has no translation is said in English.
    """
    if tag == DEFAULT:
        return NullTranslations()
    whole = Catalog(locale=LANGUAGES[tag].locale)
    for path in catalogs(tag):
        for message in read_catalog(path, tag):
            if message.id:
                whole[message.id] = message
    file = BytesIO()
    write_mo(file, whole)
    file.seek(0)
    return GNUTranslations(file)


def catalogs(tag: str) -> list[Path]:
    """Return the files that hold a language's translations, by name."""
    return sorted((FOLDER / tag.replace("-", "_")).glob("*.po"))


def read_catalog(path: Path, tag: str) -> Catalog:
    """Return what a file of translations holds; raise PoFileError for one that is not well formed."""
    with path.open("rb") as file:
        return read_po(file, locale=LANGUAGES[tag].locale, abort_invalid=True)
