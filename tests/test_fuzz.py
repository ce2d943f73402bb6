"""The fuzz of ``make soak`` finds what it is there to find: faults are put in, and each must be told with its seed."""

from typing import Any

import pytest

from plugin.shops.base import Said
from plugin.shops.woocommerce import WooCommerce
from tests import fuzz

ARGUMENTS = ["--inputs", "300", "--seed", "7", "--core", "1"]
READS = WooCommerce.parse


def test_nothing_is_found_in_a_short_run_and_it_is_the_same_run_each_time(capsys: pytest.CaptureFixture[str]) -> None:
    told = []
    for _ in range(2):
        assert fuzz.main(ARGUMENTS) == 0
        first, *counts = capsys.readouterr().out.splitlines()
        assert "300 inputs" in first and "KiB at most" in first
        told.append(counts)
    assert told[0] == told[1] and any("understood" in line and "refused" in line for line in told[0])


def test_an_undeclared_error_is_told_and_can_be_seen_again(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def parse(self: WooCommerce, topic: str, body: bytes) -> Said:
        if b"\xff" in body:
            raise ZeroDivisionError("a fault of ours")
        return READS(self, topic, body)

    monkeypatch.setattr(WooCommerce, "parse", parse)
    assert fuzz.main(ARGUMENTS) == 1
    found = [line for line in capsys.readouterr().out.splitlines() if line.startswith("FOUND")]
    assert found and all("woocommerce: ZeroDivisionError" in line for line in found)
    again = found[0].removeprefix("FOUND ").partition(":")[0].split()
    assert fuzz.main(again) == 1
    assert found[0] in capsys.readouterr().out


def test_an_order_that_does_not_survive_and_a_forged_body_that_holds_are_told(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(WooCommerce, "verify", lambda *_: None)
    monkeypatch.setattr("tests.shops.mutations.read_state", lambda text: _Other(text))
    assert fuzz.main(ARGUMENTS) == 1
    told = capsys.readouterr().out
    assert "a signature holds over a body that was not signed" in told
    assert "an order does not survive the form that is stored" in told


class _Other:
    def __init__(self, text: str) -> None:
        self.text = text + " "


def test_what_takes_too_long_or_keeps_too_much_is_told(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[Any] = []

    def parse(self: WooCommerce, topic: str, body: bytes) -> Said:
        kept.append(bytearray(2**20))
        return READS(self, topic, body)

    monkeypatch.setattr(WooCommerce, "parse", parse)
    monkeypatch.setattr(fuzz, "FOUND_MAX", 1_000)
    monkeypatch.setattr(fuzz, "GROWTH_BYTES_MAX", 20 * 2**20)
    monkeypatch.setattr(fuzz, "SECONDS_MAX", 0.0)
    assert fuzz.main(ARGUMENTS) == 1
    told = capsys.readouterr().out
    assert "memory grew by" in told and "s of the processor" in told
