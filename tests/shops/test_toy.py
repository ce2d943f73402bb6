"""One file and its data are all a new shop needs: a made-up one goes into a copy of the tree, and the suites run there.

The same shop with one flaw must fail: a suite that takes whatever it is given holds no promise.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOY = ROOT / "tests" / "shops" / "toy"
COPIED = ("plugin", "webhooks", "admin_ui", "tests", "docs", "setup.cfg", "pyproject.toml", "README.md")
PURE, DOOR, HOUSE = "tests/shops/test_contract.py", "tests/faults/test_every_shop.py", "tests/test_house.py"
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Give what runs tests in a copy of the tree that has one more shop, with a text of its adapter replaced."""
    copy = tmp_path / "copy"
    copy.mkdir()
    leave = shutil.ignore_patterns("__pycache__", ".*cache", "seeds")
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=leave)
        else:
            shutil.copy(source, copy / name)
    shutil.copy(TOY / "kiosk.json", copy / "tests" / "shops" / "contract")
    adapter = (TOY / "kiosk.py").read_text()

    def tests(*files: str, only: str, find: str = "", put: str = "") -> subprocess.CompletedProcess[str]:
        assert not find or adapter.count(find) == 1, f"{find!r} does not stand once in the toy"
        (copy / "plugin" / "shops" / "kiosk.py").write_text(adapter.replace(find, put) if find else adapter)
        command = [sys.executable, "-m", "pytest", "-q", "--tb=short", "-rfE", "-k", only, "-p", "pytest_timeout"]
        command += ["-p", "no:cacheprovider", f"--basetemp={tmp_path / 'tmp'}"]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
        environment |= {"PYTHONPATH": str(copy), "COLUMNS": "400", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        command += files
        return subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, timeout=110)

    return tests


def test_one_file_and_its_data_are_all_a_new_shop_needs(run: Run) -> None:
    """The whole contract, the faults through the door, and the house's own rules; on SQLite, for the time it takes."""
    done = run(PURE, DOOR, HOUSE, only="(kiosk and not postgresql) or (shop and house)")
    assert done.returncode == 0, done.stdout[-6_000:] + done.stderr
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed is not None and int(passed[1]) >= 45, done.stdout


@pytest.mark.parametrize(
    ("find", "put", "red"),
    [
        ("        if not good:\n            raise BadSignature\n", "", "test_a_changed_body_never_holds"),
        ("money(Fraction(value, 100))", "value / 100", "test_whatever_the_shop_says_in_numbers_no_amount_is_a_float"),
        ("for secret in secrets:", "for secret in secrets[:1]:", "test_a_good_delivery_holds_with_any_of_the_secrets"),
        ("hmac.compare_digest(given, ", "given == (", "test_fault_60_what_decides_a_signature"),
        ("type(value) is not int or not 0 <= value < 10**10", "value is False", "test_whatever_the_body_is"),
    ],
    ids=["no comparison", "floats", "one secret", "plain comparison", "a fault of ours"],
)
def test_a_shop_with_a_flaw_does_not_pass(run: Run, find: str, put: str, red: str) -> None:
    done = run(PURE, only="kiosk", find=find, put=put)
    assert done.returncode == 1, done.stdout[-3_000:] + done.stderr
    assert re.search(rf"^FAILED \S+::{red}", done.stdout, re.MULTILINE), done.stdout[-3_000:]


def test_a_shop_that_forgets_refunds_does_not_pass_through_the_door(run: Run) -> None:
    done = run(DOOR, only="kiosk and not postgresql and story", find='rows(data, "refunds")', put="[]")
    assert done.returncode == 1 and "test_a_story_comes_to_the_same_books" in done.stdout, done.stdout[-3_000:]
