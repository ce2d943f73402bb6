"""Money: what is read, how it is rounded once, and how a whole is shared out without losing a cent."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugin.domain import money
from plugin.domain.money import (
    DIGITS,
    digits,
    format_micros,
    format_minor,
    parse_amounts,
    parse_micros,
    parse_rate,
    round_to_minor,
    share,
    spread,
    step,
)
from plugin.errors import Malformed
from tests.domain.builders import fixed

currencies = st.sampled_from(["USD", "EUR", "TWD", "JPY", "KWD", "CLF"])

# -- currencies --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("currency", "places"),
    [("USD", 2), ("EUR", 2), ("TWD", 2), ("CNY", 2), ("JPY", 0), ("KRW", 0), ("KWD", 3), ("BHD", 3), ("CLF", 4)]
    + [("HUF", 2), ("ISK", 0), ("MGA", 2), ("UYW", 4), ("UYI", 0)],
)
def test_a_currency_has_its_iso_4217_digits(currency: str, places: int) -> None:
    assert digits(currency) == places


@pytest.mark.parametrize(
    "currency", ["usd", "Usd", "US", "USDT", "BTC", "XAU", "XXX", "XTS", "", " USD", None, 840, []]
)
def test_what_is_no_iso_4217_currency_in_upper_case_is_malformed(currency: object) -> None:
    with pytest.raises(Malformed):
        digits(currency)  # type: ignore[arg-type]


def test_every_currency_is_three_capitals_and_stands_once() -> None:
    listed = [code for codes in (money._ZERO, money._TWO, money._THREE, money._FOUR) for code in codes.split()]
    assert len(listed) == len(set(listed)) == len(DIGITS) == 170
    assert all(len(code) == 3 and code.isascii() and code.isupper() for code in listed)


def test_only_the_taiwan_dollar_is_paid_in_whole_units() -> None:
    assert step("TWD") == 100
    assert [step(currency) for currency in ("USD", "JPY", "KWD")] == [1, 1, 1]


# -- reading -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "micros"),
    [
        ("0", 0),
        ("19.99", 19_990_000),
        ("0.000001", 1),
        ("007.5", 7_500_000),
        ("1.100000", 1_100_000),
        ("999999999999999.999999", 999_999_999_999_999_999_999),
    ],
)
def test_a_plain_decimal_is_read_exactly(text: str, micros: int) -> None:
    assert parse_micros(text) == micros


@pytest.mark.parametrize(
    "text",
    ["", " 1", "1 ", "1\n", "-1", "+1", "1e3", "1.", ".5", "1,00", "1.2.3", "1.0000001", "1000000000000000", "NaN", "٣"]
    + ["0x10", "1_000", "１", None, 1, 1.5, True, Decimal("1"), b"1", ["1"]],
)
def test_anything_but_a_plain_decimal_of_15_and_6_digits_is_malformed(text: object) -> None:
    with pytest.raises(Malformed):
        parse_micros(text)


@pytest.mark.parametrize(
    ("text", "rate"), [("0", 0), ("12.5", 125_000), ("33.3333", 333_333), ("100", 1_000_000), ("100.0000", 1_000_000)]
)
def test_a_percentage_is_read_to_four_places(text: str, rate: int) -> None:
    assert parse_rate(text) == rate


@pytest.mark.parametrize(
    "text", ["", "-1", "100.0001", "101", "1000", "1.00001", "1e1", "5%", " 5", "5\n", 5, 5.0, None]
)
def test_a_percentage_is_0_to_100_with_at_most_four_places(text: object) -> None:
    with pytest.raises(Malformed):
        parse_rate(text)


def test_amounts_by_currency_are_read_as_micros() -> None:
    assert parse_amounts({"USD": "5.00", "JPY": "150"}) == {"USD": 5_000_000, "JPY": 150_000_000}


@pytest.mark.parametrize("value", [None, [], "5", {"usd": "5"}, {"USD": 5}, {"USD": "-5"}, {"USD": None}])
def test_amounts_by_currency_must_be_an_object_of_plain_decimals(value: object) -> None:
    with pytest.raises(Malformed):
        parse_amounts(value)


# -- writing -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("minor", "currency", "text"),
    [
        (0, "USD", "0.00"),
        (5, "USD", "0.05"),
        (-5, "USD", "-0.05"),
        (-12_345, "EUR", "-123.45"),
        (100, "TWD", "1.00"),
        (7, "JPY", "7"),
        (-7, "JPY", "-7"),
        (1, "KWD", "0.001"),
        (-1_001, "KWD", "-1.001"),
        (3, "CLF", "0.0003"),
    ],
)
def test_minor_units_are_written_with_exactly_the_currencys_digits(minor: int, currency: str, text: str) -> None:
    assert format_minor(minor, currency) == text


@pytest.mark.parametrize(
    ("micros", "text"),
    [(0, "0.00"), (1, "0.000001"), (1_500_000, "1.50"), (1_234_000, "1.234"), (10**21, f"{10**15}.00")],
)
def test_the_normal_form_writes_the_shortest_decimal_of_at_least_two_places(micros: int, text: str) -> None:
    assert format_micros(micros) == text


@fixed
@given(st.integers(0, 10**21 - 1))
def test_what_the_normal_form_writes_is_read_back(micros: int) -> None:
    assert parse_micros(format_micros(micros)) == micros


@fixed
@given(st.integers(-(10**17), 10**17), currencies)
def test_written_minor_units_are_the_same_number(minor: int, currency: str) -> None:
    text = format_minor(minor, currency)
    assert Decimal(text).scaleb(digits(currency)) == minor
    assert len(text.partition(".")[2]) == digits(currency)


# -- rounding ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("micros", "currency", "minor"),
    [
        (5_000, "USD", 0),  # half a cent goes to the even 0
        (15_000, "USD", 2),  # one and a half to the even 2
        (25_000, "USD", 2),
        (25_001, "USD", 3),
        (Fraction(14_999_999, 1_000), "USD", 1),
        (500_000, "JPY", 0),
        (1_500_000, "JPY", 2),
        (2_500_000, "JPY", 2),
        (500, "KWD", 0),
        (1_500, "KWD", 2),
        (2_500, "KWD", 2),
    ],
)
def test_half_a_minor_unit_goes_to_the_even_one(micros: int | Fraction, currency: str, minor: int) -> None:
    assert round_to_minor(micros, currency) == minor


@pytest.mark.parametrize(
    ("micros", "minor"),
    [(499_999, 0), (500_000, 0), (500_001, 100), (1_500_000, 200), (2_500_000, 200), (3_490_000, 300)],
)
def test_taiwan_dollars_are_rounded_to_whole_ones_half_to_even(micros: int, minor: int) -> None:
    assert round_to_minor(micros, "TWD", unit=step("TWD")) == minor


@fixed
@given(st.fractions(0, 10**12), currencies)
def test_rounding_is_never_off_by_more_than_half_a_unit(exact: Fraction, currency: str) -> None:
    unit = step(currency)
    minor = round_to_minor(exact, currency, unit=unit)
    per_minor = Fraction(money.MICROS, 10 ** digits(currency))
    assert minor % unit == 0 and abs(minor * per_minor - exact) <= per_minor * unit / 2


def test_a_share_is_exact() -> None:
    assert share(19_990_000, parse_rate("12.5")) == 2_498_750
    assert share(10_000, parse_rate("33.3333")) == Fraction(333_333, 100)
    assert share(Fraction(1, 3), parse_rate("100")) == Fraction(1, 3)


# -- sharing out -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("total", "weights", "unit", "parts"),
    [
        (10, [1, 1, 1], 1, [4, 3, 3]),  # ties go to the earlier
        (11, [1, 1, 1], 1, [4, 4, 3]),
        (100, [1, 2, 3], 1, [17, 33, 50]),  # 16.67, 33.33, 50: the larger remainder is the first
        (2, [0, 1, 0, 1], 1, [0, 1, 0, 1]),
        (1, [Fraction(1, 3), Fraction(2, 3)], 1, [0, 1]),
        (300, [1, 1], 100, [200, 100]),
        (7, [0, 0], 1, [7, 0]),
        (0, [1, 2], 1, [0, 0]),
        (0, [], 1, []),
    ],
)
def test_the_largest_remainder_gets_what_is_left(
    total: int, weights: list[int | Fraction], unit: int, parts: list[int]
) -> None:
    assert spread(total, weights, unit=unit) == parts


@fixed
@given(st.integers(0, 10**9), st.lists(st.fractions(0, 10**6), min_size=1, max_size=8), st.sampled_from([1, 100]))
def test_the_parts_add_up_to_the_whole_and_each_is_next_to_its_exact_share(
    units: int, weights: list[Fraction], unit: int
) -> None:
    parts = spread(units * unit, list(weights), unit=unit)
    assert sum(parts) == units * unit and len(parts) == len(weights)
    if whole := sum(weights):
        for part, weight in zip(parts, weights, strict=True):
            assert abs(Fraction(part, unit) - Fraction(units) * weight / whole) < 1
            assert part >= 0
