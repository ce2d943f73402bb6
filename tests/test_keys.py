"""Keys: made once whoever starts, rotated without losing what older keys made, and never shown."""

import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from threading import Barrier, Thread

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from plugin import clock
from plugin import keys as keys_module
from plugin.errors import BadRequest, BadSignature, Conflict, NotFound
from plugin.keys import KEY_IDS, Key, Keys, KeyStore, load_keys, retire, rotate
from plugin.settings import Settings, SettingsError, load

PROJECT = Path(__file__).parent.parent
NOW = 1_800_000_000_000_000
FIXED = Keys((Key("A", b"s" * 32, NOW),), (Key("A", b"e" * 32, NOW), Key("B", b"f" * 32, NOW)), b"p" * 32)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load({}, {"PASSALONG_INSTANCE": tmp_path / "instance"})


@pytest.fixture
def key_file(settings: Settings) -> Path:
    load_keys(settings)
    return settings.instance / "keys.json"


@pytest.fixture
def stopped_clock(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    times = [NOW]
    monkeypatch.setattr(clock, "now", lambda: times[0])
    return times


def given_keys(text: str) -> Settings:
    return load({"PASSALONG_KEYS": text})


def shape(**changes: object) -> str:
    secret = "A" * 43 + "="
    key = {"id": "A", "secret": secret, "created_at": 1, "retired_at": None}
    return json.dumps({"sign": [key], "encrypt": [key], "pepper": secret} | changes)


# -- first start -------------------------------------------------------------------------------------------------------


def test_the_first_start_makes_keys_that_only_the_owner_may_read(settings: Settings) -> None:
    made = load_keys(settings)
    file = settings.instance / "keys.json"
    assert file.stat().st_mode & 0o777 == 0o600
    assert load_keys(settings) == made
    assert len({made.sign[0].secret, made.encrypt[0].secret, made.pepper}) == 3
    assert {path.name for path in settings.instance.iterdir()} == {"keys.json", "keys.lock"}


def test_two_installations_have_nothing_in_common(tmp_path: Path) -> None:
    one, two = (load_keys(load({}, {"PASSALONG_INSTANCE": tmp_path / name})) for name in "ab")
    assert one.pepper != two.pepper and one.sign[0].secret != two.sign[0].secret


def test_many_starts_at_once_end_with_one_set_of_keys(tmp_path: Path) -> None:
    for start in range(20):
        settings = load({}, {"PASSALONG_INSTANCE": tmp_path / str(start)})
        barrier = Barrier(8)
        peppers: set[bytes] = set()

        def begin(settings: Settings = settings, barrier: Barrier = barrier, peppers: set[bytes] = peppers) -> None:
            barrier.wait()
            peppers.add(load_keys(settings).pepper)

        threads = [Thread(target=begin) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert peppers == {load_keys(settings).pepper}


def test_processes_that_start_and_rotate_at_once_lose_no_key(settings: Settings) -> None:
    program = (
        "import sys; from plugin.keys import load_keys, rotate; from plugin.settings import load\n"
        "settings = load({}, {'PASSALONG_INSTANCE': sys.argv[1]})\n"
        "sys.stdin.readline()\n"
        "print(load_keys(settings).pepper_hash('x', 'y'), *(rotate(settings, 'sign') for _ in range(5)))"
    )
    command = [sys.executable, "-c", program, str(settings.instance)]
    processes = [
        subprocess.Popen(command, cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in "1234"
    ]
    answers = [process.communicate("\n", timeout=30)[0].split() for process in processes]
    names = [name for answer in answers for name in answer[1:]]
    assert len({answer[0] for answer in answers}) == 1
    assert len(set(names)) == 20
    assert {f"sign:{key.id}" for key in load_keys(settings).sign} == {"sign:A", *names}


def test_keys_from_the_environment_write_nothing(tmp_path: Path) -> None:
    settings = load({"PASSALONG_KEYS": shape()}, {"PASSALONG_INSTANCE": tmp_path / "instance"})
    assert load_keys(settings) == KeyStore(settings).current()
    assert not settings.instance.exists()


def test_the_file_may_be_carried_into_the_environment(settings: Settings, key_file: Path) -> None:
    assert load_keys(given_keys(key_file.read_text())) == load_keys(settings)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_root_leaves_the_keys_to_the_owner_of_the_folder(settings: Settings) -> None:
    settings.instance.mkdir()
    os.chown(settings.instance, 12_345, 12_345)
    load_keys(settings)
    rotate(settings, "sign")
    assert {path.stat().st_uid for path in settings.instance.iterdir()} == {12_345}


def test_root_follows_no_link_where_the_lock_should_be(settings: Settings, tmp_path: Path) -> None:
    settings.instance.mkdir()
    (settings.instance / "keys.lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SettingsError):
        load_keys(settings)
    assert not (tmp_path / "elsewhere").exists()


# -- bad files ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [b"", b"{", b"null", b"[]", b"\xff\xfe", b"[" * 100_000, b'{"sign": []}'])
def test_a_broken_key_file_is_refused_and_never_replaced(settings: Settings, key_file: Path, text: bytes) -> None:
    key_file.write_bytes(text)
    for attempt in (lambda: load_keys(settings), lambda: KeyStore(settings), lambda: rotate(settings, "sign")):
        with pytest.raises(SettingsError, match="backup") as caught:
            attempt()
        assert str(key_file) in caught.value.message and "PASSALONG_KEYS" in caught.value.message
    assert key_file.read_bytes() == text


SECRET = "canary7" + "A" * 36 + "="
GOOD = {"id": "A", "secret": SECRET, "created_at": 1, "retired_at": None}


@pytest.mark.parametrize(
    "changes",
    [
        {"sign": []},
        {"sign": {}},
        {"sign": [GOOD, GOOD]},
        {"encrypt": [GOOD | {"id": "AB"}]},
        {"encrypt": [GOOD | {"id": "~"}]},
        {"encrypt": [GOOD | {"id": ""}]},
        {"encrypt": [GOOD | {"id": 1}]},
        {"sign": [GOOD | {"secret": "canary7"}]},
        {"sign": [GOOD | {"secret": "canary7\u00e4" + SECRET}]},
        {"sign": [GOOD | {"secret": None}]},
        {"sign": [GOOD | {"created_at": "canary7"}]},
        {"sign": [GOOD | {"created_at": True}]},
        {"sign": [GOOD | {"retired_at": 1}]},
        {"sign": [GOOD | {"canary7": 1}]},
        {"sign": [SECRET]},
        {"pepper": ""},
        {"pepper": SECRET[:-8]},
        {"canary7": 1},
    ],
)
def test_misshapen_keys_are_refused_without_showing_them(changes: dict[str, object]) -> None:
    with pytest.raises(SettingsError) as caught:
        load_keys(given_keys(shape(**changes)))
    assert caught.value.message.startswith("PASSALONG_KEYS ") and "canary7" not in repr(caught.value)


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    settings = load({}, {"PASSALONG_INSTANCE": tmp_path / "file" / "instance"})
    with pytest.raises(SettingsError, match="may not write"):
        load_keys(settings)


def test_a_key_file_that_others_may_read_is_used_with_a_warning(
    settings: Settings, key_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    load_keys(settings)
    assert not caplog.records
    key_file.chmod(0o640)
    load_keys(settings)
    assert f"chmod 600 {key_file}" in caplog.text


def test_a_crash_while_writing_leaves_the_old_keys_whole(
    settings: Settings, key_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = key_file.read_bytes()

    def crash(*_: object) -> None:
        raise OSError(28, "No space left on device")

    for step in ("fsync", "replace"):
        with monkeypatch.context() as patch:
            patch.setattr(os, step, crash)
            with pytest.raises(SettingsError, match="No space left"):
                rotate(settings, "sign")
    assert key_file.read_bytes() == before
    assert {path.name for path in settings.instance.iterdir()} == {"keys.json", "keys.lock"}


# -- rotation and retirement -------------------------------------------------------------------------------------------


def test_rotation_adds_a_newest_key_and_keeps_the_others(settings: Settings, stopped_clock: list[int]) -> None:
    before = load_keys(settings)
    assert rotate(settings, "sign") == "sign:B"
    after = load_keys(settings)
    assert after.sign[:-1] == before.sign and after.encrypt == before.encrypt and after.pepper == before.pepper
    assert after.sign[-1].created_at == stopped_clock[0] and after.sign[-1].secret != before.sign[-1].secret
    assert (settings.instance / "keys.json").stat().st_mode & 0o777 == 0o600


def test_a_ring_is_full_after_sixty_four_keys() -> None:
    ring = tuple(Key(key_id, b"s" * 32, 0) for key_id in KEY_IDS)
    assert keys_module._new_key(ring[:-1]).id == "_"
    with pytest.raises(Conflict) as caught:
        keys_module._new_key(ring)
    assert caught.value.code == "ring_full"


def test_there_is_no_third_ring(settings: Settings) -> None:
    with pytest.raises(BadRequest):
        rotate(settings, "pepper")


def test_a_retired_key_keeps_its_place_and_its_first_day(settings: Settings) -> None:
    rotate(settings, "sign")
    assert retire(settings, "sign:A", NOW) == "sign:A"
    with pytest.raises(Conflict) as caught:
        retire(settings, "sign:A", NOW + 1)
    assert caught.value.code == "key_retired"
    assert [(key.id, key.retired_at) for key in load_keys(settings).sign] == [("A", NOW), ("B", None)]


@pytest.mark.parametrize("ring", ["sign", "encrypt"])
def test_the_newest_key_cannot_be_retired(settings: Settings, ring: str) -> None:
    for key_id in "AB":
        with pytest.raises(Conflict, match=f"passalong keys rotate {ring}") as caught:
            retire(settings, f"{ring}:{key_id}", NOW)
        assert caught.value.code == "newest_key"
        rotate(settings, ring)


def test_a_bare_id_is_enough_where_only_one_ring_has_it(settings: Settings) -> None:
    rotate(settings, "encrypt")
    rotate(settings, "encrypt")
    assert retire(settings, "B", NOW) == "encrypt:B"
    with pytest.raises(BadRequest) as caught:
        retire(settings, "A", NOW)
    assert caught.value.code == "ambiguous_key"


@pytest.mark.parametrize("name", ["", "Z", "sign:Z", "other:A", "sign:", ":", ":A", "sign:A:A", "AA"])
def test_an_unknown_key_is_not_found(settings: Settings, name: str) -> None:
    with pytest.raises(NotFound):
        retire(settings, name, NOW)


def test_keys_from_the_environment_are_changed_there() -> None:
    settings = given_keys(shape())
    attempts: list[Callable[[], str]] = [lambda: rotate(settings, "sign"), lambda: retire(settings, "sign:A", NOW)]
    for attempt in attempts:
        with pytest.raises(Conflict, match="PASSALONG_KEYS") as caught:
            attempt()
        assert caught.value.code == "keys_not_in_file"


# -- hashes and seals --------------------------------------------------------------------------------------------------


def test_a_pepper_hash_never_changes() -> None:
    assert FIXED.pepper_hash("email", "b@example.org") == "c51d992f77b3991cb726c7e0563f22b3"
    assert FIXED.mac_key("books").hex() == "f3c146166f549ef214223f8b9d315ea18f2ac8b4253408e7051288f7ed2ba6d4"


def test_a_pepper_hash_hangs_on_the_purpose_the_text_and_the_pepper() -> None:
    other = Keys(FIXED.sign, FIXED.encrypt, b"q" * 32)
    hashes = {
        FIXED.pepper_hash("a", "bc"),
        FIXED.pepper_hash("ab", "c"),
        FIXED.pepper_hash("a", "b"),
        other.pepper_hash("a", "bc"),
        FIXED.pepper_hash("a", "\ud800"),
    }
    assert len(hashes) == 5 and all(len(text) == 32 for text in hashes)
    assert len({FIXED.mac_key("a"), FIXED.mac_key("b"), other.mac_key("a")}) == 3


def test_neither_rotation_nor_retirement_changes_a_hash(settings: Settings) -> None:
    before = load_keys(settings)
    rotate(settings, "sign")
    rotate(settings, "encrypt")
    retire(settings, "sign:A", NOW)
    after = load_keys(settings)
    assert after.pepper_hash("email", "x") == before.pepper_hash("email", "x")
    assert after.mac_key("books") == before.mac_key("books")


def test_a_seal_is_read_by_its_purpose_alone() -> None:
    sealed = FIXED.seal("webhook secret", b"hello")
    assert FIXED.open("webhook secret", sealed) == b"hello"
    assert FIXED.open("webhook secret", memoryview(sealed)) == b"hello"  # type: ignore[arg-type]
    assert FIXED.seal("webhook secret", b"hello") != sealed
    with pytest.raises(BadSignature):
        FIXED.open("bank account", sealed)


def test_the_newest_key_seals_and_every_older_one_still_opens(settings: Settings) -> None:
    sealed = load_keys(settings).seal("x", b"old")
    rotate(settings, "encrypt")
    retire(settings, "encrypt:A", NOW)
    keys = load_keys(settings)
    assert keys.open("x", sealed) == b"old"
    assert (sealed[:1], keys.seal("x", b"new")[:1]) == (b"A", b"B")


@hypothesis_settings(derandomize=True, database=None, deadline=None)
@given(st.data())
def test_a_seal_altered_anywhere_is_refused(data: st.DataObject) -> None:
    sealed = bytearray(FIXED.seal("x", b"0123456789"))
    sealed[data.draw(st.integers(0, len(sealed) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(BadSignature):
        FIXED.open("x", bytes(sealed))


@hypothesis_settings(derandomize=True, database=None, deadline=None)
@given(st.one_of(st.binary(max_size=60), st.none(), st.text(max_size=5), st.integers(0, 3)))
def test_any_garbage_opens_as_a_bad_signature_only(garbage: object) -> None:
    for sealed in (garbage, b"A" + garbage if isinstance(garbage, bytes) else b""):
        with pytest.raises(BadSignature):
            FIXED.open("x", sealed)  # type: ignore[arg-type]


def test_what_was_sealed_by_an_earlier_release_still_opens() -> None:
    sealed = bytes.fromhex("42b90d34ea9ee0bb846cd2838200fa014f2a3bb590085c8baaa333fa9b2005092fd2")
    assert FIXED.open("webhook secret", sealed) == b"hello"


def test_a_cut_seal_is_refused() -> None:
    sealed = FIXED.seal("x", b"")
    for length in range(len(sealed)):
        with pytest.raises(BadSignature):
            FIXED.open("x", sealed[:length])


def test_no_repr_shows_a_secret(settings: Settings) -> None:
    keys = load_keys(settings)
    secrets = [keys.sign[0].secret, keys.encrypt[0].secret, keys.pepper]
    shown = f"{keys!r} {keys} {keys.sign!r} {keys.sign[0]} {KeyStore(settings)!r} {[keys]}"
    assert "Keys(sign='A', encrypt='A')" in shown and "Key('A')" in shown
    for secret in secrets:
        for form in (repr(secret)[2:-1], secret.hex(), keys_module._encode(secret)):
            assert form not in shown


# -- a running process -------------------------------------------------------------------------------------------------


def test_a_rotation_reaches_a_running_process_within_a_second(settings: Settings, stopped_clock: list[int]) -> None:
    store = KeyStore(settings)
    rotate(settings, "sign")
    stopped_clock[0] = NOW + 999_999
    assert len(store.current().sign) == 1
    stopped_clock[0] = NOW + 1_000_000
    assert len(store.current().sign) == 2


def test_the_file_is_read_again_only_when_it_changed(
    settings: Settings, stopped_clock: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = KeyStore(settings)
    stopped_clock[0] += 1_000_000
    first = store.current()
    monkeypatch.setattr(keys_module, "_read", None)
    stopped_clock[0] += 1_000_000
    assert store.current() is first


def test_a_clock_set_back_does_not_stop_the_reloading(settings: Settings, stopped_clock: list[int]) -> None:
    store = KeyStore(settings)
    rotate(settings, "sign")
    stopped_clock[0] = NOW - 86_400_000_000
    assert len(store.current().sign) == 2


@pytest.mark.parametrize("damage", ["missing", "broken", "another pepper"])
def test_a_running_process_keeps_its_keys_when_the_file_goes_bad_and_says_so_once(
    settings: Settings, key_file: Path, stopped_clock: list[int], caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    store = KeyStore(settings)
    before, good = store.current(), key_file.read_text()
    if damage == "missing":
        key_file.unlink()
    else:
        key_file.write_text("{" if damage == "broken" else shape())
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            stopped_clock[0] += 1_000_000
            assert store.current() == before
    assert len(caplog.records) == 1 and "stay in use" in caplog.text
    assert key_file.exists() == (damage != "missing")
    key_file.unlink(missing_ok=True)
    key_file.write_text(good)
    key_file.chmod(0o600)
    rotate(settings, "sign")
    stopped_clock[0] += 1_000_000
    assert len(store.current().sign) == 2
