"""What is left of a text that is drawn, how it is broken into lines, and that the fonts have what they must have."""

from collections.abc import Iterator
from functools import partial

import pytest

from plugin.languages import LANGUAGES, texts
from plugin.posters.faces import BOLD, FOLDER, REGULAR, covers, face
from plugin.posters.text import READ_MAX, drawable, drawable_words, fits, shorten, wrap

has = partial(covers, BOLD)


def width(text: str) -> float:
    """Take ideographs for two wide, and all else for one."""
    return sum(2 if ord(one) > 0x2E80 else 1 for one in text)


def listed(encoding: str, first: int, last: int) -> Iterator[str]:
    """Yield the characters that a national standard lists between two codes."""
    for code in range(first, last + 1):
        one = code.to_bytes(2, "big").decode(encoding, "ignore")
        if len(one) == 1 and one.isalpha():
            yield one


# --- the fonts --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("encoding", "first", "last", "least"),
    [("big5", 0xA440, 0xC67E, 5_400), ("gb2312", 0xB0A1, 0xD7FE, 3_755), ("euc_jp", 0xB0A1, 0xF4FE, 6_355)],
)
def test_the_font_has_the_common_characters_of_each_country(encoding: str, first: int, last: int, least: int) -> None:
    expected = list(listed(encoding, first, last))
    assert len(expected) >= least and [one for one in expected if not has(one)] == []


@pytest.mark.parametrize(
    "text",
    [
        "瑄蓁翊霈喆妘沂甯妤筠芸", "沢桜斎辺広渋澪栞凛髙﨑", "关链门龙饼晒", "あいうえおアイウエオー、。「」",
        "Àéîõüñçßøåœđ",
        "Ελληνικα", "Русский", "Tiếng Việt", "NT$1,235 US$ ¥ € £ ₩ ₫", "…—–‘’“”•·×÷±°©®™№①★☆♪→",
    ],
)  # fmt: skip
def test_the_font_has_what_names_and_wares_are_written_with(text: str) -> None:
    assert [one for one in text if not has(one)] == []


def test_what_the_font_lacks_is_known() -> None:
    assert not any(map(has, "김محमש𠀀🎉ไ\u200b\ufffe\U0010ffff"))


def test_no_character_that_is_said_to_be_there_is_drawn_as_a_box() -> None:
    box = bytes(face(BOLD, 40).getmask("김"))
    for one in "A瑄澪链饼あア€★":
        assert has(one) and bytes(face(BOLD, 40).getmask(one)) not in (box, b""), one


@pytest.mark.parametrize("tag", LANGUAGES)
def test_the_regular_face_has_every_sentence_of_the_posters(tag: str) -> None:
    """After a change of a sentence the fonts have to be made again: see plugin/posters/fonts/make_fonts.py."""
    for said in (
        "Recommended by",
        "Recommended to you",
        "Press and hold the code to see it",
        "The person who shares this may earn a commission on a purchase.",
    ):
        assert covers(REGULAR, texts(tag).gettext(said)) and has(texts(tag).gettext(said))


def test_the_fonts_licence_lies_beside_them_and_they_bear_no_reserved_name() -> None:
    licence = (FOLDER / "OFL.txt").read_text()
    assert "SIL OPEN FONT LICENSE Version 1.1" in licence and "Reserved Font Name 'Source'" in licence
    for name in (BOLD, REGULAR):
        assert name in licence
        family, _ = face(name, 20).getname()
        assert family == "Passalong Sans"


# --- what is left of a text -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("王小明", "王小明"), (" Alice \n Weaver\t", "Alice Weaver"), ("Alice 🎉✨", "Alice"), ("Zoe\u0301", "Zoé"),
        ("\u202eAlice\u202c", "Alice"), ("A\u200bl\u00adice", "Alice"),
        ("Z̷̢a̴l̵g̶o̸", "Zalgo"), ("𝓐𝓵𝓲𝓬𝓮", "Alice"), ("Ⓐlice", "Alice"),
        ("김민지", None), ("محمد", None), ("Alice 김", None),
        ("Łukasz Şahin", "Lukasz Sahin"), ("Žofie Čapková", "Zofie Capková"),
        ("🎉", None), ("", None), (None, None), ("!!!", None),
        ("\ud800Alice", "Alice"), ("x" * 1_000, "x" * READ_MAX), ("O'Brien-Søndergård", "O'Brien-Søndergård"),
    ],
)  # fmt: skip
def test_a_name_is_drawn_whole_or_not_at_all(text: str | None, left: str | None) -> None:
    assert drawable(text, has) == left


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("韓國泡菜 김치 一公斤", "韓國泡菜 一公斤"), ("🔥Hot🔥 sale", "Hot sale"), ("김치 1kg", "1kg"),
        ("김치맛 라면 A", None),
        ("", None), (None, None), ("🎉 🎉", None),
    ],
)  # fmt: skip
def test_a_title_goes_without_the_words_that_cannot_be_drawn(text: str | None, left: str | None) -> None:
    assert drawable_words(text, has) == left


# --- lines ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("one two three four", ["one two", "three four"]),
        ("長按掃描，立即查看", ["長按掃描，", "立即查看"]),
        ("柿餅（二十入）禮盒", ["柿餅（二十", "入）禮盒"]),
        ("天日干し柿ギフト", ["天日干し", "柿ギフト"]),
        ("単語ギフトボックス", ["単語", "ギフトボックス"]),
        ("木の箱には12個入り", ["木の箱には", "12個入り"]),
        ("短", ["短"]),
        ("", []),
    ],
)
def test_lines_are_broken_where_a_reader_would(text: str, lines: list[str]) -> None:
    assert wrap(text, width, 14, 3) == lines


@pytest.mark.parametrize(
    "text", ["長" * 300, "W" * 300, "word " * 80, "。" * 50, "（" * 50, "a長" * 100, "-" * 99, "1" * 99]
)
@pytest.mark.parametrize("lines_max", [1, 2, 5])
def test_no_line_is_too_wide_and_there_are_not_too_many(text: str, lines_max: int) -> None:
    lines = wrap(text, width, 20, lines_max)
    assert 0 < len(lines) <= lines_max and all(width(line) <= 20 for line in lines)
    assert width(text) <= 20 * lines_max or lines[-1].endswith(("…", "..."))


def test_a_line_never_begins_with_what_closes_or_ends_with_what_opens() -> None:
    text = "商品「柿餅」、（禮盒）。好吃！真的？是的…" * 3
    for size in range(8, 40, 2):
        for line in wrap(text, width, size, 99):
            assert line[0] not in "」、）。！？…" and line[-1] not in "「（", (size, line)


def test_what_is_cut_ends_with_an_ellipsis_of_its_script() -> None:
    assert shorten("recommended", width, 8) == "recom..."
    assert shorten("日曬柿餅禮盒", width, 8) == "日曬柿…"
    assert shorten("fits", width, 4) == "fits"


def test_a_word_that_is_wider_than_a_line_does_not_fit() -> None:
    assert fits("two words", width, 5, 2) and not fits("two words", width, 4, 9)
    assert not fits("one two three", width, 5, 2)
