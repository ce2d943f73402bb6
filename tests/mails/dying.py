"""A process that hands one mail over and is killed before it can write that down; test_sending.py starts it."""

import json
import os
import signal
import sys
from typing import Any

from plugin.app import create_app
from plugin.mail import Postman
from plugin.services.do_work import do_work
from plugin.settings import load


def main(told: dict[str, Any]) -> None:
    send = Postman.send

    def dying(self: Postman, *args: Any, **more: Any) -> None:
        send(self, *args, **more)
        os.kill(os.getpid(), signal.SIGKILL)

    Postman.send = dying  # type: ignore[method-assign]
    context = create_app(load({}, told["settings"])).extensions["passalong"].context
    object.__setattr__(context, "now", lambda: told["now"])
    do_work(context)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
