"""Nothing is left untranslated: what the sources say is held against what the files of translations hold."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from babel.messages.catalog import Message

from plugin.languages import DEFAULT, LANGUAGES, catalogs, read_catalog, texts
from tests.languages import sources
from tests.languages.sources import Key, Said

ROOT = Path(__file__).parents[2]
TRANSLATED = [tag for tag in LANGUAGES if tag != DEFAULT]
_PLACEHOLDER = re.compile(r"%\(\w+\)s")


def placeholders(text: str) -> Counter[str]:
    """Return what a text leaves open, and the percent signs that belong to nothing, which would break it."""
    rest = _PLACEHOLDER.sub("", text).replace("%%", "")
    return Counter(_PLACEHOLDER.findall(text)) + Counter({"%": rest.count("%")})


def key_of(message: Message) -> Key:
    """Return what an entry of a catalog translates."""
    return message.context, message.id[0] if isinstance(message.id, tuple) else message.id


def entries(paths: list[Path], tag: str) -> Iterator[tuple[Path, Message]]:
    """Yield every entry of files of translations."""
    for path in paths:
        yield from ((path, message) for message in read_catalog(path, tag) if message.id)


def faults(said: dict[Key, Said], paths: list[Path], tag: str) -> list[str]:
    """Return what is wrong with a language's files, a line for each fault, as a translator can mend it."""
    found: list[str] = []
    known: dict[Key, tuple[Path, Message]] = {}
    for path, message in entries(paths, tag):
        key = key_of(message)
        where = f"{path.parent.name}/{path.name}: {key[1]!r}"
        if key in known and known[key][1].string != message.string:
            found.append(f"{where} is translated otherwise in {known[key][0].name}")
        known.setdefault(key, (path, message))
        if key not in said:
            found.append(f"{where} is said nowhere")
        else:
            found += [f"{where} {fault}" for fault in _faults_of(message, said[key])]
    missing = [key for key in said if key not in known]
    found += [f"{tag} lacks {key[1]!r} of {', '.join(said[key].places)}" for key in missing]
    return found


def _faults_of(message: Message, said: Said) -> Iterator[str]:
    """Yield what is wrong with one entry."""
    plural = message.id[1] if isinstance(message.id, tuple) else None
    if plural != said.plural:
        yield "has another plural"
    if message.fuzzy:
        yield "is marked fuzzy"
    strings = message.string if isinstance(message.string, tuple) else (message.string,)
    for string in strings:
        if not string:
            yield "is empty"
        elif placeholders(string) != placeholders(plural or key_of(message)[1]):
            yield "has other placeholders"


@pytest.mark.parametrize("tag", TRANSLATED)
def test_every_text_is_translated_and_every_translation_is_said(tag: str) -> None:
    said = sources.read(ROOT / "plugin", ROOT / "admin_ui")
    assert said, "the check sees nothing"
    found = faults(said, catalogs(tag), tag)
    assert not found, "\n" + "\n".join(found)


@pytest.mark.parametrize("tag", TRANSLATED)
def test_every_area_is_there_in_every_language(tag: str) -> None:
    assert [path.name for path in catalogs(tag)] == [path.name for path in catalogs("zh-Hant")]


def test_no_folder_of_translations_is_of_no_language() -> None:
    folders = {path.parent.name for path in (ROOT / "plugin" / "languages").rglob("*.po")}
    assert folders == {tag.replace("-", "_") for tag in TRANSLATED}


def test_no_sentence_of_an_error_is_put_together_by_hand() -> None:
    """What is filled in beforehand cannot be translated: ``BadRequest("code", "%(name)s is taken.", name=name)``."""
    found = []
    for path in [*ROOT.joinpath("plugin").rglob("*.py"), *ROOT.joinpath("admin_ui").rglob("*.py")]:
        if sources.is_on_pages(path.relative_to(ROOT).as_posix()):
            calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
            for call in calls:
                name = ast.unparse(call.func).rpartition(".")[2]
                if name in {*sources.ERRORS, "Sentence"} and any(isinstance(one, ast.JoinedStr) for one in call.args):
                    found.append(f"{path.relative_to(ROOT)}:{call.lineno}")
    assert found == []


# --- the check itself -------------------------------------------------------------------------------------------------

HEAD = 'msgid ""\nmsgstr ""\n"Plural-Forms: nplurals=1; plural=0;\\n"\n"Content-Type: text/plain; charset=utf-8\\n"\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give sources that say four texts, in Python and in a template."""
    source = tmp_path / "source"
    source.mkdir()
    source.joinpath("a.py").write_text(
        'NAMES = {"a": mark("A name")}\ntexts(tag).ngettext("%(n)s order", "%(n)s orders", 2)\n'
    )
    source.joinpath("page.html").write_text(
        '<h1>{{ pgettext("button", "Share") }}</h1>{% trans name=n %}Hello %(x)s {{ name }}{% endtrans %}'
    )
    return source


def written(folder: Path, *bodies: str) -> list[Path]:
    """Write files of translations with these entries."""
    paths = [folder / f"{number}.po" for number in range(len(bodies))]
    for path, body in zip(paths, bodies, strict=True):
        path.write_text(HEAD + "\n" + body, encoding="utf-8")
    return paths


NAME = 'msgid "A name"\nmsgstr "名"\n\n'
ORDERS = 'msgid "%(n)s order"\nmsgid_plural "%(n)s orders"\nmsgstr[0] "%(n)s 件"\n\n'
SHARE = 'msgctxt "button"\nmsgid "Share"\nmsgstr "共有"\n\n'
HELLO = 'msgid "Hello %%(x)s %(name)s"\nmsgstr "%%(x)s%(name)sさん"\n\n'


def test_what_is_whole_has_no_faults(folder: Path, tmp_path: Path) -> None:
    assert faults(sources.read(folder), written(tmp_path, NAME + ORDERS, SHARE + HELLO), "ja") == []


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (ORDERS + SHARE + HELLO, "ja lacks 'A name' of source/a.py:1"),
        (NAME + ORDERS + HELLO, "ja lacks 'Share' of source/page.html:1"),
        (NAME + ORDERS + HELLO + SHARE.partition("\n")[2], "ja lacks 'Share' of source/page.html:1"),  # no context
        (NAME + SHARE + HELLO, "ja lacks '%(n)s order' of source/a.py:2"),
        (NAME.replace("名", "") + ORDERS + SHARE + HELLO, "'A name' is empty"),
        ("#, fuzzy\n" + NAME + ORDERS + SHARE + HELLO, "'A name' is marked fuzzy"),
        (NAME + ORDERS.replace("%(n)s 件", "件") + SHARE + HELLO, "'%(n)s order' has other placeholders"),
        (NAME + ORDERS.replace("%(n)s 件", "%(m)s 件") + SHARE + HELLO, "'%(n)s order' has other placeholders"),
        (NAME + ORDERS + SHARE + HELLO.replace("さん", "100%"), "'Hello %%(x)s %(name)s' has other placeholders"),
        (NAME + ORDERS.replace("s orders", "s others") + SHARE + HELLO, "'%(n)s order' has another plural"),
        (NAME + ORDERS + SHARE + HELLO + 'msgid "Old"\nmsgstr "旧"\n', "'Old' is said nowhere"),
    ],
)
def test_every_fault_is_listed(folder: Path, tmp_path: Path, body: str, fault: str) -> None:
    assert any(fault in line for line in faults(sources.read(folder), written(tmp_path, body), "ja"))


def test_sentences_of_errors_are_read_where_pages_show_them(tmp_path: Path) -> None:
    raised = 'raise Conflict("taken", "%(name)s is taken.", name=name)\nSentence("Always.")\n'
    for name in ("plugin/services/give.py", "plugin/cli.py"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(raised)
    said = sources.read(tmp_path / "plugin")
    assert said[None, "%(name)s is taken."].places == ["plugin/services/give.py:1"]
    assert len(said[None, "Always."].places) == 2


def test_two_translations_of_one_text_are_a_fault(folder: Path, tmp_path: Path) -> None:
    paths = written(tmp_path, NAME + ORDERS + SHARE + HELLO, NAME.replace("名", "名前"))
    assert any("'A name' is translated otherwise in 0.po" in line for line in faults(sources.read(folder), paths, "ja"))
    same = written(tmp_path, NAME + ORDERS + SHARE + HELLO, NAME)
    assert faults(sources.read(folder), same, "ja") == []


# --- what is read from them -------------------------------------------------------------------------------------------


def test_what_has_no_translation_is_said_in_english() -> None:
    for tag in LANGUAGES:
        assert texts(tag).gettext("Nobody says this.") == "Nobody says this."
        assert texts(tag).ngettext("%(n)s thing", "%(n)s things", 2) == "%(n)s things"


def test_every_area_is_read() -> None:
    for tag in TRANSLATED:
        for _, message in entries(catalogs(tag), tag):
            context, text = key_of(message)
            said = texts(tag).pgettext(context, text) if context else texts(tag).gettext(text)
            assert said != text or message.string == text
