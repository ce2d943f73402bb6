"""Small pages for people of whom nothing is known, who followed a link in vain: in every language at once."""

import base64
import hashlib
from collections.abc import Mapping

_STYLE = (
    ":root{color-scheme:light dark}"
    "body{margin:0;font:1rem/1.5 system-ui,sans-serif}"
    "main{min-height:100vh;display:grid;place-content:center;gap:1.75rem;padding:1.5rem;box-sizing:border-box}"
    "section{max-width:28rem}h1,h2{font-size:1.25rem;line-height:1.3;margin:0 0 .25rem}p{margin:0;opacity:.8}"
    "button{font:inherit;padding:.6rem 1.4rem;border:1px solid;border-radius:.6rem;background:none;color:inherit}"
)
_DIGEST = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

# The one style is named by its digest (CSP Level 3, section 2.3.1); nothing else may be loaded or run.
POLICY = f"default-src 'none'; style-src 'sha256-{_DIGEST}'"


def plain_page(said: Mapping[str, tuple[str, str]], *, button: tuple[str, str, str] | None = None) -> str:
    """Return a page of (heading, sentence) by language tag; the first names the page.

    A ``button`` is the name, the value and the text of what sends a form to the page's own address.
    """
    (language, (title, _)), *_ = said.items()
    sections = "".join(
        f'<section lang="{tag}"><h{level}>{heading}</h{level}><p>{sentence}</p></section>\n'
        for (tag, (heading, sentence)), level in zip(said.items(), (1, *[2] * len(said)), strict=False)
    )
    if button is not None:
        name, value, text = button
        sections += f'<form method="post"><button name="{name}" value="{value}">{text}</button></form>\n'
    return (
        f'<!doctype html>\n<html lang="{language}">\n<meta charset="utf-8">\n<meta name="robots" content="noindex">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<title>{title}</title>\n'
        f"<style>{_STYLE}</style>\n<main>\n{sections}</main>\n</html>\n"
    )
