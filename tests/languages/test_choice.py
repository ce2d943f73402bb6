"""Which language is chosen: by its script, by its weight, and English where none is spoken here."""

import pytest
from werkzeug.datastructures import LanguageAccept
from werkzeug.http import parse_accept_header

from plugin.languages import LANGUAGES, choose


def chosen(header: str) -> str:
    """Return what is chosen for a header of a browser."""
    return choose(parse_accept_header(header, LanguageAccept))


@pytest.mark.parametrize(
    ("header", "tag"),
    [
        ("zh-TW,zh;q=0.9,en;q=0.8", "zh-Hant"),
        ("zh-HK", "zh-Hant"),
        ("zh-CN,zh;q=0.9", "zh-Hans"),
        ("zh", "zh-Hans"),
        ("zh-Hant-TW", "zh-Hant"),
        ("ja-JP", "ja"),
        ("en-GB", "en"),
    ],
)
def test_what_browsers_send_gets_the_language_it_means(header: str, tag: str) -> None:
    assert chosen(header) == tag


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        ("zh-MO", "zh-Hant"),
        ("zh-SG", "zh-Hans"),
        ("zh-Hans-HK", "zh-Hans"),
        ("zh-Hant-CN", "zh-Hant"),
        ("ZH_tw", "zh-Hant"),
        ("zh-Hant", "zh-Hant"),
        ("ja", "ja"),
    ],
)
def test_a_script_that_is_named_stands_above_the_region(tag: str, expected: str) -> None:
    assert choose([(tag, 1)]) == expected


def test_the_dearest_that_is_spoken_here_is_chosen_in_whatever_order_they_come() -> None:
    assert choose([("en", 0.5), ("fr", 1), ("ja", 0.9), ("zh-TW", 0.9)]) == "ja"


def test_a_weight_of_zero_is_never_chosen() -> None:
    assert chosen("ja;q=0, zh-TW;q=0.1") == "zh-Hant"
    assert chosen("ja;q=0") == "en"


@pytest.mark.parametrize("header", ["", "*", "fr", "-", "zh-Latn", "yue", "\x00", "fr-" * 500, "_", "x-klingon"])
def test_what_nobody_here_speaks_gets_english(header: str) -> None:
    assert choose([(header, 1)]) == "en"


def test_every_language_is_chosen_by_its_own_tag_and_locale() -> None:
    for language in LANGUAGES.values():
        assert choose([(language.tag, 1)]) == choose([(language.locale, 1)]) == language.tag
        assert choose([(language.open_graph, 1)]) == language.tag
