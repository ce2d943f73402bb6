"""Share codes and click tokens: what they carry, and that nothing but what the keys signed is ever read."""

import base64
import string
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from itsdangerous.signer import HMACAlgorithm

from plugin import signing
from plugin.errors import BadSignature, InvariantBroken
from plugin.keys import Key, Keys, load_keys, retire, rotate
from plugin.settings import load
from plugin.signing import CodeClaim, TokenClaim, make_code, make_token, read_code, read_for_shop, read_token

SECOND = 1_000_000
AT = 1_800_000_000 * SECOND
CLICK = b"\x00\xff12345\x80"
OLD, NEW = Key("A", b"o" * 32, 0), Key("_", b"n" * 32, AT)
KEYS = Keys((OLD,), (OLD,), b"p" * 32)
ROTATED = Keys((OLD, NEW), (OLD,), b"p" * 32)
LINK = 1195  # the first whose signatures hold both - and _, which a decoder also reads when they are written + and /
CODE, TOKEN = make_code(KEYS, 7, LINK), make_token(KEYS, 7, LINK, AT, CLICK)

fixed = settings(derandomize=True, database=None, deadline=None)
shops, links = st.integers(0, 2**16 - 1), st.integers(0, 2**32 - 1)
characters = st.sampled_from(string.printable + "\0é\u0430\ud800=")


def is_refused(text: object, keys: Keys = KEYS) -> bool:
    """Tell whether every reader raises BadSignature; any other error fails the test by itself."""
    for read in (read_code, read_token, lambda keys, text: read_for_shop(keys, text, 7)):
        try:
            read(keys, text)
        except BadSignature:
            continue
        return False
    return True


# -- what they carry ---------------------------------------------------------------------------------------------------


@fixed
@given(shops, links)
def test_a_code_says_its_shop_and_link(shop: int, link: int) -> None:
    code = make_code(ROTATED, shop, link)
    assert len(code) == 21 and set(code) <= set(string.ascii_letters + string.digits + "-_")
    assert read_code(ROTATED, code) == CodeClaim(shop, link, "_", None)
    assert read_code(ROTATED, code.encode()) == read_for_shop(ROTATED, code, shop) == CodeClaim(shop, link, "_", None)


@fixed
@given(shops, links, st.integers(0, 2**32 * SECOND - 1), st.binary(min_size=8, max_size=8))
def test_a_token_says_its_shop_link_second_and_click(shop: int, link: int, at_us: int, click: bytes) -> None:
    token = make_token(ROTATED, shop, link, at_us, click)
    assert len(token) == 41 and set(token) <= set(string.ascii_letters + string.digits + "-_")
    claim = TokenClaim(shop, link, at_us - at_us % SECOND, click)
    assert read_token(ROTATED, token) == read_token(ROTATED, token.encode()) == claim
    assert read_for_shop(ROTATED, token, shop) == claim


def test_the_format_never_changes() -> None:
    assert CODE == "AAAcAAASrNP9_MVfC-Ip9"
    assert TOKEN == "AAAcAAASra0nSAAD_MTIzNDWAKyMGMpeT2AX_e-My"


@pytest.mark.parametrize(
    "make",
    [
        lambda: make_code(KEYS, 2**16, 1),
        lambda: make_code(KEYS, -1, 1),
        lambda: make_code(KEYS, 1, 2**32),
        lambda: make_token(KEYS, 2**16, 1, AT, CLICK),
        lambda: make_token(KEYS, 1, -1, AT, CLICK),
        lambda: make_token(KEYS, 1, 1, -1, CLICK),
        lambda: make_token(KEYS, 1, 1, 2**32 * SECOND, CLICK),
        lambda: make_token(KEYS, 1, 1, AT, CLICK[:7]),
        lambda: make_token(KEYS, 1, 1, AT, CLICK + b"\0"),
    ],
)
def test_what_does_not_fit_is_never_signed(make: Callable[[], str]) -> None:
    with pytest.raises(InvariantBroken):
        make()


# -- what is refused ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [CODE, TOKEN])
def test_one_character_changed_to_any_other_is_refused(text: str) -> None:
    others = string.ascii_letters + string.digits + "-_+/=.~ \n\0é\ud800"
    for place in range(len(text)):
        for other in others:
            if other != text[place]:
                assert is_refused(text[:place] + other + text[place + 1 :]), (place, other)


@fixed
@given(st.sampled_from([CODE, TOKEN]), st.data())
def test_any_change_of_a_text_is_refused(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 3)))
    changed = text[:start] + data.draw(st.text(characters, max_size=3)) + text[end:]
    assert changed == text or is_refused(changed)


@pytest.mark.parametrize("text", [CODE, TOKEN])
def test_no_second_spelling_of_the_same_bytes_is_read(text: str) -> None:
    spellings = [text + "=", text + "\n", " " + text, text + "====", text[:-1], text + text[-1], text.swapcase()]
    spellings += [text[:1] + "+" + text[1:], text[:5] + "/" + text[5:], text.translate(str.maketrans("-_", "+/"))]
    assert all(is_refused(spelling) for spelling in spellings if spelling != text)
    assert base64.urlsafe_b64encode(base64.urlsafe_b64decode(text[1:])).decode() == text[1:]


@fixed
@given(
    st.one_of(
        st.text(),
        st.binary(),
        st.binary().map(bytearray),
        st.none(),
        st.integers(),
        st.text(min_size=21, max_size=21),
        st.binary(min_size=41, max_size=41),
    )
)
def test_any_garbage_is_a_bad_signature_and_nothing_else(garbage: object) -> None:
    assert is_refused(garbage)


@pytest.mark.parametrize(
    "garbage",
    ["", b"", None, 0, [], "\0" * 21, "A" * 21, "A" * 41, "é" * 21, "\ud800" * 41, b"\xff" * 21, b"\x80" * 41]
    + ["A" * 1_000_000, b"A" * 1_000_000, "=" * 21, "～" * 21, [*CODE], object()],
)
def test_hostile_garbage_is_a_bad_signature_and_nothing_else(garbage: object) -> None:
    assert is_refused(garbage)


def test_a_code_is_no_token_and_a_token_no_code() -> None:
    for read, text in ((read_token, CODE), (read_code, TOKEN)):
        with pytest.raises(BadSignature):
            read(KEYS, text)


def test_the_signature_of_one_purpose_does_not_hold_for_another(monkeypatch: pytest.MonkeyPatch) -> None:
    # The same key and the same lengths, so that only the salt tells the two purposes apart.
    monkeypatch.setattr(signing, "_LINK_CODE", signing._Purpose(signing._CLICK_TOKEN.salt, 9))
    forged = make_code(KEYS, 7, LINK)
    monkeypatch.undo()
    assert forged[:9] == CODE[:9] and is_refused(forged)


def test_a_text_signed_without_a_salt_or_with_sha1_is_refused() -> None:
    for signer in (HMACAlgorithm(), signing.CutHmac(9)):
        signature = base64.urlsafe_b64encode(signer.get_signature(OLD.secret, CODE[:9].encode())[:9]).decode()
        assert is_refused(CODE[:9] + signature)


@pytest.mark.parametrize("text", [CODE, TOKEN])
def test_another_shop_is_refused(text: str) -> None:
    assert read_for_shop(KEYS, text, 7).shop == 7
    for shop in (0, 6, 8, 7 + 2**16):
        with pytest.raises(BadSignature):
            read_for_shop(KEYS, text, shop)


@pytest.mark.parametrize("text", [CODE, TOKEN])
def test_the_keys_of_another_installation_are_refused(text: str) -> None:
    assert is_refused(text, Keys((Key("A", b"x" * 32, 0),), KEYS.encrypt, KEYS.pepper))
    assert is_refused(text, Keys((Key("B", OLD.secret, 0),), KEYS.encrypt, KEYS.pepper))


def test_the_id_of_the_key_is_signed_too() -> None:
    twins = Keys((OLD, Key("B", OLD.secret, 0)), KEYS.encrypt, KEYS.pepper)
    assert is_refused("B" + CODE[1:], twins) and is_refused("B" + TOKEN[1:], twins)


# -- rotation ----------------------------------------------------------------------------------------------------------


def test_rotation_keeps_old_codes_and_tokens() -> None:
    assert read_code(ROTATED, CODE) == CodeClaim(7, LINK, "A", None)
    assert read_token(ROTATED, TOKEN) == TokenClaim(7, LINK, AT, CLICK)
    assert make_code(ROTATED, 7, LINK)[0] == make_token(ROTATED, 7, LINK, AT, CLICK)[0] == "_"


@pytest.mark.parametrize(("retired_at", "holds"), [(AT - 1, False), (AT, True), (AT + 1, True)])
def test_a_retired_key_reads_only_tokens_from_before_its_day(retired_at: int, holds: bool) -> None:
    keys = Keys((Key("A", OLD.secret, 0, retired_at), NEW), KEYS.encrypt, KEYS.pepper)
    assert is_refused(TOKEN, keys) is not holds


def test_a_code_tells_when_its_key_was_retired() -> None:
    keys = Keys((Key("A", OLD.secret, 0, AT), NEW), KEYS.encrypt, KEYS.pepper)
    assert read_code(keys, CODE) == CodeClaim(7, LINK, "A", AT)


def test_a_link_lives_through_rotation_and_retirement_in_the_file(tmp_path: Path) -> None:
    installation = load({}, {"PASSALONG_INSTANCE": tmp_path})
    code = make_code(load_keys(installation), 7, LINK)
    token = make_token(load_keys(installation), 7, LINK, AT, CLICK)
    rotate(installation, "sign")
    retire(installation, "sign:A", AT)
    keys = load_keys(installation)
    late = make_token(Keys(keys.sign[:1], keys.encrypt, keys.pepper), 7, LINK, AT + SECOND, CLICK)
    assert read_for_shop(keys, code, 7) == CodeClaim(7, LINK, "A", AT)
    assert read_for_shop(keys, token, 7) == TokenClaim(7, LINK, AT, CLICK)
    assert is_refused(late, keys)
