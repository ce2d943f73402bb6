"""What the fake shops have in common: a REST API over real HTTP, by the shop's own clock, with faults on demand."""

import json
import threading
from collections import deque
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.world import Clock

Said = tuple[int, Any] | tuple[int, Any, Mapping[str, str]]
SILENCE = 0  # a fault: hang up without an answer


class FakeShop:
    """A shop that answers. ``faults`` are the statuses, or SILENCE, with which the next requests are met.

    ``clock`` is the shop's own; ``before`` is called before each request is answered, to let things happen meanwhile.
    """

    def __init__(self, clock: Callable[[], int]) -> None:
        self.clock = clock
        self.faults: deque[int] = deque()
        self.asked: list[str] = []
        self.before: Callable[[str], None] = lambda path: None
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"shop": self}))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Return the shop's address."""
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def orders_asked(self) -> list[str]:
        """Return what was asked about single orders."""
        return [path for path in self.asked if "/orders/" in path]

    def close(self) -> None:
        """Close the shop."""
        self._server.shutdown()
        self._server.server_close()

    def answer(self, method: str, path: str, query: dict[str, str], headers: Mapping[str, str], body: Any) -> Said:
        """Answer one request to the API."""
        raise NotImplementedError


class Skewed:
    """A clock that goes wrong by some seconds."""

    def __init__(self, clock: Clock, seconds: int) -> None:
        self.clock, self.seconds = clock, seconds

    def __call__(self) -> int:
        return self.clock() + self.seconds * 1_000_000


class _Handler(BaseHTTPRequestHandler):
    shop: FakeShop
    protocol_version = "HTTP/1.1"

    def _meet(self) -> None:
        shop, parts = self.shop, urlsplit(self.path)
        length = int(self.headers.get("Content-Length") or 0)
        sent = self.rfile.read(length)
        shop.before(parts.path)
        fault = shop.faults.popleft() if shop.faults else 200
        if fault == SILENCE:
            self.close_connection = True
            return
        shop.asked.append(parts.path)
        if fault != 200:
            status, said, more = fault, {"code": "fault"}, {}
        else:
            body = json.loads(sent) if sent else None
            query = dict(parse_qsl(parts.query))
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, said, more = (*shop.answer(self.command, parts.path, query, headers, body), {})[:3]
        raw = said if isinstance(said, bytes) else json.dumps(said).encode()
        self.send_response_only(status)
        moment = datetime.fromtimestamp(shop.clock() // 1_000_000, UTC)
        kind = "text/html" if isinstance(said, bytes) else "application/json"
        head = {"Date": format_datetime(moment, usegmt=True), "Content-Type": kind, "Content-Length": str(len(raw))}
        for name, value in (head | dict(more)).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(raw)

    do_GET = do_POST = do_PUT = do_DELETE = _meet

    def log_message(self, *args: object) -> None:
        """Say nothing."""
