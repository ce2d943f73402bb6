"""The pictures that sharers keep and post where a link alone would be lost: what is shared, by whom, and its QR code.

Pillow and the fonts are loaded when the first one is drawn, for most processes never draw any.
"""

from dataclasses import dataclass

TEMPLATE = 1  # to be raised with every change of how a poster looks, so that none drawn before is shown again
ACCENT = "#0f766e"


@dataclass(frozen=True, slots=True)
class Layout:
    """How large a poster is, its margin, and the card with the QR code at its foot, in pixels."""

    width: int
    height: int
    margin: int
    card: int


PORTRAIT = Layout(width=750, height=1334, margin=48, card=306)


@dataclass(frozen=True, slots=True)
class Poster:
    """What a poster shows. Texts are as they were written; what the fonts cannot draw is left out.

    ``picture`` is what :func:`plugin.posters.picture.prepare` returned. ``label`` stands above the sharer's name, and
    ``label_alone`` where there is none to show; ``host`` stands for a shop whose name cannot be drawn.
    """

    language: str
    shop: str
    host: str
    title: str | None
    price: str | None
    picture: bytes | None
    label: str
    label_alone: str
    sharer: str | None
    hint: str
    disclosure: str
    address: str
    accent: str = ACCENT
