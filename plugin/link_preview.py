"""The page that programs get which draw a preview of a share link: what is shared, in the language they ask for.

It is read by machines and shown by chats, whichever they are; so it names the shop and says nothing of who shared,
where, or what they may earn. https://ogp.me
"""

from collections.abc import Iterable
from html import escape

from plugin.languages import LANGUAGES, choose, texts


def preview_page(name: str, address: str, languages: Iterable[tuple[str, float]]) -> str:
    """Return the page of a share address of the shop with that name.

    ``languages`` are pairs of a tag and its weight as in Accept-Language (RFC 9110, section 12.5.4).
    """
    language = LANGUAGES[choose(languages)]
    tag, locale = language.tag, language.open_graph
    said = texts(tag).gettext("Someone recommends %(shop)s to you. Open the link and have a look.")
    title, place, text = escape(name), escape(address), escape(said % {"shop": name})
    return (
        f'<!doctype html>\n<html lang="{tag}">\n<meta charset="utf-8">\n<meta name="robots" content="noindex">\n'
        f'<title>{title}</title>\n<meta name="description" content="{text}">\n'
        f'<meta property="og:title" content="{title}">\n<meta property="og:description" content="{text}">\n'
        f'<meta property="og:site_name" content="{title}">\n<meta property="og:locale" content="{locale}">\n'
        f'<meta property="og:type" content="website">\n<meta property="og:url" content="{place}">\n'
        f'<meta name="twitter:card" content="summary">\n<h1>{title}</h1>\n<p>{text}</p>\n</html>\n'
    )
