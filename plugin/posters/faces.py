"""The fonts of the posters: which characters they have, and the faces to draw with. See ``fonts/make_fonts.py``."""

import struct
from bisect import bisect_right
from functools import cache, lru_cache
from pathlib import Path

from PIL import ImageFont, features

FOLDER = Path(__file__).parent / "fonts"
BOLD, REGULAR = "PassalongSans-Bold.otf", "PassalongSans-Regular.otf"


@lru_cache(maxsize=64)
def face(name: str, size: int) -> ImageFont.FreeTypeFont:
    """Return a face of a size in pixels."""
    return ImageFont.truetype(FOLDER / name, size)


@cache
def shapes_text() -> bool:
    """Tell whether a text can be given its language, whose shapes it then takes; some systems lack a library for it."""
    return bool(features.check("raqm"))


def covers(name: str, text: str) -> bool:
    """Tell whether a font has every character of a text."""
    firsts, lasts = _ranges(name)
    for character in text:
        code = ord(character)
        place = bisect_right(firsts, code) - 1
        if place < 0 or code > lasts[place]:
            return False
    return True


@cache
def _ranges(name: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Read which characters a font has, as the first and the last of each range.

    Pillow does not tell, and draws a box for what is missing. In the table "cmap", subtables of format 12 list ranges:
    https://learn.microsoft.com/typography/opentype/spec/cmap
    """
    font = (FOLDER / name).read_bytes()
    (tables,) = struct.unpack_from(">H", font, 4)
    entries = (struct.unpack_from(">4sIII", font, 12 + 16 * i) for i in range(tables))
    cmap = next(start for tag, _, start, _ in entries if tag == b"cmap")
    (count,) = struct.unpack_from(">H", font, cmap + 2)
    for i in range(count):
        subtable = cmap + struct.unpack_from(">HHI", font, cmap + 4 + 8 * i)[2]
        if struct.unpack_from(">H", font, subtable) == (12,):
            (groups,) = struct.unpack_from(">I", font, subtable + 12)
            found = [struct.unpack_from(">II", font, subtable + 16 + 12 * group) for group in range(groups)]
            return tuple(first for first, _ in found), tuple(last for _, last in found)
    raise ValueError(f"{name} does not list its characters in format 12.")
