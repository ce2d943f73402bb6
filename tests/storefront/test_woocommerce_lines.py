"""The lines of PHP in the document for WooCommerce, run as they stand there by PHP itself."""

import json
import re
import shutil
import subprocess
import textwrap
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
DOCUMENT = HERE.parent.parent / "docs" / "shops" / "woocommerce.md"
FENCE = re.compile(r"^( *)```php\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)
TOKEN = "A" * 41
PHP = shutil.which("php")

pytestmark = pytest.mark.skipif(PHP is None, reason="PHP runs these lines: install it (apt-get install php-cli).")


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a file with all the lines that the document tells a shop's owner to put into one."""
    blocks = [textwrap.dedent(indent + body) for indent, body in FENCE.findall(DOCUMENT.read_text(encoding="utf-8"))]
    assert len(blocks) == 5
    path = tmp_path_factory.mktemp("lines") / "functions.php"
    path.write_text("<?php\n" + "\n".join(blocks), encoding="utf-8")
    return path


def tell(lines: Path, *steps: dict[str, Any], woocommerce: str = "new") -> Any:
    """Run the lines through a story and return what came of it."""
    assert PHP is not None
    story = json.dumps({"woocommerce": woocommerce, "steps": steps})
    done = subprocess.run([PHP, HERE / "wordpress.php", lines], input=story, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, ""), done
    return json.loads(done.stdout)


AT, DEFER = "https://share.example.com/pa/KEY", {"strategy": "defer"}


def test_the_scripts_are_loaded_on_every_page_the_banner_after_what_it_asks(lines: Path) -> None:
    scripts = tell(lines, {})["scripts"]
    assert scripts == [
        ["passalong", f"{AT}.js", [], DEFER],
        ["passalong-banner", f"{AT}/banner.js", ["passalong"], DEFER],
    ]


@pytest.mark.parametrize("placed", [["processing"], ["on-hold", "on-hold"]])
def test_the_page_that_confirms_an_order_invites_the_buyer_once(lines: Path, placed: list[str]) -> None:
    told = tell(lines, {"placed": placed})
    (shown,) = told["shown"]
    assert shown.count('data-passalong="thanks"') == 1 and 'href="https://share.example.com/join/KEY"' in shown
    assert told["scripts"][2:] == [["passalong-thanks", f"{AT}/thanks.js", [], DEFER]]


@pytest.mark.parametrize("placed", [["failed"], [""], [7], [None]])
def test_nobody_is_invited_by_an_order_that_failed_or_is_none(lines: Path, placed: list[object]) -> None:
    told = tell(lines, {"placed": placed})
    assert told["shown"] == [""] and len(told["scripts"]) == 2


def test_the_token_lands_in_the_orders_meta_at_both_checkouts(lines: Path) -> None:
    both = f"{TOKEN},{'b-_' * 13}"
    told = tell(
        lines,
        {"post": {"_pa": TOKEN, "billing_email": "a@example.org"}},
        {"post": {"_pa": both}},
        {"block": {"extensions": {"passalong": {"_pa": both}, "other": {}}}},
    )
    assert told["orders"] == [{"_pa": TOKEN}, {"_pa": both}, {"_pa": both}]
    ((endpoint, namespace, schema),) = told["announced"]
    assert (endpoint, namespace, schema["_pa"]["type"]) == ("checkout", "passalong", ["string", "null"])


WRONG = ("", "x" * 65, "a b", "a,b,c", "a,", "<script>", "a'b", "a\\b", "a\n", "é", None, 7, True, ["a"], {"a": "b"})


def test_whatever_else_is_sent_lands_nowhere_and_stops_no_order(lines: Path) -> None:
    classic = [{"post": {"_pa": value}} for value in WRONG if value is None or isinstance(value, str | list | dict)]
    block = [{"block": {"extensions": {"passalong": {"_pa": value}}}} for value in WRONG]
    shapes: list[Any] = [None, [], "x", {"passalong": None}, {"passalong": "x"}, {"passalong": []}, {"other": {}}]
    odd = [{"block": {"extensions": shape}} for shape in shapes]
    told = tell(lines, {"post": {}}, *classic, {"block": {}}, *block, *odd)
    assert told["orders"] == [{}] * (2 + len(classic) + len(block) + len(odd))


def test_a_code_that_came_with_a_link_is_applied_once_there_is_something_in_the_cart(lines: Path) -> None:
    came = {"get": {"pa_code": "ABCDE23456", "pa": TOKEN}}
    assert tell(lines, came)["coupons"] == []
    assert tell(lines, came, {}, {"add": True}, {"add": True})["coupons"] == ["abcde23456"]
    assert tell(lines, {"add": True}, came)["coupons"] == ["abcde23456"]
    assert tell(lines, {"add": True}, came, came)["coupons"] == ["abcde23456"]


def test_whatever_else_is_named_as_a_code_is_applied_nowhere(lines: Path) -> None:
    wrong = [{"get": {"pa_code": value}} for value in ("", "a b", "x" * 33, "<b>", "a'", "a\n", ["A"], {"a": "A"})]
    assert tell(lines, {"add": True}, *wrong, {"add": True})["coupons"] == []


@pytest.mark.parametrize("woocommerce", ["new", "old", "none"])
def test_they_do_no_harm_where_a_part_of_woocommerce_is_missing(lines: Path, woocommerce: str) -> None:
    """Switched off, older than the block checkout, or asked for something other than a page."""
    steps: list[dict[str, Any]] = [{"get": {"pa_code": "ABCDE23456"}}]
    if woocommerce != "none":
        steps += [{"get": {"pa_code": "ABCDE23456"}, "cron": True}]
    told = tell(lines, *steps, woocommerce=woocommerce)
    assert told["coupons"] == [] and bool(told["announced"]) == (woocommerce == "new")


def test_only_our_own_tag_is_made_to_wait_for_consent(lines: Path) -> None:
    ours, other = tell(lines)["tags"]
    assert ours == '<script data-consent="required" src="a.js"></script>' and other == '<script src="b.js"></script>'
