"""The one way out: every call to another server goes through here, to an address that was checked, within bounds.

The host's name is resolved once, and the connection goes to exactly the address that was checked, so a name that points
somewhere else a moment later (DNS rebinding) leads nowhere. ``requests`` writes the request and ``urllib3`` reads the
answer, but no session of theirs lies between: a session follows redirects, keeps cookies, and takes proxies and
passwords from its surroundings. Every call has a connection of its own: none is ever reused by a caller trusted less.

No error, ``repr`` or log line made here holds a path, a query, a header, a body or credentials: only host and port.
"""

import io
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import cache
from http.client import HTTPConnection, HTTPException
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from json import loads
from types import MappingProxyType
from typing import Any, cast
from urllib.parse import urlsplit

from requests import PreparedRequest, Request, RequestException
from requests.certs import where
from urllib3 import HTTPHeaderDict, HTTPResponse
from urllib3.exceptions import DecodeError, HTTPError, InvalidHeader, ReadTimeoutError

from plugin import clock
from plugin.domain.moment import SECOND, format_moment
from plugin.errors import PluginError, Sentence

Address = IPv4Address | IPv6Address

PAUSE_FIRST = 30 * SECOND
PAUSE_MAX = 3_600 * SECOND

_PORTS = {"http": 80, "https": 443}
_NAME = re.compile(r"(?=.{1,253}\Z)[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*", re.ASCII)
_SECONDS = re.compile(r"[0-9]+", re.ASCII)
_PIECE_BYTES = 65_536
_HOSTS_REMEMBERED = 1_000

_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052 section 2.1
_GLOBAL_UNICAST = IPv6Network("2000::/3")  # all that IANA gives out; ipaddress calls more than this global
_NOT_PUBLIC = (
    IPv4Network("192.0.0.0/24"),  # RFC 6890; older releases of ipaddress know only parts of it
    IPv4Network("192.88.99.0/24"),  # RFC 7526: the relays of 6to4
    IPv6Network("3fff::/20"),  # RFC 9637: for documentation
)

# What OpenSSL finds wrong with a certificate (X509_V_ERR_…), as an owner would say it.
_CERTIFICATE_FAULTS = {
    9: Sentence("it is valid from a later date only"),
    10: Sentence("it has expired"),
    18: Sentence("it is signed by itself"),
    19: Sentence("it is signed by nobody this machine knows"),
    20: Sentence("it is signed by nobody this machine knows"),
    62: Sentence("it is made out to another name"),
    64: Sentence("it is made out to another address"),
}


class OutboundError(PluginError):
    """A call that brought no answer. ``sent`` tells whether the other server may have got the request.

    Where it is False the other server has surely done nothing, so the call may be made again without harm.
    """

    status = 502

    def __init__(self, code: str, message: str, *, sent: bool = False, **fields: object) -> None:
        super().__init__(code, message, fields=fields)
        self.sent = sent


class ForbiddenAddress(OutboundError):
    """An address that nobody may be sent to: no URL of a web server, or one inside a private network."""

    status = 422

    def __init__(self, message: str, /, **values: object) -> None:
        super().__init__("forbidden_address", Sentence(message, **values))


class Unsendable(OutboundError):
    """The request cannot be written as HTTP, by a fault of the caller: its method, a header, parameters or the JSON."""

    status = 422

    def __init__(self) -> None:
        super().__init__("unsendable", "The request has a header, a parameter or a body that cannot be sent.")


class Unreachable(OutboundError):
    """No whole answer came. ``reason``: dns, refused, certificate, tls, time_out, network or broken."""

    def __init__(self, origin: "Origin", reason: str, message: str, *, sent: bool) -> None:
        super().__init__("unreachable", message, sent=sent, host=origin.authority, reason=reason)
        self.reason = reason


class TooLarge(OutboundError):
    """The answer's body is larger than the caller takes."""

    def __init__(self, origin: "Origin", bytes_max: int) -> None:
        message = Sentence("%(host)s answered with more than %(most)s bytes.", host=origin.authority, most=bytes_max)
        super().__init__("answer_too_large", message, sent=True, host=origin.authority)


class BadAnswer(OutboundError):
    """What came back is not what was asked for: no HTTP, or no JSON."""

    def __init__(self, host: str, language: str) -> None:
        message = Sentence(
            "%(host)s does not answer in %(language)s. Check that this is the right address.",
            host=host,
            language=Sentence(language),
        )
        super().__init__("bad_answer", message, sent=True, host=host)


class Busy(OutboundError):
    """The server asked to be left alone until ``retry_at``, in microseconds since 1970."""

    status = 503

    def __init__(self, host: str, retry_at: int, *, sent: bool) -> None:
        message = Sentence(
            "%(host)s asks to be left alone until %(time)s. Try again after that.",
            host=host,
            time=format_moment(retry_at),
        )
        super().__init__("server_busy", message, sent=sent, host=host, retry_at=retry_at)
        self.retry_at = retry_at


@dataclass(frozen=True, slots=True)
class Origin:
    """A server as a URL names it (RFC 6454): ``http`` or ``https``, the host in lower case without brackets, the port.

    Pass one to :meth:`Outbound.send` as ``trusted`` where whoever runs the installation has named that server.
    """

    scheme: str
    host: str
    port: int

    @classmethod
    def of(cls, url: str) -> "Origin":
        """Read the origin of a URL. Raise ForbiddenAddress for what is no URL of a web server, or names a user."""
        try:
            parts = urlsplit(Request("GET", url).prepare().url or "")
            scheme, host, port, has_user = parts.scheme, parts.hostname or "", parts.port, "@" in parts.netloc
        except (RequestException, ValueError):
            scheme, host, port, has_user = "", "", None, False
        if has_user:
            raise ForbiddenAddress("The address must not hold a user or a password.")
        host = host.rstrip(".")
        if scheme not in _PORTS or not _is_host(host):
            raise ForbiddenAddress("This is no address of a web server. Write it like https://shop.example.com/path.")
        return cls(scheme, host, _PORTS[scheme] if port is None else port)

    @property
    def authority(self) -> str:
        """Return host and port as the Host header writes them: the port only where it is not the usual one."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"


def _is_host(host: str) -> bool:
    """Tell whether this is a name, or an IPv6 address of no zone. (An IPv4 address is written like a name.)"""
    if ":" not in host:
        return _NAME.fullmatch(host) is not None
    try:
        return ip_address(host).version == 6 and "%" not in host
    except ValueError:
        return False


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much one call may take: seconds to connect, to wait for the next bytes and in all, and bytes of body.

    The body counts as it is after decompression; with 0 bytes it is left unread, for who wants the status alone.
    The system's own time-outs bound how long a name is looked up.
    """

    connect_seconds: float = 5
    read_seconds: float = 15
    total_seconds: float = 30
    body_bytes: int = 8 * 1_048_576


USUAL = Bounds()


@dataclass(frozen=True, slots=True, repr=False)
class Answer:
    """What a server answered, whatever its status: a redirect too is an answer, and not followed.

    ``headers`` have names in lower case; of a header that came several times the values are joined by a comma
    (RFC 9110 section 5.2). ``body`` is decompressed. ``host`` is the server's name, with the port where it is unusual.
    """

    host: str
    status: int
    headers: Mapping[str, str]
    body: bytes

    def __repr__(self) -> str:
        return f"Answer(host={self.host!r}, status={self.status}, body of {len(self.body)} bytes)"

    def json(self) -> Any:
        """Read the body as JSON (RFC 8259, so no NaN and no Infinity). Raise BadAnswer for anything else."""
        with suppress(ValueError, RecursionError):
            return loads(self.body, parse_constant=_refuse)
        raise BadAnswer(self.host, "JSON")


def _refuse(name: str) -> Any:
    raise ValueError(name)


def resolve(host: str, port: int) -> Sequence[str]:
    """Return the addresses of a host as the system knows them, the best first. Raise OSError where there is none."""
    return [str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


class Outbound:
    """Calls other servers. Made once per installation; any number of threads may use it at the same time.

    Tests put in their own: ``resolve`` gives the addresses of (host, port) or raises OSError, ``now`` the time in
    microseconds since 1970, and ``tls`` says which certificates hold (by default those of certifi and the system's).
    """

    def __init__(
        self,
        *,
        resolve: Callable[[str, int], Sequence[str]] = resolve,
        now: Callable[[], int] = clock.now,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._resolve = resolve
        self._tls = tls
        self._pauses = _Pauses(now)

    def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        json: Any = None,
        params: Mapping[str, str] | Sequence[tuple[str, str]] | None = None,
        auth: tuple[str, str] | None = None,
        trusted: Origin | None = None,
        bounds: Bounds = USUAL,
    ) -> Answer:
        """Call a server once and return what it answers, whatever the status.

        ``params`` are added to the URL's query, ``auth`` is user and password for Basic (RFC 7617), ``json`` is sent
        where there is no ``body``. Only the server of ``trusted`` may be called over plain http or in a private
        network: its address must come from whoever runs the installation, never from what somebody typed in.

        Raise ForbiddenAddress, Unsendable, Unreachable, TooLarge, BadAnswer or Busy, and nothing else. 429 is always
        Busy; 503 where it says until when (RFC 9110 section 10.2.3). From then on the server is not called before.
        """
        try:
            origin = Origin.of(url)
            request = _prepare(method, url, origin, headers, body, json, params, auth)
            return self._send(request, origin, origin == trusted, bounds)
        except OutboundError as error:
            error.__context__ = None  # the error underneath may quote the request
            raise

    def check(self, url: str) -> None:
        """Raise ForbiddenAddress for an address that would be refused, so that whoever types it in hears of it at once.

        A name that cannot be looked up now passes: nobody knows yet where it will lead, and every call looks again.
        """
        origin = Origin.of(url)
        _require_https(origin)
        with suppress(Unreachable):
            self._addresses(origin, is_trusted=False)

    def _send(self, request: PreparedRequest, origin: Origin, is_trusted: bool, bounds: Bounds) -> Answer:
        if not is_trusted:
            _require_https(origin)
        self._pauses.check(origin)
        deadline = _Deadline(bounds.total_seconds)
        addresses = self._addresses(origin, is_trusted)
        with self._connect(origin, addresses, bounds, deadline) as connected:
            answer = _exchange(connected, request, origin, bounds, deadline)
        self._pauses.hear(origin, answer)
        return answer

    def _addresses(self, origin: Origin, is_trusted: bool) -> Sequence[Address]:
        """Look the host up, once; all its addresses must be public, for nobody knows which of them will answer."""
        try:
            addresses = [ip_address(text) for text in self._resolve(origin.host, origin.port)]
        except (OSError, ValueError):
            addresses = []
        if not addresses:
            message = Sentence(
                "There is no server of the name %(host)s. Check the address, or try again later.", host=origin.host
            )
            raise Unreachable(origin, "dns", message, sent=False)
        if not is_trusted and not all(is_public(address) for address in addresses):
            raise ForbiddenAddress("%(host)s is not in the public internet, so it may not be called.", host=origin.host)
        return addresses

    @contextmanager
    def _connect(
        self, origin: Origin, addresses: Collection[Address], bounds: Bounds, deadline: "_Deadline"
    ) -> Iterator[socket.socket]:
        with _failing(origin, sent=False):
            connected = _dial(origin, addresses, bounds, deadline)
        with closing(connected):
            if origin.scheme == "http":
                yield connected
                return
            with _failing(origin, sent=False):
                connected.settimeout(deadline.left(bounds.connect_seconds))
                secured = (self._tls or _usual_tls()).wrap_socket(connected, server_hostname=origin.host)
            with closing(secured):
                yield secured


def _require_https(origin: Origin) -> None:
    if origin.scheme != "https":
        raise ForbiddenAddress("The address must begin with https://.")


@cache
def _usual_tls() -> ssl.SSLContext:
    """Trust the system's certificates, where an operator adds the one of a private shop, and those of certifi."""
    context = ssl.create_default_context()
    context.load_verify_locations(where())
    return context


def is_public(address: Address) -> bool:
    """Tell whether an address is reached over the public internet, going by the registries of IANA (RFC 6890)."""
    inner = _innermost(address)
    if isinstance(inner, IPv6Address) and inner not in _GLOBAL_UNICAST:
        return False
    return inner.is_global and not inner.is_multicast and not any(inner in network for network in _NOT_PUBLIC)


def _innermost(address: Address) -> Address:
    """Return the IPv4 address inside an IPv6 one (mapped, NAT64, 6to4), for that is where a packet to it ends."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour or address


# -- the request -------------------------------------------------------------------------------------------------------


def _prepare(
    method: str,
    url: str,
    origin: Origin,
    headers: Mapping[str, str] | None,
    body: bytes | None,
    json: Any,
    params: Mapping[str, str] | Sequence[tuple[str, str]] | None,
    auth: tuple[str, str] | None,
) -> PreparedRequest:
    own = {"User-Agent": "Passalong", "Accept-Encoding": "gzip, deflate"}
    request = Request(method, url, {**own, **(headers or {})}, data=body, json=json, params=params, auth=auth)
    try:
        prepared = request.prepare()
    except (RequestException, ValueError, TypeError):
        raise Unsendable from None
    prepared.headers.update({"Host": origin.authority, "Connection": "close"})
    return prepared


class _Deadline:
    """The moment at which a call is over, however busy the server looks."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def left(self, seconds_max: float) -> float:
        """Return how many seconds the next wait may take. Raise TimeoutError where none are left."""
        seconds = min(seconds_max, self._end - time.monotonic())
        if seconds <= 0:
            raise TimeoutError
        return seconds


def _dial(origin: Origin, addresses: Collection[Address], bounds: Bounds, deadline: _Deadline) -> socket.socket:
    """Connect to the first of the addresses that takes the call. Raise the OSError of the last one."""
    failure = OSError()
    for address in addresses:
        try:
            return socket.create_connection((str(address), origin.port), deadline.left(bounds.connect_seconds))
        except OSError as error:
            failure = error
    raise failure


class _Wire:
    """What http.client asks of a socket, with every single wait cut to what the deadline leaves."""

    def __init__(self, connected: socket.socket, seconds_max: float, deadline: _Deadline) -> None:
        self.connected = connected
        self._seconds_max = seconds_max
        self._deadline = deadline

    def wait(self) -> None:
        self.connected.settimeout(self._deadline.left(self._seconds_max))

    def sendall(self, data: bytes) -> None:
        for start in range(0, len(data), _PIECE_BYTES):
            self.wait()
            self.connected.sendall(data[start : start + _PIECE_BYTES])

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Incoming(self))

    def close(self) -> None:
        """Leave it open: http.client closes as soon as it has read the head, and the body is still to come."""


class _Incoming(io.RawIOBase):
    def __init__(self, wire: _Wire) -> None:
        self._wire = wire

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._wire.wait()
        return self._wire.connected.recv_into(buffer)


# -- the answer --------------------------------------------------------------------------------------------------------


def _exchange(
    connected: socket.socket, request: PreparedRequest, origin: Origin, bounds: Bounds, deadline: _Deadline
) -> Answer:
    connection = HTTPConnection(origin.host, origin.port)
    connection.sock = cast(socket.socket, _Wire(connected, bounds.read_seconds, deadline))
    with _failing(origin, sent=True):
        _write(connection, request)
        with closing(_head(connection, request)) as reply:
            body = _body(reply, origin, bounds.body_bytes) if bounds.body_bytes else b""
    headers = MappingProxyType({name.lower(): value for name, value in reply.headers.itermerged()})
    return Answer(origin.authority, reply.status, headers, body)


def _write(connection: HTTPConnection, request: PreparedRequest) -> None:
    try:
        connection.request(cast(str, request.method), request.path_url, cast(bytes, request.body), request.headers)
    except (BrokenPipeError, ConnectionResetError):
        pass  # a server may answer (413, 401) and hang up before it has read everything; that answer is worth reading
    except (HTTPException, ValueError):
        raise Unsendable from None


def _head(connection: HTTPConnection, request: PreparedRequest) -> HTTPResponse:
    """Read status and headers; urllib3 then reads the body, for it decompresses in bounded steps."""
    reply = connection.getresponse()
    return HTTPResponse(
        body=cast(Any, reply),
        headers=HTTPHeaderDict(reply.headers.items()),
        status=reply.status,
        preload_content=False,
        original_response=cast(Any, reply),
        request_method=request.method,
    )


def _body(reply: HTTPResponse, origin: Origin, bytes_max: int) -> bytes:
    body = bytearray()
    while piece := reply.read1(_PIECE_BYTES, decode_content=True):
        body += piece
        if len(body) > bytes_max:
            raise TooLarge(origin, bytes_max)
    return bytes(body)


@contextmanager
def _failing(origin: Origin, *, sent: bool) -> Iterator[None]:
    """Tell what went wrong on the wire in words that an owner understands."""
    try:
        yield
    except (OSError, HTTPException, HTTPError) as error:
        raise _told(origin, error, sent) from None


def _told(origin: Origin, error: Exception, sent: bool) -> OutboundError:
    if isinstance(error, OSError | ReadTimeoutError):
        reason, message = _reason(origin, error)
    elif isinstance(error, HTTPException | DecodeError | InvalidHeader):
        return BadAnswer(origin.authority, "HTTP")
    else:
        reason, message = _broken(origin)
    return Unreachable(origin, reason, message, sent=sent)


def _broken(origin: Origin) -> tuple[str, Sentence]:
    return "broken", Sentence("%(host)s broke off before its answer was complete.", host=origin.authority)


def _reason(origin: Origin, error: Exception) -> tuple[str, Sentence]:
    host = origin.authority
    match error:
        case TimeoutError() | ReadTimeoutError():
            return "time_out", Sentence("%(host)s did not answer in time. Try again later.", host=host)
        case ssl.SSLCertVerificationError():
            fault = _CERTIFICATE_FAULTS.get(error.verify_code)
            if fault is None:
                return "certificate", Sentence("The certificate of %(host)s is not valid.", host=host)
            return "certificate", Sentence(
                "The certificate of %(host)s is not valid: %(fault)s.", host=host, fault=fault
            )
        case ssl.SSLError():
            return "tls", Sentence(
                "%(host)s could not agree on a secure connection. Check that it serves https on this port.", host=host
            )
        case ConnectionRefusedError():
            return "refused", Sentence(
                "%(host)s refuses the connection. Check the address, and that the server runs.", host=host
            )
        case ConnectionError():
            return _broken(origin)
        case _:
            return "network", Sentence("There is no way to %(host)s in the network. Try again later.", host=host)


# -- politeness --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Pause:
    """Until when a server is left alone, in microseconds since 1970, and how many pauses came in a row before."""

    until: int
    before: int


class _Pauses:
    """Who asked to be left alone, by host and port. At most an hour, so that nobody can ask for ever."""

    def __init__(self, now: Callable[[], int]) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._pauses: dict[str, _Pause] = {}

    def check(self, origin: Origin) -> None:
        """Raise Busy while the server wants to be left alone."""
        with self._lock:
            pause = self._pauses.get(origin.authority)
            if pause and self._lasts(pause):
                raise Busy(origin.authority, pause.until, sent=False)

    def hear(self, origin: Origin, answer: Answer) -> None:
        """Note what an answer asks for. Raise Busy for 429, and for 503 that says until when."""
        now = self._now()
        asked = retry_after(answer.headers.get("retry-after", ""), now)
        with self._lock:
            pause = self._pauses.get(origin.authority)
            if answer.status == 429 or (answer.status == 503 and asked is not None):
                until = self._pause(origin.authority, pause, asked, now)
                raise Busy(origin.authority, until, sent=True)
            if pause and not self._lasts(pause):
                del self._pauses[origin.authority]

    def _pause(self, authority: str, pause: _Pause | None, asked: int | None, now: int) -> int:
        """Pause as long as asked, else twice as long as the last time. What was under way together counts once."""
        lasts = pause is not None and self._lasts(pause)
        before = 0 if pause is None else pause.before + (not lasts)
        length = asked if asked is not None else min(PAUSE_FIRST << min(before, 16), PAUSE_MAX)
        until = max(now + length, pause.until if pause and lasts else 0)
        if len(self._pauses) >= _HOSTS_REMEMBERED:
            self._pauses = {key: value for key, value in self._pauses.items() if self._lasts(value)}
        self._pauses[authority] = _Pause(until, before)
        return until

    def _lasts(self, pause: _Pause) -> bool:
        """Tell whether a pause still lasts. One longer than can be asked for is of a clock that was set back since."""
        return 0 < pause.until - self._now() <= PAUSE_MAX


def retry_after(value: str, now: int) -> int | None:
    """Read Retry-After (RFC 9110 section 10.2.3), seconds or a date, as microseconds from ``now``, at most an hour.

    None where it cannot be read.
    """
    if _SECONDS.fullmatch(value):
        return min(int(value) * SECOND, PAUSE_MAX) if len(value) < 10 else PAUSE_MAX
    try:
        date = parsedate_to_datetime(value)
        since_1970 = date.replace(tzinfo=date.tzinfo or UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
    return min(max(since_1970 // timedelta(microseconds=1) - now, 0), PAUSE_MAX)
