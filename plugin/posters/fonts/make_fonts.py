"""Makes the fonts of the posters out of Noto Sans CJK; for maintainers, after a change of what must be drawable.

    python -m pip install fonttools
    python plugin/posters/fonts/make_fonts.py /usr/share/fonts/opentype/noto

The folder is that of Debian's package fonts-noto-cjk. The whole fonts weigh 40 MB; what is kept are the characters that
people in Taiwan, China, Japan and Europe write their names and wares with. The bold face draws what people wrote; the
regular face draws only what the catalogs of the posters say. Both hold the shapes of Taiwan, and for texts in the other
languages theirs. They have a name of their own, as the licence of the originals asks; see OFL.txt beside them.
"""

import re
import sys
import unicodedata
from collections.abc import Iterator
from pathlib import Path

from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTFont
from fontTools.ttLib.tables._c_m_a_p import CmapSubtable

FOLDER = Path(__file__).parent
CATALOGS = FOLDER.parents[1] / "languages"
TAIWAN = 3  # the face of Noto's collections that has its shapes
FAMILY = "Passalong Sans"
VERSION = "Version 1.000"
COPYRIGHT = "Copyright 2014-2021 Adobe (http://www.adobe.com/). Made of Noto Sans CJK TC 2.004; see OFL.txt."
# Latin, Greek, Cyrillic, Vietnamese, punctuation, currencies, arrows, numbers in circles, stars, kana, full widths.
_RANGES = (
    (0x20, 0x7E), (0xA0, 0x24F), (0x370, 0x3FF), (0x400, 0x4FF), (0x1E00, 0x1EFF), (0x2010, 0x2027), (0x2030, 0x205E),
    (0x20A0, 0x20BF), (0x2100, 0x2122), (0x2150, 0x2199), (0x2460, 0x2473), (0x25A0, 0x25CF), (0x2605, 0x2606),
    (0x2640, 0x2642), (0x2665, 0x266F), (0x3000, 0x301C), (0x3041, 0x3096), (0x309B, 0x30FF), (0x32A3, 0x32A3),
    (0xFF01, 0xFF60), (0xFFE0, 0xFFE6),
)  # fmt: skip
# The common characters of each standard by their first and last codes, and the rarer ones.
_TAIWAN, _CHINA, _JAPAN = (0xA440, 0xC67E), (0xB0A1, 0xD7FE), (0xB0A1, 0xCFFE)
_TAIWAN_RARER, _CHINA_RARER, _JAPAN_RARER = (0xC940, 0xF9FE), (0xD8A1, 0xF7FE), (0xD0A1, 0xF4FE)
# Of names, and in no list below: Taiwan's and China's registers of given names, and Japan's.
_NAMES = "喆堃彣瑄媗妘甯霈翊蓁璇婕鈊鋐堉昱玹翎澪栞﨑髙𠮷祐禎頴凛煕燿曦晢旻昊玟玥珺琁琋瑀璟璿珈翃翾薰鑫鎧鏵峯嵩崧巖裏"


def _double_byte(encoding: str, first: int, last: int) -> Iterator[str]:
    """Yield the characters from one code of two bytes to another."""
    for code in range(first, last + 1):
        try:
            character = code.to_bytes(2, "big").decode(encoding)
        except UnicodeDecodeError:
            continue
        if len(character) == 1:
            yield character


def _characters() -> set[str]:
    """Return what the bold face can draw: the common characters, and of the rarer ones a part."""
    # Of Taiwan and China those that both list: the rest is twice as many again, and hardly ever written.
    common = {
        *_double_byte("big5", *_TAIWAN),
        *_double_byte("gb2312", *_CHINA),
        *_double_byte("euc_jp", *_JAPAN),
        *_double_byte("euc_jp", *_JAPAN_RARER),
    }
    rarer = set(_double_byte("big5", *_TAIWAN_RARER)) & set(_double_byte("gb2312", *_CHINA_RARER))
    return common | rarer | set(_NAMES) | {chr(code) for first, last in _RANGES for code in range(first, last + 1)}


def _said() -> set[str]:
    """Return what the regular face can draw: the posters' own sentences in every language, and amounts."""
    latin = {chr(code) for code in (*range(0x20, 0x7F), *range(0xA0, 0x180), *range(0x20A0, 0x20C0), 0x2019, 0x2026)}
    catalogs = CATALOGS.glob("*/posters.po")
    return latin.union(*(re.sub(r"\\.", "", path.read_text(encoding="utf-8")) for path in catalogs)) - {"\n"}


def make(source: Path, weight: str, characters: set[str], local: dict[str, set[str]], features: list[str]) -> None:
    """Write one face with only these characters and abilities, under a name of its own.

    ``local`` are, by OpenType's tag of a language, the characters that take that language's shape in its texts.
    """
    font = TTFont(source, fontNumber=TAIWAN, recalcTimestamp=False)
    _keep_shapes(font, local)
    options = Options()
    options.hinting = False
    options.layout_features = ["locl", *features]
    options.name_IDs = []
    subsetter = Subsetter(options)
    subsetter.populate(unicodes=[ord(one) for one in characters])
    subsetter.subset(font)
    _list_in_ranges(font)
    target = FOLDER / f"{_rename(font, weight)}.otf"
    font.save(target)
    print(f"{target.name}: {len(font.getBestCmap())} characters, {target.stat().st_size} bytes")


def _keep_shapes(font: TTFont, local: dict[str, set[str]]) -> None:
    """Let only these characters have another shape in a language; the rest of them would double the font."""
    table, cmap = font["GSUB"].table, font.getBestCmap()
    for script in table.ScriptList.ScriptRecord:
        for language in script.Script.LangSysRecord:
            kept = {cmap[ord(one)] for one in local.get(language.LangSysTag.strip(), ()) if ord(one) in cmap}
            for index in language.LangSys.FeatureIndex:
                record = table.FeatureList.FeatureRecord[index]
                if record.FeatureTag != "locl":
                    continue
                for number in record.Feature.LookupListIndex:
                    for subtable in table.LookupList.Lookup[number].SubTable:
                        single = getattr(subtable, "ExtSubTable", subtable)
                        single.mapping = {one: other for one, other in single.mapping.items() if one in kept}


def _rename(font: TTFont, weight: str) -> str:
    """Give the font its own name, as its licence asks; return the one that files go by."""
    whole, file = f"{FAMILY} {weight}", f"{FAMILY.replace(' ', '')}-{weight}"
    names = {0: COPYRIGHT, 1: FAMILY, 2: weight, 3: f"{whole} {VERSION}", 4: whole, 5: VERSION, 6: file}
    names |= {13: "SIL Open Font License 1.1", 14: "https://openfontlicense.org"}
    for number, text in names.items():
        font["name"].setName(text, number, 3, 1, 0x409)
    inner = font["CFF "].cff
    inner.fontNames = [file]
    top = inner.topDictIndex[0]
    top.FullName, top.FamilyName, top.Weight = whole, FAMILY, weight
    top.Notice = top.Copyright = COPYRIGHT
    return file


def _list_in_ranges(font: TTFont) -> None:
    """Have the font list its characters in format 12 alone, which ``plugin.posters.faces`` reads."""
    whole = CmapSubtable.newSubtable(12)
    whole.platformID, whole.platEncID, whole.language, whole.cmap = 3, 10, 0, font.getBestCmap()
    font["cmap"].tables = [whole]


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    said, marks = _said(), {one for one in _characters() if unicodedata.category(one)[0] in "PS"}
    japan, china = set(_double_byte("euc_jp", *_JAPAN)), set(_double_byte("gb2312", *_CHINA))
    shapes = {"JAN": marks | japan, "ZHS": marks | china}
    make(folder / "NotoSansCJK-Bold.ttc", "Bold", _characters(), shapes, ["kern", "ccmp", "mark"])
    make(folder / "NotoSansCJK-Regular.ttc", "Regular", said, {"JAN": said, "ZHS": said}, ["kern", "ccmp"])
