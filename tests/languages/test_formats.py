"""How amounts, numbers and times are written in each language."""

import pytest

from plugin.domain.moment import DAY, SECOND, parse_moment
from plugin.errors import Malformed
from plugin.languages import LANGUAGES, formats

AT = "2026-11-22T15:04:05Z"
TAIPEI = "Asia/Taipei"


@pytest.mark.parametrize(
    ("currency", "minor", "written"),
    [
        ("TWD", 123_500, ("NT$1,235", "NT$1,235", "NT$1,235", "NT$1,235")),
        ("TWD", 123_450, ("NT$1,234.50", "NT$1,234.50", "NT$1,234.50", "NT$1,234.50")),
        ("JPY", 1_235, ("¥1,235", "JP¥1,235", "JP¥1,235", "¥1,235")),
        ("CNY", 123_450, ("CN¥1,234.50", "CN¥1,234.50", "¥1,234.50", "CN¥1,234.50")),
        ("KWD", 1_234_500, ("KWD\u00a01,234.500", "KWD\u00a01,234.500", "KWD\u00a01,234.500", "KWD\u00a01,234.500")),
        ("USD", 123_450, ("$1,234.50", "US$1,234.50", "US$1,234.50", "US$1,234.50")),
        ("EUR", 5, ("€0.05", "€0.05", "€0.05", "€0.05")),
    ],
)
def test_an_amount_has_the_sign_and_the_digits_its_readers_know(
    currency: str, minor: int, written: tuple[str, ...]
) -> None:
    assert tuple(formats.money(minor, currency, tag) for tag in LANGUAGES) == written


def test_what_is_taken_back_carries_its_sign_first() -> None:
    assert formats.money(-500, "USD", "en") == "-$5.00"
    assert formats.money(-500, "USD", "ja") == "-US$5.00"
    assert formats.money(-100, "TWD", "zh-Hant") == "-NT$1"
    assert formats.money(0, "TWD", "zh-Hant") == "NT$0"


def test_an_amount_as_the_api_prints_it_keeps_every_digit() -> None:
    assert formats.amount("1234.50", "USD", "en") == "$1,234.50"
    assert formats.amount("-1235.00", "TWD", "ja") == "-NT$1,235"
    assert formats.amount("999999999999999.99", "USD", "en") == "$999,999,999,999,999.99"
    assert formats.amount("0.005", "USD", "en") == "$0.005"  # rather three digits than a rounded lie


@pytest.mark.parametrize("text", ["", "1e3", "NaN", "1,000", " 1", "--1", "1.", "٣"])
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(Malformed):
        formats.amount(text, "USD", "en")
    with pytest.raises(Malformed):
        formats.amount("1", "usd", "en")


@pytest.mark.parametrize("tag", LANGUAGES)
def test_numbers_and_percentages(tag: str) -> None:
    assert formats.number(1_234_567, tag) == "1,234,567"
    assert formats.number(-3, tag) == "-3"
    assert formats.number("1234.50", tag) == "1,234.50"
    assert [formats.percent(rate, tag) for rate in ("12.50", "10.00", "100", "0.0001", 7)] == [
        "12.5%",
        "10%",
        "100%",
        "0.0001%",
        "7%",
    ]


@pytest.mark.parametrize(
    ("tag", "date", "near", "time", "moment"),
    [
        ("en", "November 22, 2026", "Nov 22", "11:04 PM", "Nov 22, 2026 11:04 PM"),
        ("zh-Hant", "2026年11月22日", "11月22日", "23:04", "2026年11月22日 23:04"),
        ("zh-Hans", "2026年11月22日", "11月22日", "23:04", "2026年11月22日 23:04"),
        ("ja", "2026年11月22日", "11月22日", "23:04", "2026/11/22 23:04"),
    ],
)
def test_days_and_times_in_a_zone(tag: str, date: str, near: str, time: str, moment: str) -> None:
    for at in (AT, parse_moment(AT)):
        assert formats.date(at, TAIPEI, tag) == date
        assert formats.day_and_month(at, TAIPEI, tag) == near
        assert formats.time(at, TAIPEI, tag) == time
        assert formats.moment(at, TAIPEI, tag) == moment


def test_the_zone_decides_the_day() -> None:
    late = "2026-11-22T20:00:00Z"
    assert formats.date(late, TAIPEI, "en") == "November 23, 2026"
    assert formats.date(late, "America/New_York", "en") == "November 22, 2026"


def test_how_long_ago() -> None:
    now = parse_moment(AT)
    assert [formats.ago(now - 3 * 3_600 * SECOND, now, tag) for tag in LANGUAGES] == [
        "3 hours ago",
        "3 小時前",
        "3小时前",
        "3 時間前",
    ]
    assert formats.ago(now + 2 * DAY, now, "en") == "in 2 days"
    assert [formats.ago(now - 5 * SECOND, now, tag) for tag in LANGUAGES] == ["just now", "剛剛", "刚刚", "たった今"]
