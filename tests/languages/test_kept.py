"""Sentences found again in the text that is kept of them: every wording, whatever strangers put into it."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from plugin.errors import Sentence
from plugin.languages import DEFAULT, LANGUAGES, catalogs, read_catalog
from plugin.languages.kept import find
from tests.languages import sources

ROOT = Path(__file__).parents[2]
TAG = "zh-Hant"
_NAMES = re.compile(r"%\((\w+)\)s")
# Where the sentences come from that are kept.
_KEPT_FROM = ("plugin/domain", "plugin/shops", "plugin/outbound.py", "plugin/mail.py", "plugin/services/run_tasks.py",
              "plugin/services/process_inbox.py", "plugin/services/export_shop.py", "plugin/services/send_events.py",
              "plugin/services/deliver_event.py", "plugin/services/check_books.py")  # fmt: skip


def wordings(tag: str) -> list[str]:
    """Return every wording of the errors' area."""
    (path,) = (path for path in catalogs(tag) if path.name == "errors.po")
    return [message.id for message in read_catalog(path, tag) if isinstance(message.id, str) and message.id]


WORDINGS = wordings(TAG)
OPEN = [one for one in WORDINGS if _NAMES.search(one)]
HOSTILE = some.one_of(
    some.text(max_size=30),
    some.sampled_from([*WORDINGS, "%", "%s", "%(what)s", "%%", "(", ")", "\\", "<b>x</b>", "{{ 7 }}", "a\nb", ""]),
    some.sampled_from(WORDINGS).map(lambda wording: wording * 3),
)


def test_every_sentence_that_is_kept_can_be_found() -> None:
    said = sources.read(ROOT / "plugin")
    kept = {text for (_, text), one in said.items() if any(place.startswith(_KEPT_FROM) for place in one.places)}
    assert kept and kept <= set(WORDINGS)


def test_every_wording_without_values_is_found_as_itself() -> None:
    for wording in set(WORDINGS) - set(OPEN):
        found = find(wording, TAG)
        assert found is not None and (found.wording, found.values) == (wording, {})


@pytest.mark.parametrize("tag", [tag for tag in LANGUAGES if tag != DEFAULT])
def test_every_wording_is_found_again_with_its_values(tag: str) -> None:
    for wording in wordings(tag):
        values = {name: f"<{name}>" for name in _NAMES.findall(wording)}
        found = find(str(Sentence(wording, **values)), tag)
        assert found is not None and (found.wording, found.values) == (wording, values)


@given(some.sampled_from(OPEN), some.data())
def test_hostile_values_are_found_as_text(wording: str, data: some.DataObject) -> None:
    values = {name: data.draw(HOSTILE) for name in dict.fromkeys(_NAMES.findall(wording))}
    text = str(Sentence(wording, **values))
    found = find(text, TAG)
    if len(values) == len(_NAMES.findall(wording)):  # where a value stands twice, another reading may have to be left
        assert found is not None
    assert found is None or str(found) == text


def test_the_most_literal_wording_wins() -> None:
    found = find("Tea House: the last delivery came at 2026-11-20T10:00:00Z, 2 days ago.", TAG)
    assert found is not None and found.wording == "%(shop)s: the last delivery came at %(time)s, %(days)s days ago."
    assert found.values == {"shop": "Tea House", "time": "2026-11-20T10:00:00Z", "days": "2"}


@pytest.mark.parametrize("text", ["", "Nobody says this.", "line_items", "is missing", "Ein Satz: noch einer."])
def test_a_text_of_no_wording_is_none(text: str) -> None:
    assert find(text, TAG) is None


def test_in_english_nothing_is_looked_for() -> None:
    assert find("The order is not an object.", DEFAULT) is None


@pytest.mark.parametrize("wording", OPEN)
def test_a_long_text_is_read_as_any_other(wording: str) -> None:
    """Ten thousand characters that look like a sentence everywhere, and are one or nearly one: no text takes long."""
    once = _NAMES.sub("x", wording.replace("%%", "%"))
    for text in (once * (10_000 // len(once)), once * (10_000 // len(once)) + "\n"):
        found = find(text, TAG)
        assert found is None or str(found) == text
