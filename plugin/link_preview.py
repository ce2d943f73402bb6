"""The page that programs get which draw a preview of a share link: what is shared, in the language they ask for.

It is read by machines and shown by chats, whichever they are; so it names the shop, and the product where it is known,
and says nothing of who shared, where, or what they may earn. https://ogp.me
"""

import re
from collections.abc import Iterable
from html import escape

from plugin.languages import LANGUAGES, choose, texts
from plugin.shops.base import Product

# Chats fetch no picture by plain http, and what holds quotes or blanks is no address.
_HTTPS = re.compile(r"https://[A-Za-z0-9.-]+(:[0-9]{1,5})?/[!#-;=?-~\u00a1-\uffef]{0,2000}")


def preview_page(name: str, product: Product | None, address: str, languages: Iterable[tuple[str, float]]) -> str:
    """Return the page of a share address of the shop with that name, which leads to that product where it is known.

    ``languages`` are pairs of a tag and its weight as in Accept-Language (RFC 9110, section 12.5.4).
    """
    language = LANGUAGES[choose(languages)]
    tag, locale = language.tag, language.open_graph
    shown = product or Product("")
    subject = shown.title or name
    said = texts(tag).gettext("Someone recommends %(shop)s to you. Open the link and have a look.")
    title, place = escape(subject), escape(address)
    text = escape(shown.description or said % {"shop": subject})
    picture = shown.picture if shown.picture is not None and _HTTPS.fullmatch(shown.picture) else None
    image = f'<meta property="og:image" content="{escape(picture)}">\n' if picture else ""
    return (
        f'<!doctype html>\n<html lang="{tag}">\n<meta charset="utf-8">\n<meta name="robots" content="noindex">\n'
        f'<title>{title}</title>\n<meta name="description" content="{text}">\n'
        f'<meta property="og:title" content="{title}">\n<meta property="og:description" content="{text}">\n{image}'
        f'<meta property="og:site_name" content="{escape(name)}">\n<meta property="og:locale" content="{locale}">\n'
        f'<meta property="og:type" content="website">\n<meta property="og:url" content="{place}">\n'
        f'<meta name="twitter:card" content="{"summary_large_image" if picture else "summary"}">\n'
        f"<h1>{title}</h1>\n<p>{text}</p>\n</html>\n"
    )
