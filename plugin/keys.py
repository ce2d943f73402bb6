"""The keys: a ring that signs, a ring that encrypts, and the pepper under every keyed hash, which never changes.

The newest key of a ring does the work; every older one still reads what it made. No key ever leaves its ring, and no
``repr`` and no error made here shows a secret.
"""

import base64
import fcntl
import hmac
import json
import logging
import os
import secrets
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from plugin import clock
from plugin.domain.moment import SECOND
from plugin.errors import BadRequest, BadSignature, Conflict, NotFound
from plugin.settings import Settings, SettingsError

SIGN, ENCRYPT = "sign", "encrypt"
RINGS = (SIGN, ENCRYPT)
KEY_IDS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
SECRET_BYTES = 32
FILE_NAME = "keys.json"
RELOAD_AFTER = SECOND  # between two looks at the file

_HASH_HEX_DIGITS = 32  # 128 bits
_NONCE_BYTES = 12
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, repr=False)
class Key:
    """One key of a ring; times in microseconds since 1970. A retired one reads only what is older than that."""

    id: str
    secret: bytes
    created_at: int
    retired_at: int | None = None

    def __repr__(self) -> str:
        return f"Key({self.id!r})"


@dataclass(frozen=True, slots=True, repr=False)
class Keys:
    """Both rings, each oldest to newest, and the pepper."""

    sign: tuple[Key, ...]
    encrypt: tuple[Key, ...]
    pepper: bytes

    def __repr__(self) -> str:
        return f"Keys(sign={_ids(self.sign)!r}, encrypt={_ids(self.encrypt)!r})"

    def signing_key(self, key_id: str) -> Key:
        """Return the signing key of that id; raise BadSignature where there is none."""
        return _key_of(self.sign, key_id)

    def pepper_hash(self, purpose: str, text: str) -> str:
        """Return the keyed hash of a text: 32 hex digits that tell only whether two texts of a purpose are equal."""
        message = purpose.encode() + b"\0" + text.encode("utf-8", "surrogatepass")
        return hmac.digest(self.pepper, message, "sha256").hex()[:_HASH_HEX_DIGITS]

    def mac_key(self, purpose: str) -> bytes:
        """Return the 32-byte key of a purpose that no rotation ever changes."""
        return _derive(self.pepper, f"passalong.mac.{purpose}")

    def seal(self, purpose: str, data: bytes) -> bytes:
        """Encrypt with the newest key. Only :meth:`open` with the same purpose reads it."""
        key = self.encrypt[-1]
        nonce = os.urandom(_NONCE_BYTES)
        return key.id.encode() + nonce + _cipher(key.secret, purpose).encrypt(nonce, data, purpose.encode())

    def open(self, purpose: str, sealed: bytes) -> bytes:
        """Decrypt what :meth:`seal` made with any key of the ring; raise BadSignature for everything else."""
        if not isinstance(sealed, bytes | bytearray | memoryview):
            raise BadSignature
        sealed = bytes(sealed)
        nonce, encrypted = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
        key = _key_of(self.encrypt, sealed[:1].decode("latin-1"))
        try:
            return _cipher(key.secret, purpose).decrypt(nonce, encrypted, purpose.encode())
        except (InvalidTag, ValueError, OverflowError):
            raise BadSignature from None


def _ids(ring: tuple[Key, ...]) -> str:
    return "".join(key.id for key in ring)


def _key_of(ring: tuple[Key, ...], key_id: str) -> Key:
    for key in ring:
        if key.id == key_id:
            return key
    raise BadSignature


def _derive(secret: bytes, purpose: str) -> bytes:
    return HKDF(algorithm=SHA256(), length=SECRET_BYTES, salt=None, info=purpose.encode()).derive(secret)


@lru_cache(maxsize=256)
def _cipher(secret: bytes, purpose: str) -> AESGCM:
    return AESGCM(_derive(secret, f"passalong.seal.{purpose}"))


# -- the file ----------------------------------------------------------------------------------------------------------


def load_keys(settings: Settings) -> Keys:
    """Return the keys of ``PASSALONG_KEYS``, else of the instance folder, where they are made on first start.

    Raise SettingsError where they cannot be read or are not keys; a broken file is never replaced by new keys.
    """
    if settings.keys:
        return _parse(settings.keys, "PASSALONG_KEYS")
    path = settings.instance / FILE_NAME
    if not path.exists():
        with _locked(path):
            if not path.exists():  # another process may have been faster
                _write(path, _make())
    return _read(path)


def rotate(settings: Settings, ring: str) -> str:
    """Add a newest key to the ring ``sign`` or ``encrypt`` and return its name, like ``sign:B``.

    Raise BadRequest for another ring, and Conflict where all 64 ids are used or the keys lie in ``PASSALONG_KEYS``.
    """
    if ring not in RINGS:
        raise BadRequest("unknown_ring", "There are two rings of keys: write sign or encrypt.")

    def add(keys: Keys) -> tuple[Keys, str]:
        key = _new_key(_ring(keys, ring))
        return _with_ring(keys, ring, (*_ring(keys, ring), key)), f"{ring}:{key.id}"

    return _change(settings, add)


def retire(settings: Settings, key_id: str, now: int) -> str:
    """Retire a key from ``now`` (microseconds) on and return its name. It stays in its ring: what it made must be read.

    ``key_id`` is ``sign:B``, ``encrypt:B``, or ``B`` where only one ring has it. Raise NotFound, BadRequest where it
    may be two keys, and Conflict for the newest of a ring, a retired one, and keys that lie in ``PASSALONG_KEYS``.
    """

    def mark(keys: Keys) -> tuple[Keys, str]:
        ring, key = _look_up(keys, key_id)
        if key == _ring(keys, ring)[-1]:
            raise Conflict(
                "newest_key", f"It is the newest key and does the work. Run `passalong keys rotate {ring}` first."
            )
        if key.retired_at is not None:
            raise Conflict("key_retired", "This key is retired already; its day stays as it is.")
        retired = replace(key, retired_at=now)
        kept = tuple(retired if other.id == key.id else other for other in _ring(keys, ring))
        return _with_ring(keys, ring, kept), f"{ring}:{key.id}"

    return _change(settings, mark)


def _look_up(keys: Keys, name: str) -> tuple[str, Key]:
    named_ring, colon, key_id = name.rpartition(":")
    found = [
        (ring, key)
        for ring in RINGS
        for key in _ring(keys, ring)
        if key.id == key_id and (ring == named_ring or not colon)
    ]
    if len(found) > 1:
        raise BadRequest("ambiguous_key", f"Both rings have such a key: write sign:{key_id} or encrypt:{key_id}.")
    if not found:
        raise NotFound("no_such_key", "There is no such key. Write its name as `passalong keys rotate` printed it.")
    return found[0]


def _ring(keys: Keys, ring: str) -> tuple[Key, ...]:
    return keys.sign if ring == SIGN else keys.encrypt


def _with_ring(keys: Keys, ring: str, members: tuple[Key, ...]) -> Keys:
    return replace(keys, sign=members) if ring == SIGN else replace(keys, encrypt=members)


def _new_key(ring: tuple[Key, ...]) -> Key:
    free = [key_id for key_id in KEY_IDS if key_id not in _ids(ring)]
    if not free:
        raise Conflict("ring_full", f"This ring has all of its {len(KEY_IDS)} keys; it cannot be rotated any more.")
    return Key(free[0], secrets.token_bytes(SECRET_BYTES), clock.now())


def _make() -> Keys:
    return Keys((_new_key(()),), (_new_key(()),), secrets.token_bytes(SECRET_BYTES))


def _change(settings: Settings, edit: Callable[[Keys], tuple[Keys, str]]) -> str:
    """Rewrite the file as ``edit`` says, one process at a time, and return the name it gives."""
    if settings.keys:
        raise Conflict("keys_not_in_file", "The keys come from PASSALONG_KEYS: change them there, then start again.")
    load_keys(settings)
    path = settings.instance / FILE_NAME
    with _locked(path):
        keys, name = edit(_read(path))
        _write(path, keys)
    return name


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the exclusive lock on the key file; it is a file of its own, since the key file is replaced."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = _open_lock(path.with_suffix(".lock"))
        fcntl.flock(lock, fcntl.LOCK_EX)
    except OSError as error:
        raise _cannot("write", path, error) from None
    try:
        yield
    finally:
        os.close(lock)


def _open_lock(path: Path) -> int:
    # No link is followed: root must not be led to give away a file that is not this one.
    try:
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        return os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    _give_to_owner(lock, path.parent)
    return lock


def _give_to_owner(file: int, folder: Path) -> None:
    """Give a file that root writes to the owner of the folder, or the service could not read its own keys."""
    if os.geteuid() == 0:
        owner = folder.stat()
        with suppress(OSError):  # some file systems keep no owners
            os.fchown(file, owner.st_uid, owner.st_gid)


def _write(path: Path, keys: Keys) -> None:
    """Put the keys into the file whole or not at all: a temporary of mode 600, on the disk before it is renamed."""
    try:
        file, name = tempfile.mkstemp(dir=path.parent, prefix=".keys-")
        temporary = Path(name)
        try:
            with os.fdopen(file, "w", encoding="utf-8") as output:
                _give_to_owner(output.fileno(), path.parent)
                output.write(_to_json(keys))
                output.flush()
                os.fsync(output.fileno())
            temporary.replace(path)
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise
        _sync_folder(path.parent)
    except OSError as error:
        raise _cannot("write", path, error) from None


def _sync_folder(folder: Path) -> None:
    file = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def _read(path: Path) -> Keys:
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            text = file.read()
    except OSError as error:
        raise _cannot("read", path, error) from None
    if mode & 0o077:
        _log.warning("Others may read the key file %s. Run: chmod 600 %s", path, path)
    return _parse(text, f"The key file {path} (PASSALONG_KEYS)")


def _cannot(do: str, path: Path, error: OSError) -> SettingsError:
    return SettingsError("PASSALONG_KEYS", f"cannot be used: Passalong may not {do} {path} ({error.strerror}).")


# -- its shape ---------------------------------------------------------------------------------------------------------


class _Misshapen(Exception):
    """The JSON does not hold keys; the text says what is wrong and shows no secret."""


def _to_json(keys: Keys) -> str:
    def ring(members: tuple[Key, ...]) -> list[dict[str, object]]:
        return [
            {
                "id": key.id,
                "secret": _encode(key.secret),
                "created_at": key.created_at,
                "retired_at": key.retired_at,
            }
            for key in members
        ]

    whole = {SIGN: ring(keys.sign), ENCRYPT: ring(keys.encrypt), "pepper": _encode(keys.pepper)}
    return json.dumps(whole, indent=1) + "\n"


def _parse(text: str | bytes, source: str) -> Keys:
    try:
        whole = json.loads(text)
        if not isinstance(whole, dict) or whole.keys() != {SIGN, ENCRYPT, "pepper"}:
            raise _Misshapen("must be a JSON object of sign, encrypt and pepper")
        return Keys(_read_ring(whole, SIGN), _read_ring(whole, ENCRYPT), _read_secret(whole["pepper"], "the pepper"))
    except _Misshapen as wrong:
        raise SettingsError(
            source, f"{wrong}. Restore it from a backup; new keys would not read what is stored."
        ) from None
    except (ValueError, RecursionError):
        raise SettingsError(
            source, "is not JSON. Restore it from a backup; new keys would not read what is stored."
        ) from None


def _read_ring(whole: Mapping[str, Any], name: str) -> tuple[Key, ...]:
    members = whole[name]
    if not isinstance(members, list) or not members:
        raise _Misshapen(f"must have at least one key in the ring {name}")
    ring = tuple(_read_key(member, name) for member in members)
    if len({key.id for key in ring}) < len(ring):
        raise _Misshapen(f"has two keys of the same id in the ring {name}")
    if ring[-1].retired_at is not None:
        raise _Misshapen(f"has a retired key as the last and newest one of the ring {name}")
    return ring


def _read_key(member: object, ring: str) -> Key:
    if not isinstance(member, dict) or not {"id", "secret"} <= member.keys() <= set(Key.__slots__):
        raise _Misshapen(f"must give id, secret, created_at and retired_at of each key in the ring {ring}")
    key_id, created_at, retired_at = member["id"], member.get("created_at", 0), member.get("retired_at")
    if not isinstance(key_id, str) or len(key_id) != 1 or key_id not in KEY_IDS:
        raise _Misshapen(f"must name each key in the ring {ring} by one letter, digit, - or _")
    if type(created_at) is not int or not (retired_at is None or type(retired_at) is int):
        raise _Misshapen(f"must give the times in the ring {ring} as whole microseconds since 1970")
    return Key(key_id, _read_secret(member["secret"], f"each secret in the ring {ring}"), created_at, retired_at)


def _encode(secret: bytes) -> str:
    return base64.urlsafe_b64encode(secret).decode()


def _read_secret(text: object, what: str) -> bytes:
    try:
        secret = base64.b64decode(text.encode("ascii"), altchars=b"-_", validate=True) if isinstance(text, str) else b""
    except ValueError:
        secret = b""
    if len(secret) < SECRET_BYTES:
        raise _Misshapen(f"must give {what} as at least {SECRET_BYTES} bytes in URL-safe base64")
    return secret


# -- the keys of a running process -------------------------------------------------------------------------------------


class KeyStore:
    """The keys of a running process: it sees a rotation within a second, and keeps what it has when the file is bad."""

    def __init__(self, settings: Settings) -> None:
        """Load the keys, making them on first start; raise SettingsError as :func:`load_keys` does."""
        self._path = None if settings.keys else settings.instance / FILE_NAME
        self._keys = load_keys(settings)
        self._stamp: tuple[int, ...] | None = None  # none yet, so that a change since the line above is seen
        self._looked_at = clock.now()

    def current(self) -> Keys:
        """Return the keys as they are now, or were at most a second ago."""
        now = clock.now()
        # A clock that was set back counts as a second gone by.
        if self._path is not None and not 0 <= now - self._looked_at < RELOAD_AFTER:
            self._looked_at = now
            self._look(self._path)
        return self._keys

    def _look(self, path: Path) -> None:
        stamp = _stamp(path)
        if stamp == self._stamp:
            return
        self._stamp = stamp  # taken before the file is read: a change in between is seen at the next look
        try:
            keys = _read(path)
        except SettingsError as error:
            _log.error("%s The keys read before stay in use.", error.message)
            return
        if keys.pepper != self._keys.pepper:
            _log.error("%s has another pepper, and a pepper never changes. The keys read before stay in use.", path)
            return
        self._keys = keys


def _stamp(path: Path) -> tuple[int, ...]:
    try:
        status = path.stat()
    except OSError:
        return ()
    return status.st_ino, status.st_mtime_ns, status.st_size
