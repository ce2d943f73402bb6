"""A process that takes one delivery and is killed on the way; test_webhook_door.py starts it and says where."""

import json
import os
import signal
import sys
from typing import Any

from plugin.app import create_app
from plugin.services.store_delivery import Intake
from plugin.settings import load


def kill() -> None:
    """End this process at once, as kill -9 does."""
    os.kill(os.getpid(), signal.SIGKILL)


def main(told: dict[str, Any]) -> None:
    app = create_app(load({}, told["settings"]))
    commit = Intake._commit_once

    def dying(self: Intake, rows: Any) -> None:
        if told["where"] == "before commit":
            kill()
        commit(self, rows)
        kill()

    Intake._commit_once = dying  # type: ignore[method-assign]
    answer = app.test_client().post(told["path"], data=sys.stdin.buffer.read(), headers=told["headers"])
    print("answered", answer.status_code)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
