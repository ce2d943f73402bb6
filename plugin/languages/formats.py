"""Amounts, numbers and times as a language writes them. ``tag`` is one of ``plugin.languages.LANGUAGES``.

What is written is exact: nothing is rounded here, the books have done that.
"""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache, lru_cache
from zoneinfo import ZoneInfo

from babel import Locale, dates, numbers

from plugin.domain.moment import SECOND, parse_moment
from plugin.domain.money import WHOLE_UNITS, digits, format_minor
from plugin.errors import Malformed
from plugin.languages import LANGUAGES, texts

# Where CLDR's sign is another than the language's readers see on price tags, or would be read as another currency:
# a bare $ is Taiwan's own there, the yen and the yuan share ¥, and 元 before a number is nobody's.
_SYMBOLS = {
    "TWD": dict.fromkeys(LANGUAGES, "NT$"),
    "USD": {"en": "$", "zh-Hant": "US$", "zh-Hans": "US$", "ja": "US$"},
    "JPY": {"en": "¥", "zh-Hant": "JP¥", "zh-Hans": "JP¥", "ja": "¥"},
    "CNY": {"en": "CN¥", "zh-Hant": "CN¥", "zh-Hans": "¥", "ja": "CN¥"},
    "KRW": dict.fromkeys(LANGUAGES, "₩"),
}
# CLDR's clock for Taiwan names the time of day (下午3:04), which no list of times lines up.
_CLOCK = {"en": "h:mm a", "zh-Hant": "HH:mm", "zh-Hans": "HH:mm", "ja": "H:mm"}

_PLAIN = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,6})?", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NO_BREAK_SPACE = "\u00a0"


def money(minor: int, currency: str, tag: str) -> str:
    """Write minor units of a currency; raise Malformed for an unknown one."""
    return amount(format_minor(minor, currency), currency, tag)


def amount(text: str, currency: str, tag: str) -> str:
    """Write an amount that is a decimal string, as the API prints it; raise Malformed for anything else."""
    value = _decimal(text)
    places = max(digits(currency), -int(value.as_tuple().exponent))
    if currency in WHOLE_UNITS and value == value.to_integral_value():
        places = 0
    symbol = _symbol(currency, tag)
    space = _NO_BREAK_SPACE if symbol[-1].isalpha() else ""
    sign = "-" if value < 0 else ""
    return f"{sign}{symbol}{space}{_unsigned(value, places, tag)}"


@lru_cache(maxsize=1_024)
def _symbol(currency: str, tag: str) -> str:
    own = _SYMBOLS.get(currency)
    return own[tag] if own else str(numbers.get_currency_symbol(currency, locale=_locale(tag)))


def number(value: int | str, tag: str) -> str:
    """Write a whole number, or a decimal string with all its places."""
    exact = _decimal(str(value))
    return _signed(exact, -int(exact.as_tuple().exponent), tag)


def percent(rate: int | str, tag: str) -> str:
    """Write a percentage as plans and the API hold it: ``"12.50"`` is written 12.5%."""
    exact = _decimal(str(rate)).normalize()
    return f"{_signed(exact, max(0, -int(exact.as_tuple().exponent)), tag)}%"


def _signed(value: Decimal, places: int, tag: str) -> str:
    return f"{'-' if value < 0 else ''}{_unsigned(value, places, tag)}"


def _unsigned(value: Decimal, places: int, tag: str) -> str:
    """Write a number without its sign, grouped as the language does."""
    return numbers.format_decimal(abs(value), format=_pattern(places, tag), locale=_locale(tag))


@cache
def _pattern(places: int, tag: str) -> str:
    whole = str(_locale(tag).decimal_formats[None].pattern).partition(".")[0]
    return f"{whole}.{'0' * places}" if places else whole


def _decimal(text: str) -> Decimal:
    if not _PLAIN.fullmatch(text):
        raise Malformed("A number is not a plain decimal string.")
    return Decimal(text)


def date(at: int | str, zone: str, tag: str) -> str:
    """Write the day of a moment (microseconds since 1970, or ISO 8601 with a zone) in an IANA time zone."""
    return dates.format_date(_local(at, zone), format="long", locale=_locale(tag))


def day_and_month(at: int | str, zone: str, tag: str) -> str:
    """Write the day of a moment without its year, for what is near."""
    return dates.format_skeleton("MMMd", _local(at, zone), locale=_locale(tag))


def month(text: str, tag: str) -> str:
    """Write a month that is given as ``2026-11``; raise ValueError for anything else."""
    return dates.format_skeleton("yMMM", datetime.strptime(text, "%Y-%m").replace(tzinfo=UTC), locale=_locale(tag))


def time(at: int | str, zone: str, tag: str) -> str:
    """Write the time of day of a moment, to the minute."""
    return dates.format_time(_local(at, zone), format=_CLOCK[tag], locale=_locale(tag))


def moment(at: int | str, zone: str, tag: str) -> str:
    """Write the day and the time of a moment."""
    day = dates.format_date(_local(at, zone), format="medium", locale=_locale(tag))
    return f"{day} {time(at, zone, tag)}"


def ago(at: int | str, now: int, tag: str) -> str:
    """Write how long before ``now`` a moment was, or how long after it will be, in its largest unit."""
    apart = _microseconds(at) - now
    if abs(apart) < 60 * SECOND:
        return texts(tag).gettext("just now")
    return dates.format_timedelta(timedelta(microseconds=apart), add_direction=True, locale=_locale(tag))


def _local(at: int | str, zone: str) -> datetime:
    return (_EPOCH + timedelta(microseconds=_microseconds(at))).astimezone(ZoneInfo(zone))


def _microseconds(at: int | str) -> int:
    return parse_moment(at) if isinstance(at, str) else at


@cache
def _locale(tag: str) -> Locale:
    return Locale.parse(LANGUAGES[tag].locale)
