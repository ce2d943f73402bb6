"""Money: integer minor units with a currency, and the exact reckoning before it.

While an amount is reckoned it is exact: an ``int`` or ``Fraction`` of *micros* (millionths of the currency's major
unit). It becomes minor units in one place, :func:`round_to_minor`. A float never appears.
"""

import re
from fractions import Fraction

from plugin.errors import Malformed

Exact = int | Fraction

MICROS = 1_000_000
POWERS = (1, 10, 100, 1_000, 10_000)  # of ten, by a currency's digits

# ISO 4217 list one: digits after the decimal sign. Codes without a minor unit (gold, testing, …) are no money here.
_ZERO = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"
_THREE = "BHD IQD JOD KWD LYD OMR TND"
_FOUR = "CLF UYW"
_TWO = (
    "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF "
    "CHW CNY COP COU CRC CUC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HRK "
    "HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR "
    "MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP "
    "SLE SLL SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XCD XCG YER "
    "ZAR ZMW ZWG ZWL"
)
DIGITS: dict[str, int] = {
    code: digits
    for digits, codes in ((0, _ZERO), (2, _TWO), (3, _THREE), (4, _FOUR))
    for code in codes.split()
}

# Taiwan's dollar has two digits on paper and none in any till: commissions are whole dollars.
WHOLE_UNITS = frozenset({"TWD"})

_PLAIN = re.compile(r"[0-9]{1,15}(\.[0-9]{1,6})?", re.ASCII)
_PERCENT = re.compile(r"[0-9]{1,3}(\.[0-9]{1,4})?", re.ASCII)


def digits(currency: str) -> int:
    """Return how many digits the currency has after the decimal sign (ISO 4217); raise Malformed if unknown."""
    try:
        return DIGITS[currency]
    except (KeyError, TypeError):
        raise Malformed("The currency is not an ISO 4217 code in upper case.") from None


def step(currency: str) -> int:
    """Return the smallest amount a commission moves by, in minor units: 100 for TWD, else 1."""
    return 100 if currency in WHOLE_UNITS else 1


def parse_micros(text: object) -> int:
    """Read a plain decimal string (no sign, no exponent, at most 15.6 digits) as micros; raise Malformed."""
    if not isinstance(text, str) or not _PLAIN.fullmatch(text):
        raise Malformed("An amount is not a plain decimal string of at most 15 digits before and 6 after the point.")
    whole, _, part = text.partition(".")
    return int(whole) * MICROS + int(part.ljust(6, "0") or "0")


def parse_rate(text: object) -> int:
    """Read a percentage (a string from 0 to 100, at most 4 places) as ten-thousandths of a percent; raise Malformed."""
    if not isinstance(text, str) or not _PERCENT.fullmatch(text):
        raise Malformed("Must be a decimal string of a percentage with at most 4 places.")
    whole, _, part = text.partition(".")
    rate = int(whole) * 10_000 + int(part.ljust(4, "0") or "0")
    if rate > 1_000_000:
        raise Malformed("Must not be more than 100.")
    return rate


def parse_amounts(value: object) -> dict[str, int]:
    """Read amounts by currency, ``{"USD": "5.00"}``, as micros; raise Malformed."""
    if not isinstance(value, dict):
        raise Malformed("Must be an object of amounts by currency.")
    for currency in value:
        digits(currency)
    return {currency: parse_micros(amount) for currency, amount in value.items()}


def share(exact: Exact, rate: int) -> Fraction:
    """Return ``rate`` ten-thousandths of a percent of an exact amount."""
    return Fraction(exact * rate, 1_000_000)


def format_micros(micros: int) -> str:
    """Write micros as the shortest plain decimal with at least two places, the normal form's own spelling."""
    whole, part = divmod(micros, MICROS)
    return f"{whole}.{f'{part:06d}'.rstrip('0').ljust(2, '0')}"


def round_to_minor(exact: Exact, currency: str, *, unit: int = 1) -> int:
    """Round exact micros half to even to minor units, in multiples of ``unit`` minor units."""
    step_size, scale = exact.denominator * MICROS * unit, POWERS[digits(currency)]
    units, rest = divmod(exact.numerator * scale, step_size)
    is_up = 2 * rest > step_size or (2 * rest == step_size and units % 2 == 1)
    return (units + is_up) * unit


def format_minor(minor: int, currency: str) -> str:
    """Write minor units as a decimal string with exactly the currency's ISO 4217 digits."""
    places = digits(currency)
    sign, minor = ("-", -minor) if minor < 0 else ("", minor)
    if not places:
        return f"{sign}{minor}"
    whole, part = divmod(minor, 10**places)
    return f"{sign}{whole}.{part:0{places}d}"


def spread(total: int, weights: list[Exact], *, unit: int = 1) -> list[int]:
    """Share ``total`` minor units out by weight in multiples of ``unit``, by largest remainder, ties to the earlier.

    The parts add up to the total. With no weight at all everything falls to the first.
    """
    whole = sum(weights)
    units = total // unit
    if not whole:
        return [total] + [0] * (len(weights) - 1) if weights else []
    exact = [Fraction(units) * weight / whole for weight in weights]
    parts = [share.numerator // share.denominator for share in exact]
    rest = units - sum(parts)
    by_remainder = sorted(range(len(parts)), key=lambda index: (parts[index] - exact[index], index))
    for index in by_remainder[:rest]:
        parts[index] += 1
    return [part * unit for part in parts]
