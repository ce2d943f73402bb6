"""A process that sends one event and is killed before it can write that down; test_endpoints.py starts it."""

import json
import os
import signal
import socket
import ssl
import sys
from typing import Any

from plugin import outbound
from plugin.app import create_app
from plugin.outbound import Answer, Outbound
from plugin.services.do_work import do_work
from plugin.settings import load


def main(told: dict[str, Any]) -> None:
    real = socket.create_connection
    outbound.socket.create_connection = lambda address, timeout: real(("127.0.0.1", told["port"]), timeout)
    send = Outbound.send

    def dying(self: Outbound, *args: Any, **more: Any) -> Answer:
        send(self, *args, **more)
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("unreachable")

    Outbound.send = dying  # type: ignore[method-assign]
    context = create_app(load({}, told["settings"])).extensions["passalong"].context
    trust = ssl.create_default_context(cafile=told["certificate"])
    own = Outbound(resolve=lambda host, port: [told["address"]], now=lambda: told["now"], tls=trust)
    object.__setattr__(context, "outbound", own)
    object.__setattr__(context, "now", lambda: told["now"])
    do_work(context)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
