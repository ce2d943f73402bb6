"""The load of every contest where wrk cannot be had: the same requests as ``load.lua``, from two processes.

    python bench/load.py URL SECONDS CONNECTIONS

Slower than wrk, so what is fast looks slower than it is; ratios inside one contest still hold, roughly.
"""

import base64
import hmac
import http.client
import json
import multiprocessing
import os
import sys
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

PROCESSES = 2
AGENT = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Safari/604.1"


def _lines(name: str) -> list[str]:
    return Path(os.environ[name]).read_text().split() if name in os.environ else []


class Work:
    """What one process sends."""

    def __init__(self, process: int) -> None:
        self.paths, self.tokens = _lines("BENCH_PATHS"), _lines("BENCH_TOKENS")
        self.every = int(os.environ.get("BENCH_EVERY", "0"))
        self.hook = os.environ.get("BENCH_HOOK", "")
        self.prefix = f"{int(os.environ.get('BENCH_RUN', '1')):04d}{process}"
        if self.hook:
            text = Path(os.environ["BENCH_TEMPLATE"]).read_bytes()
            self.before, rest = text.split(b"@@ID@@", 1)
            self.between, self.after = rest.split(b"@@TOKEN@@", 1)
            self.secret = bytes.fromhex(os.environ["BENCH_SECRET"])

    def request(self, number: int) -> tuple[str, str, bytes | None, dict[str, str]]:
        """Return the n-th request: method, path, body, headers."""
        if self.hook and (not self.paths or (self.every and number % self.every == 0)):
            return self._delivery(number)
        return "GET", self.paths[number % len(self.paths)], None, {"User-Agent": AGENT}

    def _delivery(self, number: int) -> tuple[str, str, bytes, dict[str, str]]:
        order, at = f"{self.prefix}{number:08d}", str(int(time.time()))
        token = self.tokens[number % len(self.tokens)].encode()
        body = self.before + order.encode() + self.between + token + self.after
        mac = hmac.digest(self.secret, f"msg_{order}.{at}.".encode() + body, "sha256")
        headers = {"Content-Type": "application/json", "webhook-id": f"msg_{order}", "webhook-timestamp": at}
        return "POST", self.hook, body, headers | {"webhook-signature": "v1," + base64.b64encode(mac).decode()}


def _connection(work: Work, place: str, numbers: range, end: float, out: list[tuple[float, bool]]) -> None:
    client = http.client.HTTPConnection(place, timeout=10)
    for number in numbers:
        begin = time.perf_counter()
        if begin > end:
            break
        method, path, body, headers = work.request(number)
        try:
            client.request(method, path, body, headers)
            answer = client.getresponse()
            answer.read()
            out.append((time.perf_counter() - begin, answer.status < 400))
        except (OSError, http.client.HTTPException):
            client.close()
            out.append((time.perf_counter() - begin, False))
    client.close()


def _process(url: str, seconds: float, connections: int, process: int, answers: "multiprocessing.Queue[list]") -> None:
    work, end = Work(process), time.perf_counter() + seconds
    out: list[tuple[float, bool]] = []
    threads = [
        threading.Thread(
            target=_connection, args=(work, urlsplit(url).netloc, range(one, 10**8, connections), end, out)
        )
        for one in range(connections)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    answers.put(out)


def main() -> None:
    url, seconds, connections = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])
    answers: multiprocessing.Queue[list] = multiprocessing.Queue()
    begin = time.perf_counter()
    processes = [
        multiprocessing.Process(target=_process, args=(url, seconds, connections // PROCESSES, one, answers))
        for one in range(PROCESSES)
    ]
    for one in processes:
        one.start()
    found = [item for _ in processes for item in answers.get()]
    for one in processes:
        one.join()
    took = time.perf_counter() - begin
    times = sorted(item[0] * 1000 for item in found)
    result = {
        "requests": len(found),
        "rate": len(found) / took,
        "p50": times[len(times) // 2],
        "p99": times[len(times) * 99 // 100],
        "bad": sum(not item[1] for item in found),
        "lost": 0,
    }
    print("@@" + json.dumps(result))


if __name__ == "__main__":
    main()
