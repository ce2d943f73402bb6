"""The one way out, against real servers on this machine: where it goes, when it gives up, and what it never tells."""

import contextlib
import gzip
import ipaddress
import json
import logging
import socket
import socketserver
import ssl
import threading
import time
import traceback
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plugin import outbound
from plugin.errors import PluginError
from plugin.outbound import (
    PAUSE_FIRST,
    PAUSE_MAX,
    Answer,
    BadAnswer,
    Bounds,
    Busy,
    ForbiddenAddress,
    Origin,
    Outbound,
    OutboundError,
    TooLarge,
    Unreachable,
    Unsendable,
    is_public,
)
from tests.receiver import Certificate, read_request

SECOND = 1_000_000
AT = 1_800_000_000 * SECOND  # Fri, 15 Jan 2027 08:00:00 GMT
PUBLIC = "93.184.215.14"
CANARY = "canary-5f2c91"
SHORT = Bounds(connect_seconds=0.5, read_seconds=0.3, total_seconds=0.6, body_bytes=1_000_000)
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

Play = bytes | Callable[[socket.socket], None]
fixed = settings(derandomize=True, database=None, deadline=None, max_examples=400)


# -- servers on this machine -------------------------------------------------------------------------------------------


class Server(socketserver.ThreadingTCPServer):
    """Reads one request per connection, keeps it, and plays its answer: bytes, or what to do with the connection."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, play: Play, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.play, self.tls = play, tls
        self.heard: list[bytes] = []

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a client that hangs up or refuses a certificate is what these tests are about."""


class Handler(socketserver.BaseRequestHandler):
    """One connection."""

    server: Server

    def handle(self) -> None:
        connection = self.request
        connection.settimeout(10)
        if self.server.tls:
            connection = self.server.tls.wrap_socket(connection, server_side=True)
        with connection:
            self.server.heard.append(read_request(connection))
            if callable(self.server.play):
                self.server.play(connection)
            else:
                connection.sendall(self.server.play)


@contextlib.contextmanager
def serve(play: Play, tls: ssl.SSLContext | None = None) -> Iterator[Server]:
    with Server(play, tls) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def reply(*headers: str, body: bytes = b"", status: str = "200 OK") -> bytes:
    """Write an answer that ends when the connection does."""
    return "\r\n".join([f"HTTP/1.1 {status}", *headers, "", ""]).encode() + body


def ask(server: Server, out: Outbound | None = None, **more: Any) -> Answer:
    """Call a server as the owner's own shop."""
    return (out or Outbound()).send("GET", server.url, trusted=Origin.of(server.url), **more)


def resolving(*addresses: str) -> Callable[[str, int], Sequence[str]]:
    return lambda host, port: addresses


class Streets:
    """Stands in for the road to public addresses: notes where it leads and goes to a server of this machine."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, port: int | None) -> None:
        self.walked: list[tuple[str, int]] = []
        self._port, self._real = port, socket.create_connection
        monkeypatch.setattr(outbound.socket, "create_connection", self._walk)

    def _walk(self, address: tuple[str, int], timeout: float) -> socket.socket:
        self.walked.append(address)
        if self._port is None:
            raise ConnectionRefusedError
        return self._real(("127.0.0.1", self._port), timeout)


@contextlib.contextmanager
def plugged(answer: bytes) -> Iterator[socket.socket]:
    """Let every connection end at a server that has answered already; give that server's end."""
    near, far = socket.socketpair()
    with near, far, pytest.MonkeyPatch.context() as monkeypatch:
        far.sendall(answer)
        far.shutdown(socket.SHUT_WR)
        monkeypatch.setattr(outbound.socket, "create_connection", lambda address, timeout: near)
        yield far


@pytest.fixture(autouse=True)
def at_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no test leave this machine."""
    real = socket.create_connection

    def dial(address: tuple[str, int], timeout: float) -> socket.socket:
        assert ipaddress.ip_address(address[0]).is_loopback, "a test is about to call a stranger"
        return real(address, timeout)

    monkeypatch.setattr(outbound.socket, "create_connection", dial)


# -- what is sent and what comes back ----------------------------------------------------------------------------------


def test_an_answer_says_status_headers_in_lower_case_and_body() -> None:
    page = reply("X-One: a", "x-one: b", "Content-Type: text/plain", body=b"tea", status="404 Not Found")
    with serve(page) as server:
        answer = ask(server)
    assert (answer.status, answer.body, answer.host) == (404, b"tea", f"127.0.0.1:{server.port}")
    assert answer.headers == {"x-one": "a, b", "content-type": "text/plain"}
    with pytest.raises(FrozenInstanceError):
        answer.status = 200  # type: ignore[misc]
    with pytest.raises(TypeError):
        answer.headers["x"] = "y"  # type: ignore[index]


def test_method_headers_query_user_and_json_arrive() -> None:
    with serve(OK) as server:
        Outbound().send(
            "POST",
            server.url + "a b?x=1#part",
            headers={"X-Key": "k", "Host": "elsewhere.example"},
            json={"sum": "1.00"},
            params=[("y", "2&3")],
            auth=("mei", "pass"),
            trusted=Origin.of(server.url),
        )
    head, _, body = server.heard[0].partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert lines[0] == b"POST /a%20b?x=1&y=2%263 HTTP/1.1"
    assert [line for line in lines if line.startswith(b"Host:")] == [f"Host: 127.0.0.1:{server.port}".encode()]
    assert {b"X-Key: k", b"Authorization: Basic bWVpOnBhc3M=", b"Content-Type: application/json"} <= set(lines)
    assert {b"User-Agent: Passalong", b"Connection: close"} <= set(lines)
    assert json.loads(body) == {"sum": "1.00"}


def test_a_body_of_bytes_arrives_as_it_is() -> None:
    body = bytes(range(256)) * 2_000
    with serve(OK) as server:
        Outbound().send("PUT", server.url, body=body, trusted=Origin.of(server.url))
    head, _, arrived = server.heard[0].partition(b"\r\n\r\n")
    assert arrived == body and f"content-length: {len(body)}".encode() in head.lower()


def test_head_and_204_have_no_body() -> None:
    with serve(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n") as server:
        assert Outbound().send("HEAD", server.url, trusted=Origin.of(server.url)).body == b""
    with serve(b"HTTP/1.1 204 No Content\r\n\r\n") as server:
        assert ask(server).body == b""


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [
        ("gzip", gzip.compress(b"tea" * 90_000)),
        ("gzip", gzip.compress(b"tea" * 45_000) + gzip.compress(b"tea" * 45_000)),
        ("deflate", zlib.compress(b"tea" * 90_000)),
        ("gzip, gzip", gzip.compress(gzip.compress(b"tea" * 90_000))),
    ],
)
def test_a_compressed_body_is_opened(encoding: str, packed: bytes) -> None:
    with serve(reply(f"Content-Encoding: {encoding}", body=packed)) as server:
        assert ask(server).body == b"tea" * 90_000


def test_a_chunked_body_is_put_together() -> None:
    pieces = b"3\r\ntea\r\n2;x=y\r\n!!\r\n0\r\nTrailer: 1\r\n\r\n"
    with serve(reply("Transfer-Encoding: chunked", body=pieces)) as server:
        assert ask(server).body == b"tea!!"


def test_an_answer_before_the_whole_request_was_read_counts() -> None:
    with plugged(reply("Content-Length: 0", status="413 Content Too Large")) as far:
        far.shutdown(socket.SHUT_RD)
        origin = Origin("http", "shop.example.com", 80)
        out = Outbound(resolve=resolving(PUBLIC))
        assert out.send("POST", "http://shop.example.com/", body=b"x" * 3_000_000, trusted=origin).status == 413


def test_json_is_read_and_everything_else_is_a_bad_answer() -> None:
    assert Answer("shop.example.com", 200, {}, b'{"a": [1]}').json() == {"a": [1]}
    for body in (b"", b"<html>", b"\xff\xfe\x00", b"NaN", b'{"a": -Infinity}', b"[" * 100_000, b"1" * 5_000):
        with pytest.raises(BadAnswer, match="shop.example.com does not answer in JSON") as caught:
            Answer("shop.example.com", 200, {}, body).json()
        assert caught.value.__context__ is None


def test_what_cannot_be_written_as_http_is_refused_before_anything_is_sent() -> None:
    with serve(OK) as server:
        for more in (
            {"headers": {"X": "a\r\nY: b"}},
            {"headers": {"X": "\u4eac"}},
            {"headers": {"X\n": "a"}},
            {"json": object()},
            {"json": float("nan")},
            {"params": {"a": "\ud800"}},
        ):
            with pytest.raises(Unsendable) as caught:
                ask(server, **more)
            assert not caught.value.sent
        with pytest.raises(Unsendable):
            Outbound().send("GET /\r\n", server.url, trusted=Origin.of(server.url))
    assert [heard.strip() for heard in server.heard if heard.strip()] == []


# -- where it goes -----------------------------------------------------------------------------------------------------

INSIDE = [
    "127.0.0.1", "127.255.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0",  # noqa: S104
    "255.255.255.255", "224.0.0.1", "239.1.1.1", "240.0.0.1", "192.0.0.1", "192.0.0.200", "192.0.2.1", "198.18.0.1",
    "198.51.100.1", "203.0.113.1", "192.88.99.1", "::1", "::", "fe80::1", "fe80::1%1", "fec0::1", "fc00::1",
    "fd00:ec2::254", "ff02::1", "ff0e::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1",
    "64:ff9b::a00:1", "64:ff9b:1::7f00:1", "2002:7f00:1::", "2002:a9fe:a9fe::", "2001:db8::1", "2001::1",
    "2001:10::1", "100::1", "3fff::1", "4000::1", "5f00::1",
]  # fmt: skip
OUTSIDE = [
    "93.184.215.14", "1.1.1.1", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101", "2002:101:101::",
]  # fmt: skip


@pytest.mark.parametrize("address", INSIDE)
def test_fault_53_an_address_inside_is_refused_even_among_public_ones(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not is_public(ipaddress.ip_address(address))
    streets = Streets(monkeypatch, None)
    for addresses in ((address,), (PUBLIC, address), (address, PUBLIC)):
        with pytest.raises(ForbiddenAddress, match="not in the public internet"):
            Outbound(resolve=resolving(*addresses)).send("GET", "https://events.example.com/")
    assert streets.walked == []


@pytest.mark.parametrize("address", OUTSIDE)
def test_a_public_address_is_called(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    streets = Streets(monkeypatch, None)
    with pytest.raises(Unreachable):
        Outbound(resolve=resolving(address)).send("GET", "https://events.example.com/")
    assert [ipaddress.ip_address(host) for host, _ in streets.walked] == [ipaddress.ip_address(address)]


@pytest.mark.parametrize(
    "host",
    ["0x7f000001", "2130706433", "127.1", "0177.0.0.1", "127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "localhost"]
    + ["localhost.", "LOCALHOST", "①②⑦.⓪.⓪.①", "0", "[::]", "127.0.0.1.", "[fe80::1%25lo]"],
)
def test_fault_53_no_spelling_of_this_machine_gets_through(host: str) -> None:
    with serve(OK) as server, pytest.raises((ForbiddenAddress, Unreachable)) as caught:
        Outbound().send("GET", f"https://{host}:{server.port}/")
    assert server.heard == []
    assert isinstance(caught.value, ForbiddenAddress) or caught.value.reason == "dns"


def test_fault_53_plain_http_and_private_networks_are_for_the_trusted_server_alone() -> None:
    out = Outbound()
    with serve(OK) as server:
        assert ask(server, out).status == 200
        neighbour = Origin("http", "127.0.0.1", server.port + 1)
        by_name = Origin("http", "localhost", server.port)
        for trusted in (None, neighbour, by_name, Origin("https", "127.0.0.1", server.port)):
            with pytest.raises(ForbiddenAddress, match="must begin with https://"):
                out.send("GET", server.url, trusted=trusted)
            with pytest.raises(ForbiddenAddress, match="not in the public internet"):
                out.send("GET", server.url.replace("http:", "https:"), trusted=neighbour)
    assert len(server.heard) == 1


@pytest.mark.parametrize(
    "url",
    ["", "/", "shop.example.com", "ftp://shop.example.com", "file:///etc/passwd", "gopher://a/", "https://", "https:///a"]
    + ["https://:443/", "https://a b/", "https://a:99999/", "https://a:b/", "https://[::1", "https://."]
    + ["javascript:alert(1)", "https://\ud800/", "https://a\x00b/", "httpx://a.example/", "https://" + "a" * 300]
    + ["https://..example.com/", "https://" + "a" * 64 + ".com/", "https://[v1.a]/"],
)
def test_fault_53_what_is_no_address_of_a_web_server_is_refused(url: str) -> None:
    with pytest.raises(ForbiddenAddress, match="This is no address"):
        Outbound(resolve=resolving(PUBLIC)).send("GET", url)


@pytest.mark.parametrize("user", ["mei:pass", "mei", "mei:", ":pass", "a%40b:c"])
def test_fault_53_a_url_with_a_user_is_refused(user: str) -> None:
    with pytest.raises(ForbiddenAddress, match="must not hold a user"):
        Outbound(resolve=resolving(PUBLIC)).send("GET", f"https://{user}@shop.example.com/")


def test_an_origin_is_scheme_host_and_port() -> None:
    assert Origin.of("HTTPS://Shop.Example.com./tea?x#y") == Origin("https", "shop.example.com", 443)
    assert Origin.of("https://bücher.example:8443") == Origin("https", "xn--bcher-kva.example", 8443)
    assert Origin.of("http://[::1]:80/").authority == "[::1]"
    assert Origin.of("http://[::1]:81/").authority == "[::1]:81"
    assert Origin.of("https://a.example:80").authority == "a.example:80"
    for url in ("https://a\\@b.example/", "https://a#@b.example/", "https://a?@b.example/", "https://a/@b.example/"):
        assert Origin.of(url).host == "a"  # as browsers read it (WHATWG URL, section 4.4)


def test_fault_53_a_name_that_moves_inside_after_the_check_leads_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [[PUBLIC], ["127.0.0.1"], ["127.0.0.1"]]
    asked: list[tuple[str, int]] = []

    def rebind(host: str, port: int) -> list[str]:
        asked.append((host, port))
        return answers.pop(0)

    out = Outbound(resolve=rebind)
    streets = Streets(monkeypatch, None)
    with pytest.raises(Unreachable):
        out.send("GET", "https://rebind.example.com:8443/")
    assert asked == [("rebind.example.com", 8443)] and streets.walked == [(PUBLIC, 8443)]
    with pytest.raises(ForbiddenAddress):
        out.send("GET", "https://rebind.example.com:8443/")
    assert streets.walked == [(PUBLIC, 8443)]


def test_the_next_address_is_tried_where_the_first_does_not_answer() -> None:
    with serve(OK) as server:
        origin = Origin("http", "shop.internal", server.port)
        out = Outbound(resolve=resolving("127.0.0.9", "127.0.0.1"))
        assert out.send("GET", f"http://shop.internal:{server.port}/", trusted=origin).status == 200
    assert f"Host: shop.internal:{server.port}".encode() in server.heard[0]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_fault_53_a_redirect_is_an_answer_and_not_followed(status: int) -> None:
    with serve(OK) as inside, serve(reply(f"Location: {inside.url}", status=f"{status} Moved")) as server:
        answer = ask(server)
    assert (answer.status, answer.headers["location"]) == (status, inside.url)
    assert inside.heard == []


def test_proxies_netrc_and_cookies_have_no_say(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "netrc").write_text(f"machine 127.0.0.1 login mei password {CANARY}\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with serve(reply("Set-Cookie: a=b", "Content-Length: 0")) as server, serve(OK) as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        out = Outbound()
        for _ in range(2):
            assert ask(server, out).status == 200
    assert proxy.heard == [] and len(server.heard) == 2
    assert not any(word in heard.lower() for heard in server.heard for word in (b"cookie", b"authorization"))


class Fixed:
    """Whatever URL is typed in, its host is one of these and nobody is asked."""

    def __init__(self, *addresses: str) -> None:
        self.out = Outbound(resolve=resolving(*addresses), now=lambda: AT)

    def try_to_send(self, url: str) -> None:
        try:
            self.out.send("GET", url, params={"a": "b"}, bounds=SHORT)
        except OutboundError as error:
            assert error.code and error.__context__ is None and error.__cause__ is None


anything = st.one_of(
    st.text(),
    st.from_regex(r"\A(https?|HTTPS)://[a-z0-9.:@\[\]%#?/\\&=_~ \t\n-]*\Z"),
    st.tuples(st.sampled_from(["https://", "http://", "https:/", "//", " https://"]), st.text(), st.text()).map(
        lambda parts: parts[0] + parts[1] + "/" + parts[2]
    ),
    st.text().map(lambda text: f"https://shop.example.com/{text}"),
    st.text(alphabet=st.characters()).map(lambda text: f"https://{text}.example.com:8443/?{text}"),
)


@fixed
@given(anything)
def test_no_text_makes_it_raise_anything_but_its_errors(url: str) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        streets = Streets(monkeypatch, None)
        Fixed("127.0.0.1").try_to_send(url)
        assert streets.walked == []
        Fixed(PUBLIC).try_to_send(url)


@settings(fixed, max_examples=150)
@given(st.text(), st.sampled_from(["/", "?", "#", "/?"]))
def test_no_path_or_query_makes_it_raise_anything_but_its_errors(text: str, mark: str) -> None:
    url = "http://shop.example.com" + mark + text
    with plugged(OK) as far:
        out = Outbound(resolve=resolving(PUBLIC))
        try:
            assert out.send("GET", url, trusted=Origin("http", "shop.example.com", 80)).body == b"ok"
        except OutboundError as error:
            assert isinstance(error, ForbiddenAddress | Unsendable), error
        else:
            lines = far.recv(1_000_000).split(b"\r\n")
            assert lines[0].startswith(b"GET /") and lines[0].count(b" ") == 2
            assert [line for line in lines if line.lower().startswith(b"host:")] == [b"Host: shop.example.com"]


def test_an_address_can_be_checked_before_anybody_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    streets = Streets(monkeypatch, None)
    Outbound(resolve=resolving(PUBLIC)).check("https://shop.example.com/")
    Outbound(resolve=resolving()).check("https://shop.example.com/")  # nobody knows yet where it leads
    for url, addresses, said in (
        ("http://shop.example.com/", (PUBLIC,), "must begin with https"),
        ("https://mei@shop.example.com/", (PUBLIC,), "must not hold a user"),
        ("nonsense", (PUBLIC,), "no address of a web server"),
        ("https://shop.example.com/", (PUBLIC, "127.0.0.1"), "not in the public internet"),
    ):
        with pytest.raises(ForbiddenAddress, match=said):
            Outbound(resolve=resolving(*addresses)).check(url)
    assert streets.walked == []


# -- TLS ---------------------------------------------------------------------------------------------------------------


def ask_securely(server: Server, tls: ssl.SSLContext | None, **more: Any) -> Answer:
    url = f"https://shop.example.com:{server.port}/"
    return Outbound(resolve=resolving("127.0.0.1"), tls=tls).send("GET", url, trusted=Origin.of(url), **more)


def test_tls_speaks_to_the_name_and_connects_to_the_address(tmp_path: Path) -> None:
    certificate = Certificate(tmp_path)
    named: list[str | None] = []
    certificate.server.sni_callback = lambda connection, name, context: named.append(name)
    with serve(reply("Content-Length: 3000000", body=b"x" * 3_000_000), certificate.server) as server:
        assert len(ask_securely(server, certificate.client).body) == 3_000_000
    assert named == ["shop.example.com"]
    assert f"Host: shop.example.com:{server.port}".encode() in server.heard[0]


def test_a_public_server_is_called_over_tls_without_trust(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate = Certificate(tmp_path)
    with serve(OK, certificate.server) as server:
        streets = Streets(monkeypatch, server.port)
        out = Outbound(resolve=resolving(PUBLIC), tls=certificate.client)
        assert out.send("GET", "https://shop.example.com/").body == b"ok"
    assert streets.walked == [(PUBLIC, 443)]


@pytest.mark.parametrize(
    ("name", "days", "is_known", "fault"),
    [
        ("shop.example.com", (-2, 2), False, "it is signed by itself"),
        ("other.example.com", (-2, 2), True, "it is made out to another name"),
        ("shop.example.com", (-9, -2), True, "it has expired"),
        ("shop.example.com", (2, 9), True, "it is valid from a later date only"),
    ],
)
def test_a_certificate_must_hold(
    tmp_path: Path, name: str, days: tuple[int, int], is_known: bool, fault: str
) -> None:
    certificate = Certificate(tmp_path, name, days)
    with serve(OK, certificate.server) as server, pytest.raises(Unreachable) as caught:
        ask_securely(server, certificate.client if is_known else None)
    assert caught.value.message == f"The certificate of shop.example.com:{server.port} is not valid: {fault}."
    assert caught.value.reason == "certificate" and not caught.value.sent
    assert server.heard == []


def test_a_server_without_tls_is_said_to_be_one() -> None:
    with plugged(OK), pytest.raises(Unreachable, match="could not agree on a secure connection") as caught:
        Outbound(resolve=resolving(PUBLIC)).send("GET", "https://shop.example.com/")
    assert caught.value.reason == "tls" and not caught.value.sent


# -- when it gives up --------------------------------------------------------------------------------------------------


def drip(connection: socket.socket, head: bytes, byte: bytes) -> None:
    """Send a byte now and then, until the other side has had enough."""
    connection.sendall(head)
    with contextlib.suppress(OSError):
        for _ in range(200):
            connection.sendall(byte)
            time.sleep(0.05)


@pytest.mark.parametrize(
    ("head", "byte"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", b"x"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n", b"x"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"0"),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + gzip.compress(b"x")[:10], b"\x00"),
        (b"HTTP/1.1 200 OK\r\nX: ", b"x"),
        (b"", b"H"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    ],
)
def test_a_server_that_drips_holds_nobody_longer_than_the_deadline(head: bytes, byte: bytes) -> None:
    with serve(lambda connection: drip(connection, head, byte)) as server:
        start = time.monotonic()
        with pytest.raises((Unreachable, BadAnswer)) as caught:
            ask(server, bounds=SHORT)
        assert time.monotonic() - start < 3
    assert caught.value.sent
    assert isinstance(caught.value, BadAnswer) or caught.value.reason in ("time_out", "broken")


def test_the_deadline_is_what_ends_a_dripping_body() -> None:
    with serve(lambda connection: drip(connection, reply(), b"x")) as server:
        start = time.monotonic()
        with pytest.raises(Unreachable, match="did not answer in time") as caught:
            ask(server, bounds=SHORT)
        assert SHORT.read_seconds < SHORT.total_seconds <= time.monotonic() - start < 3
    assert caught.value.reason == "time_out" and caught.value.sent


def test_a_silent_server_is_left_after_the_read_time_out() -> None:
    bounds = Bounds(read_seconds=0.2, total_seconds=60)
    with serve(lambda connection: time.sleep(1)) as server, pytest.raises(Unreachable, match="in time") as caught:
        start = time.monotonic()
        ask(server, bounds=bounds)
    assert time.monotonic() - start < 5 and caught.value.reason == "time_out" and caught.value.sent


def test_a_server_that_does_not_read_holds_nobody_either() -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}/"
        with pytest.raises(Unreachable) as caught:
            Outbound().send("POST", url, body=b"x" * 30_000_000, trusted=Origin.of(url), bounds=SHORT)
    assert caught.value.reason == "time_out" and caught.value.sent


def test_a_server_that_takes_no_call_in_time_is_said_to_be_slow() -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:  # it accepts, and never shakes hands
        url = f"https://127.0.0.1:{deaf.getsockname()[1]}/"
        with pytest.raises(Unreachable) as caught:
            Outbound().send("GET", url, trusted=Origin.of(url), bounds=Bounds(connect_seconds=0.2))
    assert caught.value.reason == "time_out" and not caught.value.sent


def endless(connection: socket.socket, head: bytes, piece: bytes) -> None:
    with contextlib.suppress(OSError):
        connection.sendall(head)
        while True:
            connection.sendall(piece)


BOMB = gzip.compress(b"\0" * 50_000_000)


@pytest.mark.parametrize(
    "play",
    [
        lambda connection: endless(connection, reply(), b"x" * 65_536),
        lambda connection: endless(connection, reply("Content-Length: 5"), b"x" * 65_536),
        lambda connection: endless(connection, reply("Content-Length: 99999999999"), b"x" * 65_536),
        lambda connection: endless(connection, reply("Transfer-Encoding: chunked"), b"400\r\n" + b"x" * 1024 + b"\r\n"),
        lambda connection: endless(connection, reply("Content-Encoding: gzip"), gzip.compress(b"x" * 65_536)),
        reply("Content-Encoding: gzip", body=BOMB),
        reply("Content-Encoding: gzip", f"Content-Length: {len(BOMB)}", body=BOMB),
        reply("Content-Encoding: gzip, gzip", body=gzip.compress(BOMB)),
        reply("Content-Encoding: deflate", body=zlib.compress(b"\0" * 50_000_000)),
        reply("Content-Encoding: gzip", body=gzip.compress(b"\0" * 1_000_001)),
        reply("Content-Length: 1000001", body=b"x" * 1_000_001),
    ],
)
def test_no_body_is_taken_that_is_larger_than_the_bound(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[int] = []
    read = outbound.HTTPResponse.read1
    monkeypatch.setattr(
        outbound.HTTPResponse,
        "read1",
        lambda self, amt, decode_content: taken.append(len(got := read(self, amt, decode_content))) or got,
    )
    with serve(play) as server:
        try:
            answer = ask(server, bounds=Bounds(body_bytes=1_000_000))
        except TooLarge as error:
            assert error.message == f"127.0.0.1:{server.port} answered with more than 1000000 bytes." and error.sent
        else:
            assert answer.body == b"xxxxx"  # Content-Length: 5 and no end is an answer of five bytes
    assert max(taken) <= 65_536 and sum(taken) <= 1_000_000 + 65_536


def test_a_body_as_large_as_the_bound_is_taken() -> None:
    with serve(reply("Content-Encoding: gzip", body=gzip.compress(b"x" * 1_000_000))) as server:
        assert len(ask(server, bounds=Bounds(body_bytes=1_000_000)).body) == 1_000_000


@pytest.mark.parametrize(
    "play",
    [
        reply("Content-Encoding: gzip", body=b"this is not gzip"),
        reply("Content-Length: 10", body=b"short"),
        lambda connection: endless(connection, reply(), b"x" * 65_536),
        lambda connection: drip(connection, reply(), b"x"),
    ],
)
def test_with_a_bound_of_no_bytes_the_body_is_left_unread(play: Play) -> None:
    bounds = Bounds(read_seconds=5, total_seconds=5, body_bytes=0)
    with serve(play) as server:
        start = time.monotonic()
        answer = ask(server, bounds=bounds)
        assert time.monotonic() - start < 3
    assert (answer.status, answer.body) == (200, b"")


@pytest.mark.parametrize(
    "answer",
    [
        reply("Content-Length: 10", body=b"short"),
        reply("Transfer-Encoding: chunked", body=b"5\r\nshort\r\n"),
        reply("Transfer-Encoding: chunked", body=b"9\r\nshort"),
        reply("Transfer-Encoding: chunked", body=b"-5\r\nshort"),
        reply("Transfer-Encoding: chunked", body=b"zz\r\nshort\r\n0\r\n\r\n"),
        b"",
    ],
)
def test_an_answer_that_is_not_whole_is_none(answer: bytes) -> None:
    with serve(answer) as server, pytest.raises(Unreachable, match="broke off") as caught:
        ask(server)
    assert caught.value.reason == "broken" and caught.value.sent


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\x00\xff\x00\xff" * 100,
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/9.9 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
        reply("Content-Length: 5, 6", body=b"short"),
        reply("Content-Encoding: gzip", body=b"this is not gzip"),
    ],
)
def test_what_is_no_http_is_a_bad_answer(answer: bytes) -> None:
    with serve(answer) as server, pytest.raises(BadAnswer, match="does not answer in HTTP") as caught:
        ask(server)
    assert caught.value.sent and caught.value.status == 502


@settings(fixed, max_examples=300)
@given(
    st.one_of(
        st.binary(max_size=200),
        st.binary(max_size=200).map(lambda data: b"HTTP/1.1 200 OK\r\n" + data),
        st.binary(max_size=200).map(lambda data: reply("Transfer-Encoding: chunked", body=data)),
        st.binary(max_size=200).map(lambda data: reply("Content-Encoding: gzip", body=gzip.compress(b"x")[:10] + data)),
        st.text(max_size=40).map(lambda text: reply(f"Retry-After: {text!a}", status="429 Slow")),
    )
)
def test_nothing_a_server_sends_makes_it_raise_anything_but_its_errors(data: bytes) -> None:
    with plugged(data), contextlib.suppress(OutboundError):
        Fixed("127.0.0.1").out.send("GET", "http://a/", trusted=Origin("http", "a", 80))


def test_a_refused_connection_and_an_unknown_name_are_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    origin = Origin("http", "127.0.0.1", port)
    with pytest.raises(Unreachable, match=f"127.0.0.1:{port} refuses the connection") as caught:
        Outbound().send("GET", f"http://127.0.0.1:{port}/", trusted=origin)
    assert (caught.value.reason, caught.value.sent) == ("refused", False)
    assert caught.value.fields == {"host": f"127.0.0.1:{port}", "reason": "refused"}

    def unknown(host: str, port: int) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    for resolve in (unknown, resolving(), resolving("nonsense")):
        with pytest.raises(Unreachable, match="There is no server of the name shop.example.com") as caught:
            Outbound(resolve=resolve).send("GET", "https://shop.example.com/")
        assert (caught.value.reason, caught.value.sent) == ("dns", False)


def test_a_network_without_a_way_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_way(address: tuple[str, int], timeout: float) -> socket.socket:
        raise OSError(113, "No route to host")

    monkeypatch.setattr(outbound.socket, "create_connection", no_way)
    with pytest.raises(Unreachable, match="There is no way to shop.example.com") as caught:
        Outbound(resolve=resolving(PUBLIC)).send("GET", "https://shop.example.com/")
    assert (caught.value.reason, caught.value.sent) == ("network", False)


# -- politeness --------------------------------------------------------------------------------------------------------


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.at = AT

    def __call__(self) -> int:
        return self.at


def wait_asked(*headers: str, status: str = "429 Too Many Requests") -> int:
    """Return for how many seconds a server that answers so is left alone."""
    with serve(reply(*headers, "Content-Length: 0", status=status)) as server, pytest.raises(Busy) as caught:
        ask(server, Outbound(now=Clock()))
    assert caught.value.sent and len(server.heard) == 1
    return (caught.value.retry_at - AT) // SECOND


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120),
        ("0", 0),
        ("3600", 3_600),
        ("3601", 3_600),
        ("9" * 5_000, 3_600),
        ("Fri, 15 Jan 2027 08:02:00 GMT", 120),
        ("Friday, 15-Jan-27 08:02:00 GMT", 120),
        ("Fri Jan 15 08:02:00 2027", 120),
        ("Fri, 15 Jan 2027 20:00:00 GMT", 3_600),
        ("Fri, 15 Jan 2021 08:00:00 GMT", 0),
    ],
)
def test_retry_after_is_seconds_or_a_date_and_at_most_an_hour(value: str, seconds: int) -> None:
    assert wait_asked(f"Retry-After: {value}") == seconds
    assert wait_asked(f"Retry-After: {value}", status="503 Service Unavailable") == seconds


@pytest.mark.parametrize("value", ["", "soon", "-5", "1.5", "5, 10", "Fri, 99 Foo 99999 08:00:00 GMT", "٣"])
def test_a_retry_after_that_cannot_be_read_counts_as_none(value: str) -> None:
    assert wait_asked(f"Retry-After: {value}") * SECOND == PAUSE_FIRST
    with serve(reply(f"Retry-After: {value}", "Content-Length: 0", status="503 Down")) as server:
        assert ask(server).status == 503


def test_a_busy_server_is_not_called_before_its_time_and_others_are() -> None:
    clock, busy = Clock(), reply("Retry-After: 60", "Content-Length: 0", status="429 Slow")
    out = Outbound(now=clock)
    with serve(busy) as server, serve(OK) as other:
        for step, (is_sent, retry_at) in enumerate([(True, 60), (False, 60), (False, 60), (True, 120)]):
            clock.at = AT + (0, 1, 59, 60)[step] * SECOND
            with pytest.raises(Busy, match="asks to be left alone until 2027-01-15T08:0[12]:00Z") as caught:
                ask(server, out)
            assert (caught.value.sent, caught.value.retry_at) == (is_sent, AT + retry_at * SECOND)
            assert ask(other, out).status == 200
    assert len(server.heard) == 2 and caught.value.status == 503


def test_without_retry_after_each_pause_is_twice_the_last_up_to_an_hour() -> None:
    clock = Clock()
    out, pauses = Outbound(now=clock), []
    with serve(reply("Content-Length: 0", status="429 Slow")) as server:
        for _ in range(9):
            with pytest.raises(Busy) as caught:
                ask(server, out)
            pauses.append(caught.value.retry_at - clock.at)
            clock.at = caught.value.retry_at
        assert pauses == [min(PAUSE_FIRST * 2**step, PAUSE_MAX) for step in range(9)]
        server.play = OK
        assert ask(server, out).status == 200
        server.play = reply("Content-Length: 0", status="429 Slow")
        with pytest.raises(Busy) as caught:
            ask(server, out)
    assert caught.value.retry_at - clock.at == PAUSE_FIRST


def test_a_clock_that_was_set_back_locks_nobody_out() -> None:
    clock = Clock()
    out = Outbound(now=clock)
    with serve(reply("Retry-After: 60", "Content-Length: 0", status="429 Slow")) as server:
        with pytest.raises(Busy):
            ask(server, out)
        clock.at -= 86_400 * SECOND
        server.play = OK
        assert ask(server, out).status == 200


def test_those_who_asked_long_ago_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbound, "_HOSTS_REMEMBERED", 3)
    clock = Clock()
    out = Outbound(now=clock, resolve=resolving("127.0.0.1"))
    with serve(reply("Retry-After: 60", "Content-Length: 0", status="429 Slow")) as server:
        for number in range(9):
            url = f"http://shop{number}.example.com:{server.port}/"
            with pytest.raises(Busy):
                out.send("GET", url, trusted=Origin.of(url))
            clock.at += 40 * SECOND
    assert len(out._pauses._pauses) <= 3


def test_many_threads_share_it() -> None:
    meet = threading.Barrier(20)

    def answer(connection: socket.socket) -> None:
        meet.wait(20)  # no thread is answered before all have come through
        connection.sendall(OK)

    out = Outbound()
    with serve(answer) as server, ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: ask(server, out), range(20)))
    assert [one.body for one in answers] == [b"ok"] * 20 and len(server.heard) == 20


def test_answers_that_were_under_way_together_count_as_one_pause() -> None:
    meet = threading.Barrier(20)

    def answer(connection: socket.socket) -> None:
        meet.wait(20)
        connection.sendall(reply("Content-Length: 0", status="429 Slow"))

    def retry_at(_: int) -> int:
        with pytest.raises(Busy) as caught:
            ask(server, out)
        return int(caught.value.retry_at)

    out = Outbound(now=Clock())
    with serve(answer) as server, ThreadPoolExecutor(20) as pool:
        assert set(pool.map(retry_at, range(20))) == {AT + PAUSE_FIRST}


# -- what it never tells -----------------------------------------------------------------------------------------------


def secret_calls(out: Outbound, url: str, origin: Origin) -> list[object]:
    """Send the secret wherever one can be put; return the answers and errors."""
    ends: list[object] = []
    for more in (
        {"headers": {"X-Key": CANARY}},
        {"headers": {"X-Key": f"{CANARY}\r\n"}},
        {"headers": {"X-Key": f"{CANARY}\u4eac"}},
        {"auth": ("mei", CANARY)},
        {"params": {"key": CANARY}},
        {"params": {"key": f"{CANARY}\ud800"}},
        {"json": {"key": CANARY}},
        {"json": {CANARY: object()}},
        {"body": CANARY.encode()},
    ):
        for address in (url + f"{CANARY}?key={CANARY}#{CANARY}", url.replace("://", f"://mei:{CANARY}@")):
            try:
                ends.append(out.send("POST", address, trusted=origin, bounds=SHORT, **more))
            except PluginError as error:
                ends.append(error)
    return ends


def told(end: object) -> str:
    """Return all that a log or a tracker of errors would show of an answer or an error."""
    text = f"{end} {end!r}"
    if isinstance(end, PluginError):
        text += f"{end.args} {end.code} {end.message} {end.fields} {end.__context__!r} {end.__cause__!r}"
        text += "".join(line for line in traceback.format_exception(end))
    return text


@pytest.mark.parametrize(
    "answer",
    [
        reply(f"X-Echo: {CANARY}", body=CANARY.encode()),
        reply(f"X-Echo {CANARY}", f"{CANARY}", body=CANARY.encode()),
        reply("Content-Length: 5", "Transfer-Encoding: chunked", body=CANARY.encode()),
        reply(f"Content-Encoding: {CANARY}, gzip", body=CANARY.encode()),
        reply(f"Content-Length: 5, 6, {CANARY}", body=CANARY.encode()),
        reply("Content-Length: 500", body=CANARY.encode()),
        reply(f"Location: /{CANARY}", status=f"302 {CANARY}"),
        reply(f"Retry-After: {CANARY}", status="429 Slow"),
        f"{CANARY}\r\n\r\n".encode(),
        f"HTTP/1.1 {CANARY}\r\n\r\n".encode(),
        b"",
    ],
)
def test_fault_60_no_secret_reaches_an_error_a_repr_or_a_log(
    answer: bytes, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    with serve(answer) as server:
        ends = secret_calls(Outbound(), server.url, Origin.of(server.url))
        for end in ends:
            if isinstance(end, Answer):
                with pytest.raises(BadAnswer) as caught:
                    end.json()
                assert CANARY not in told(caught.value)
    ends += secret_calls(Outbound(), server.url, Origin.of(server.url))  # the server has gone
    assert {type(end) for end in ends} >= {ForbiddenAddress, Unsendable, Unreachable}
    assert [told(end) for end in ends if CANARY in told(end)] == []
    assert CANARY not in caplog.text and CANARY not in "".join(capfd.readouterr())
    assert [record for record in caplog.records if CANARY in str(record.__dict__)] == []


def test_every_error_has_a_code_and_a_sentence() -> None:
    origin = Origin("https", "shop.example.com", 443)
    errors = [
        ForbiddenAddress("The address must begin with https://."),
        Unsendable(),
        Unreachable(origin, "tls", "It is not safe.", sent=False),
        TooLarge(origin, 5),
        BadAnswer("shop.example.com", "JSON"),
        Busy("shop.example.com", AT, sent=True),
    ]
    assert {type(error) for error in errors} == set(OutboundError.__subclasses__())
    assert len({error.code for error in errors}) == len(errors)
    for error in errors:
        assert isinstance(error, PluginError) and error.message.endswith(".") and error.message[0] in "TIs"
