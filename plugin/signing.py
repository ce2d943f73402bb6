"""Share codes, click tokens, tickets and form tokens: signed by itsdangerous with SHA-256, one salt per purpose.

All begin with the id of their key, then what they say, then the cut signature, and are read with the keys alone. The
shop is part of what a code or a click token says, so that nothing of one shop holds in another. Whatever is wrong with
a text, its reader raises BadSignature, nothing else.
"""

import base64
import hashlib
import hmac
import re
import secrets
import struct
from dataclasses import dataclass
from functools import lru_cache

from itsdangerous.signer import Signer, SigningAlgorithm

from plugin.domain.moment import SECOND
from plugin.errors import BadSignature, InvariantBroken
from plugin.keys import Key, Keys

CODE_LENGTH, TOKEN_LENGTH, TICKET_LENGTH, FORM_LENGTH = 21, 41, 41, 37
CLICK_BYTES = NONCE_BYTES = 8

_CODE = struct.Struct(">HI")  # shop, link
_TOKEN = struct.Struct(f">HII{CLICK_BYTES}s")  # shop, link, seconds since 1970, click
_TICKET = struct.Struct(f">I{NONCE_BYTES}s")  # number, nonce
# Key id, payload and signature all fill whole groups of base64: no bit is left over in which two texts could be one.
# A decoder skips strange letters and takes + and / for - and _, so only this pattern makes each text the only one.
_ALPHABET = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class CodeClaim:
    """What a share code says. A code carries no time: a caller holds the link's own day against ``retired_at``."""

    shop: int
    link: int
    key_id: str
    retired_at: int | None


@dataclass(frozen=True, slots=True)
class TokenClaim:
    """What a click token says; ``at`` is the second of the click in microseconds since 1970."""

    shop: int
    link: int
    at: int
    click: bytes


@dataclass(frozen=True, slots=True)
class _Purpose:
    salt: bytes
    signature_bytes: int


_LINK_CODE = _Purpose(b"passalong.link-code", 9)  # 72 bits
_CLICK_TOKEN = _Purpose(b"passalong.click-token", 12)  # 96 bits
_FORM = _Purpose(b"passalong.form", 18)  # 144 bits
_FORM_SALT_BYTES, _FORM_SIGNATURE_LENGTH = 9, 24


class CutHmac(SigningAlgorithm):
    """HMAC-SHA256, cut to its first bytes. The comparison, in constant time, is itsdangerous's own."""

    def __init__(self, signature_bytes: int) -> None:
        self.signature_bytes = signature_bytes

    def get_signature(self, key: bytes, value: bytes) -> bytes:
        """Return the cut HMAC of the value."""
        return hmac.digest(key, value, "sha256")[: self.signature_bytes]


@lru_cache(maxsize=256)
def _signer(secret: bytes, purpose: _Purpose) -> Signer:
    """Return the signer of one key for one purpose. The key is derived here, once, and no more at each signature."""
    derived = Signer(secret, salt=purpose.salt, key_derivation="hmac", digest_method=hashlib.sha256).derive_key()
    algorithm = CutHmac(purpose.signature_bytes)
    return Signer(derived, purpose.salt, key_derivation="none", digest_method=hashlib.sha256, algorithm=algorithm)


def make_code(keys: Keys, shop: int, link: int) -> str:
    """Return the share code of a link (21 characters), signed by the newest key.

    Store it with the link: after a rotation the same link would get another one. Raise InvariantBroken where the
    numbers are too large for it.
    """
    try:
        return _sign(keys, _CODE.pack(shop, link), _LINK_CODE)
    except struct.error:
        raise InvariantBroken("A shop or link number does not fit into a share code.") from None


def read_code(keys: Keys, text: object) -> CodeClaim:
    """Read a share code; raise BadSignature for anything else."""
    key, payload = _verify(keys, text, CODE_LENGTH, _LINK_CODE)
    shop, link = _CODE.unpack(payload)
    return CodeClaim(shop, link, key.id, key.retired_at)


def make_token(keys: Keys, shop: int, link: int, at_us: int, click: bytes) -> str:
    """Return the token of a click (41 characters), signed by the newest key.

    ``at_us`` is in microseconds since 1970 and is kept to the second; ``click`` is 8 random bytes. Raise
    InvariantBroken where something does not fit.
    """
    if len(click) != CLICK_BYTES:  # struct would cut or fill it without a word
        raise InvariantBroken(f"The id of a click has {CLICK_BYTES} bytes.")
    try:
        return _sign(keys, _TOKEN.pack(shop, link, at_us // SECOND, click), _CLICK_TOKEN)
    except struct.error:
        raise InvariantBroken("A shop number, a link number or a time does not fit into a click token.") from None


def read_token(keys: Keys, text: object) -> TokenClaim:
    """Read a click token; raise BadSignature for anything else, and for a time after its key was retired."""
    key, payload = _verify(keys, text, TOKEN_LENGTH, _CLICK_TOKEN)
    shop, link, seconds, click = _TOKEN.unpack(payload)
    at = seconds * SECOND
    if key.retired_at is not None and at > key.retired_at:
        raise BadSignature
    return TokenClaim(shop, link, at, click)


def make_ticket(keys: Keys, purpose: str, number: int, nonce: bytes) -> str:
    """Return the text (41 characters) that stands for a ticket of a purpose, signed by the newest key.

    ``nonce`` is 8 random bytes kept with the ticket, for its number may be another one's after it.
    """
    if len(nonce) != NONCE_BYTES:
        raise InvariantBroken(f"The nonce of a ticket has {NONCE_BYTES} bytes.")
    return _sign(keys, _TICKET.pack(number, nonce), _ticket_of(purpose))


def read_ticket(keys: Keys, purpose: str, text: object) -> tuple[int, bytes]:
    """Return number and nonce of a ticket of a purpose; raise BadSignature for anything else, another purpose's too."""
    _, payload = _verify(keys, text, TICKET_LENGTH, _ticket_of(purpose))
    number, nonce = _TICKET.unpack(payload)
    return number, nonce


@lru_cache(maxsize=16)
def _ticket_of(purpose: str) -> _Purpose:
    return _Purpose(f"passalong.ticket.{purpose}".encode(), 18)  # 144 bits


def make_form_token(keys: Keys, holder: str) -> str:
    """Return a token (37 characters) for the forms of one browser; ``holder`` tells the browser apart.

    No two are alike, so what is learnt of the length of one compressed page says nothing of the next (BREACH).
    """
    key, salt = keys.sign[-1], secrets.token_urlsafe(_FORM_SALT_BYTES)
    return key.id + salt + _form_signature(key, salt, holder)


def check_form_token(keys: Keys, holder: str, text: object) -> None:
    """Raise BadSignature unless a token was made for the forms of this browser."""
    if not isinstance(text, str) or len(text) != FORM_LENGTH or not text.isascii():
        raise BadSignature
    salt, signature = text[1:-_FORM_SIGNATURE_LENGTH], text[-_FORM_SIGNATURE_LENGTH:]
    if not hmac.compare_digest(signature, _form_signature(keys.signing_key(text[0]), salt, holder)):
        raise BadSignature


def _form_signature(key: Key, salt: str, holder: str) -> str:
    return _signer(key.secret, _FORM).get_signature(f"{salt}{holder}".encode()).decode()


def read_for_shop(keys: Keys, text: object, shop: int) -> CodeClaim | TokenClaim:
    """Read a code or a token of this shop; raise BadSignature for anything else, another shop's too."""
    is_code = isinstance(text, str | bytes) and len(text) == CODE_LENGTH
    claim = read_code(keys, text) if is_code else read_token(keys, text)
    if claim.shop != shop:
        raise BadSignature
    return claim


def _sign(keys: Keys, payload: bytes, purpose: _Purpose) -> str:
    key = keys.sign[-1]
    said = key.id.encode() + base64.urlsafe_b64encode(payload)
    return (said + _signer(key.secret, purpose).get_signature(said)).decode()


def _verify(keys: Keys, text: object, length: int, purpose: _Purpose) -> tuple[Key, bytes]:
    """Return the key that signed the text, and its payload."""
    if not isinstance(text, str | bytes) or len(text) != length:
        raise BadSignature
    plain = text.decode("latin-1") if isinstance(text, bytes) else text
    if not _ALPHABET.fullmatch(plain):
        raise BadSignature
    key = keys.signing_key(plain[0])
    cut = length - purpose.signature_bytes * 4 // 3
    if not _signer(key.secret, purpose).verify_signature(plain[:cut], plain[cut:]):
        raise BadSignature
    return key, base64.urlsafe_b64decode(plain[1:cut])
