"""Moments: whole microseconds in UTC, whatever zone the text was written in."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugin.domain.moment import DAY, SECOND, format_moment, parse_moment
from plugin.errors import Malformed
from tests.domain.builders import fixed

LATEST = 253_370_764_800 * SECOND - 1


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-02T00:00:00+00:00", DAY),
        ("1970-01-01T08:00:01+08:00", SECOND),
        ("1969-12-31T20:00:00-04:00", 0),
        ("2026-11-01T10:00:00.000001Z", 1_793_527_200_000_001),
        ("2026-11-01 10:00:00Z", 1_793_527_200_000_000),
        ("20261101T100000Z", 1_793_527_200_000_000),
        ("9998-12-31T23:59:59.999999Z", LATEST),
    ],
)
def test_a_time_with_a_zone_is_read(text: str, moment: int) -> None:
    assert parse_moment(text) == moment


@pytest.mark.parametrize(
    "text",
    ["", "2026-11-01", "2026-11-01T10:00:00", "2026-02-30T00:00:00Z", "2026-11-01T25:00:00Z", "1793527200", "now"]
    + ["1969-12-31T23:59:59Z", "9999-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"]
    + [
        "2026-11-01T10:00:00Z" + " " * 30,
        "2026-11-01T10:00:00Z\n",
        None,
        1_793_527_200,
        1.5,
        True,
        b"2026-11-01T10:00:00Z",
    ],
)
def test_anything_else_is_malformed(text: object) -> None:
    with pytest.raises(Malformed):
        parse_moment(text)


def test_it_is_written_in_utc_with_a_fraction_only_where_there_is_one() -> None:
    assert format_moment(0) == "1970-01-01T00:00:00Z"
    assert format_moment(1_793_527_200_000_000) == "2026-11-01T10:00:00Z"
    assert format_moment(1_793_527_200_000_001) == "2026-11-01T10:00:00.000001Z"


def test_a_day_is_24_hours_whatever_the_clocks_do() -> None:
    before, after = parse_moment("2026-03-28T12:00:00+01:00"), parse_moment("2026-03-29T12:00:00+02:00")
    assert after - before == DAY - 3_600 * SECOND


@fixed
@given(st.integers(0, LATEST))
def test_what_is_written_is_read_back(moment: int) -> None:
    assert parse_moment(format_moment(moment)) == moment


@fixed
@given(st.integers(2 * DAY, LATEST - 2 * DAY), st.integers(-23 * 60, 23 * 60))
def test_the_zone_changes_nothing(moment: int, offset: int) -> None:
    text = format_moment(moment + offset * 60 * SECOND).removesuffix("Z")
    zone = f"{'-' if offset < 0 else '+'}{abs(offset) // 60:02d}:{abs(offset) % 60:02d}"
    assert parse_moment(text + zone) == moment


@fixed
@given(st.integers(0, LATEST))
def test_text_is_what_the_standard_library_writes(moment: int) -> None:
    value = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=moment)
    assert datetime.fromisoformat(format_moment(moment)) == value
