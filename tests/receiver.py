"""Receivers of events on this machine, reached by a road that looks to the product like the public internet.

Only the road is made up: names lead to public addresses, and a connection to one of these ends at a server here. What
is signed, encrypted, refused, waited for and written down is the product's own doing.
"""

import datetime
import json
import socket
import socketserver
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import time_machine
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from standardwebhooks import Webhook

from plugin import outbound
from plugin.outbound import Outbound
from tests.world import World

Play = bytes | Callable[[socket.socket], None]


def read_request(connection: socket.socket) -> bytes:
    """Read a head and as much body as it announces."""
    data = b""
    while b"\r\n\r\n" not in data and (piece := connection.recv(65_536)):
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    length = next((int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0)
    while len(body) < length and (piece := connection.recv(65_536)):
        body += piece
    return head + b"\r\n\r\n" + body


class Certificate:
    """A certificate signed by itself, the server's context with it, and the context of a client that trusts it."""

    def __init__(self, folder: Path, name: str = "shop.example.com", days: tuple[int, int] = (-2, 2)) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        start, end = (datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=day) for day in days)
        builder = x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number(), start, end)
        names = x509.SubjectAlternativeName([x509.DNSName(name)])
        made = builder.add_extension(names, critical=False).sign(key, hashes.SHA256())
        no_password = serialization.NoEncryption()
        pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, no_password)
        public = made.public_bytes(serialization.Encoding.PEM)
        file = folder / "server.pem"
        file.write_bytes(pem + public)
        self.server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.server.load_cert_chain(file)
        self.public = public.decode()
        self.client = ssl.create_default_context(cadata=self.public)


def answer(status: int, *headers: str, body: bytes = b"") -> bytes:
    """Write an answer."""
    return "\r\n".join([f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", *headers, "", ""]).encode() + body


@dataclass(frozen=True)
class Heard:
    """One request that reached a receiver."""

    headers: Mapping[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def at(self) -> int:
        return int(self.headers["webhook-timestamp"])

    @property
    def said(self) -> Any:
        return json.loads(self.body)

    @property
    def seq(self) -> int:
        return int(self.said["data"]["seq"])

    def verify(self, secret: str) -> Any:
        """Verify it with the official library, as of when it was sent; return what it says."""
        with time_machine.travel(datetime.datetime.fromtimestamp(self.at, datetime.UTC), tick=False):
            return Webhook(secret).verify(self.body, dict(self.headers))


class Receiver(socketserver.ThreadingTCPServer):
    """An https server: it keeps what it hears and plays its answers, then 204 for ever."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, name: str, certificate: Certificate) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url, self.tls = f"https://{name}/hook?for=passalong", certificate.server
        self.heard: list[Heard] = []
        self.answers: deque[Play] = deque()
        self.always: Play = answer(204)
        self.at_once = self.most_at_once = 0
        self.lock = threading.Lock()
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    @property
    def seqs(self) -> list[int]:
        """Return the numbers of the events heard."""
        return [one.seq for one in self.heard]

    def close(self) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a client that hangs up is what some tests are about."""


class _Handler(socketserver.BaseRequestHandler):
    server: Receiver

    def handle(self) -> None:
        server = self.server
        self.request.settimeout(10)
        with server.tls.wrap_socket(self.request, server_side=True) as connection:
            head, _, body = read_request(connection).partition(b"\r\n\r\n")
            lines = [line.partition(": ") for line in head.decode().split("\r\n")[1:]]
            with server.lock:
                server.at_once += 1
                server.most_at_once = max(server.most_at_once, server.at_once)
                server.heard.append(Heard({name.lower(): value for name, _, value in lines}, body))
                play = server.answers.popleft() if server.answers else server.always
            try:
                if callable(play):
                    play(connection)
                else:
                    connection.sendall(play)
            finally:
                with server.lock:
                    server.at_once -= 1


class Roads:
    """Names, the public addresses they lead to, and the receivers that stand there."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.names: dict[str, list[str]] = {}
        self.walked: list[str] = []
        self._folder = folder
        self._ports: dict[str, int] = {}
        self._trust = ssl.create_default_context()
        self._receivers: list[Receiver] = []
        self._real = socket.create_connection
        monkeypatch.setattr(outbound.socket, "create_connection", self._walk)

    def resolve(self, host: str, port: int) -> list[str]:
        """Return where a name leads; addresses in figures are read by the system, as everywhere."""
        if host in self.names:
            return self.names[host]
        if host.endswith((".example.com", ".example")):
            raise OSError("no such name")
        return list(outbound.resolve(host, port))

    def _walk(self, address: tuple[str, int], timeout: float) -> socket.socket:
        self.walked.append(address[0])
        assert address[0] in self._ports, f"a call left for {address[0]}"
        return self._real(("127.0.0.1", self._ports[address[0]]), timeout)

    def receiver(self, name: str = "hooks.example.com") -> Receiver:
        """Open a receiver under a name."""
        folder = self._folder / name
        folder.mkdir()
        certificate = Certificate(folder, name)
        self._trust.load_verify_locations(folder / "server.pem")
        one = Receiver(name, certificate)
        address = f"93.184.215.{len(self._receivers) + 10}"
        self.names[name], self._ports[address] = [address], one.port
        self._receivers.append(one)
        return one

    def lead(self, world: World) -> None:
        """Have an installation use these roads, by its own clock."""
        own = Outbound(resolve=self.resolve, now=world.context.now, tls=self._trust)
        object.__setattr__(world.context, "outbound", own)

    def close(self) -> None:
        for one in self._receivers:
            one.close()


def silent(seconds: float) -> Callable[[socket.socket], None]:
    """Say nothing for a while."""
    return lambda connection: time.sleep(seconds)
