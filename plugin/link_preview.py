"""The page that programs get which draw a preview of a share link: what is shared, in the language they ask for.

It is read by machines and shown by chats, whichever they are; so it names the shop and says nothing of who shared,
where, or what they may earn. https://ogp.me
"""

from collections.abc import Iterable
from html import escape

# By language tag: the locale as Open Graph writes it, and what is said of the shop.
_SAID = {
    "en": ("en_US", "Someone recommends {name} to you. Open the link and have a look."),
    "zh-Hant": ("zh_TW", "有人向你推薦{name}，點開看看。"),
    "zh-Hans": ("zh_CN", "有人向你推荐{name}，点开看看。"),
    "ja": ("ja_JP", "{name}をおすすめされました。リンクを開いてご覧ください。"),
}
_TRADITIONAL = frozenset({"hant", "tw", "hk", "mo"})


def preview_page(name: str, address: str, languages: Iterable[tuple[str, float]]) -> str:
    """Return the page of a share address of the shop with that name.

    ``languages`` are pairs of a tag and its weight as in Accept-Language (RFC 9110, section 12.5.4), the dearest first.
    """
    language = _language(languages)
    locale, said = _SAID[language]
    title, place, text = escape(name), escape(address), escape(said.format(name=name))
    return (
        f'<!doctype html>\n<html lang="{language}">\n<meta charset="utf-8">\n<meta name="robots" content="noindex">\n'
        f'<title>{title}</title>\n<meta name="description" content="{text}">\n'
        f'<meta property="og:title" content="{title}">\n<meta property="og:description" content="{text}">\n'
        f'<meta property="og:site_name" content="{title}">\n<meta property="og:locale" content="{locale}">\n'
        f'<meta property="og:type" content="website">\n<meta property="og:url" content="{place}">\n'
        f'<meta name="twitter:card" content="summary">\n<h1>{title}</h1>\n<p>{text}</p>\n</html>\n'
    )


def _language(languages: Iterable[tuple[str, float]]) -> str:
    """Return the first language that is spoken here; English where none is."""
    for tag, weight in languages:
        first, *more = tag.lower().replace("_", "-").split("-")
        if weight <= 0:
            continue
        if first == "zh":
            return "zh-Hant" if _TRADITIONAL.intersection(more) and "hans" not in more else "zh-Hans"
        if first in _SAID:
            return first
    return "en"
