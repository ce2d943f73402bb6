"""Where a shop probably is: currency and time zone, guessed from the languages of its owner's browser."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from zoneinfo import available_timezones

from babel.core import get_global
from babel.numbers import get_currency_name, get_territory_currencies

from plugin.domain.money import DIGITS
from plugin.languages import LANGUAGES

# Where a language without a region is mostly spoken by those who run shops.
_HOMES = {"en": "US", "zh": "CN", "ja": "JP", "ko": "KR", "de": "DE", "fr": "FR", "es": "ES", "th": "TH", "vi": "VN"}
# The zone of most people, where a country has several.
_ZONES = {
    "AR": "America/Argentina/Buenos_Aires", "AU": "Australia/Sydney", "BR": "America/Sao_Paulo",
    "CA": "America/Toronto", "CL": "America/Santiago", "CN": "Asia/Shanghai", "DE": "Europe/Berlin",
    "ES": "Europe/Madrid", "ID": "Asia/Jakarta", "MX": "America/Mexico_City", "MY": "Asia/Kuala_Lumpur",
    "NZ": "Pacific/Auckland", "PT": "Europe/Lisbon", "RU": "Europe/Moscow", "US": "America/New_York",
}  # fmt: skip
_COMMON = ("USD", "TWD", "HKD", "CNY", "JPY", "EUR", "GBP", "SGD", "MYR", "KRW", "AUD", "CAD")
_AREAS = ("Africa/", "America/", "Antarctica/", "Asia/", "Atlantic/", "Australia/", "Europe/", "Indian/", "Pacific/")

Options = Sequence[tuple[str, str]]


def guess(accepted: Iterable[str]) -> tuple[str, str]:
    """Return a currency and a time zone for the first of the language tags that says where its speaker is."""
    for tag in accepted:
        language, *more = tag.replace("_", "-").split("-")
        region = next((part.upper() for part in more if len(part) == 2 and part.isalpha()), None)
        region = region or ("TW" if "Hant" in more else _HOMES.get(language.lower()))
        zones = get_global("territory_zones").get(region) if region else None
        if region and zones:
            return _currency(region), _ZONES.get(region, zones[0])
    return "USD", "UTC"


def _currency(region: str) -> str:
    return next((code for code in get_territory_currencies(region) if code in DIGITS), "USD")


@lru_cache(maxsize=64)
def currency_options(tag: str) -> Options:
    """Return every currency with its name in a language: the usual ones first, then by code."""
    locale = LANGUAGES[tag].locale
    codes = [*_COMMON, *sorted(DIGITS.keys() - set(_COMMON))]
    return [(code, f"{code} · {get_currency_name(code, locale=locale)}") for code in codes]


@lru_cache(maxsize=1)
def zone_options() -> Options:
    """Return every time zone that is named after a place."""
    return [(name, name.replace("_", " ")) for name in ("UTC", *sorted(available_timezones())) if _is_place(name)]


def _is_place(name: str) -> bool:
    return name == "UTC" or name.startswith(_AREAS)
