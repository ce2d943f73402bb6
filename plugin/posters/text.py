"""Making what people wrote fit to be drawn: only characters the font has, in lines that are not too wide."""

import re
import unicodedata
from collections.abc import Callable

READ_MAX = 400  # characters; no line of a poster has room for more
_ELLIPSIS = "…"
# What stands together on a line is one match: an ideograph, a foreign word in katakana, or a word of letters, with the
# punctuation that belongs to it. A line must not begin with closing punctuation, nor end with what opens.
_OPENING = "（「『【《〈〔［｛“‘("
_CLOSING = "、。，．・：；？！…ー～）」』】》〉〕］｝”’々ぁぃぅぇぉっゃゅょァィゥェォッャュョ％!?,.:;)"
_WIDE = "\u2e80-\u30ff\u3400-\u9fff\uf900-\ufaff\uff00-\uff60\U00020000-\U0003ffff"
_KATAKANA = "\u30a1-\u30fa\u30fc-\u30fe"
_PIECE = re.compile(
    rf"\s+|[{re.escape(_OPENING)}]*(?:[{_KATAKANA}]+|[0-9]+[{_WIDE}]|[{_WIDE}]|[^\s{_WIDE}{re.escape(_OPENING)}]+)[{re.escape(_CLOSING)}]*|\S"
)
# Letters that Unicode does not take apart, and the fonts lack.
_STROKES = str.maketrans("ŁłıĦħŦŧ", "LliHhTt")

Covers = Callable[[str], bool]
Width = Callable[[str], float]


def drawable(text: str | None, covers: Covers) -> str | None:
    """Return a text as a font can draw it, in one line; None where a letter would be missing, or where none is left.

    Emoji, signs that cannot be seen, and accents that the font lacks are left out: it is still that name without them.
    """
    kept = []
    for character in unicodedata.normalize("NFC", (text or "")[:READ_MAX]):
        category = unicodedata.category(character)
        if character.isspace():
            kept.append(" ")
        elif category[0] == "C":  # controls, directions, zero widths, halves of surrogates
            continue
        elif covers(character):
            kept.append(character)
        elif (plain := _plain(character)) != character and covers(plain):
            kept.append(plain)
        elif category[0] in "LN":
            return None
    line = " ".join("".join(kept).split())
    return line if any(character.isalnum() for character in line) else None


def _plain(character: str) -> str:
    """Return the letters that one in a circle, in script or with an accent comes from; nothing of an accent alone."""
    whole = unicodedata.normalize("NFKD", character.translate(_STROKES))
    return "".join(one for one in whole if not unicodedata.combining(one))


def drawable_words(text: str | None, covers: Covers) -> str | None:
    """Return a title without the words a font cannot draw; None where these are more than the rest."""
    words = (text or "")[:READ_MAX].split()
    kept = [word for word in (drawable(word, covers) for word in words) if word]
    line = " ".join(kept)
    return line if 2 * _letters(line) > _letters(" ".join(words)) else None


def _letters(text: str) -> int:
    return sum(character.isalnum() for character in text)


def wrap(text: str, width_of: Width, width_max: float, lines_max: int) -> list[str]:
    """Break a text into lines no wider than ``width_max``; what does not fit in ``lines_max`` ends with an ellipsis.

    The lines of what fits are about as wide as each other, so that none ends in a single sign.
    """
    pieces = _pieces(text, width_of, width_max)
    lines = _fill(pieces, width_of, width_max)
    if len(lines) > lines_max:
        return [*lines[: lines_max - 1], shorten(" ".join(lines[lines_max - 1 :]), width_of, width_max)]
    narrow, wide = width_max / 2, width_max
    while len(lines) > 1 and wide - narrow > width_max / 50:
        middle = (narrow + wide) / 2
        tried = _fill(pieces, width_of, middle)
        if len(tried) > len(lines) or max(map(width_of, tried)) > middle:
            narrow = middle
        else:
            lines, wide = tried, middle
    return lines


def _fill(pieces: list[str], width_of: Width, width_max: float) -> list[str]:
    """Put pieces on lines, as many as each has room for."""
    lines, line = [], ""
    for piece in pieces:
        if width_of((line + piece).rstrip()) <= width_max:
            line += piece
        else:
            lines.append(line.rstrip())
            line = piece.lstrip()
    return [line for line in (*lines, line.rstrip()) if line]


def fits(text: str, width_of: Width, width_max: float, lines_max: int) -> bool:
    """Tell whether a text has room in so many lines without a word of it being broken."""
    pieces = _PIECE.findall(text)
    return max(map(width_of, pieces), default=0) <= width_max and len(_fill(pieces, width_of, width_max)) <= lines_max


def shorten(text: str, width_of: Width, width_max: float) -> str:
    """Return a text in one line, cut and ended with an ellipsis where it is too wide."""
    if width_of(text) <= width_max:
        return text
    low, high = 0, len(text)  # how many characters surely fit, and surely do not
    while high - low > 1:
        middle = (low + high) // 2
        if width_of(_cut(text, middle)) <= width_max:
            low = middle
        else:
            high = middle
    return _cut(text, low)


def _cut(text: str, length: int) -> str:
    kept = text[:length].rstrip().rstrip(_OPENING + "、，,。.:：")
    # The font's ellipsis stands as high as ideographs want it, and looks wrong after a Latin letter.
    return kept + (_ELLIPSIS if not kept or ord(kept[-1]) > 0x2E80 else "...")


def _pieces(text: str, width_of: Width, width_max: float) -> list[str]:
    """Return what may stand together, in order; a word wider than a whole line is broken anywhere."""
    pieces: list[str] = []
    for piece in _PIECE.findall(text):
        while width_of(piece) > width_max and len(piece) > 1:
            length = len(piece) - 1
            while length > 1 and width_of(piece[:length]) > width_max:
                length -= max(1, length // 8)
            pieces.append(piece[:length])
            piece = piece[length:]
        pieces.append(piece)
    return pieces
