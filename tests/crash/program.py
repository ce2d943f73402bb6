"""The command ``passalong`` as a process to be killed, with shorter leases, and a log of those that are taken over.

    python -m tests.crash.program worker
"""

import os
from typing import Any

from plugin import cli
from plugin.services import process_inbox

LEASE_SECONDS = "PASSALONG_TEST_LEASE_SECONDS"
TAKEN_OVER = "PASSALONG_TEST_TAKEN_OVER"  # a file: one line for each time that leases are taken over, how many

_lease = process_inbox.Ahead.lease


def _lease_and_tell(*args: Any) -> Any:
    rows, taken_over = _lease(*args)
    if taken_over:
        with open(os.environ[TAKEN_OVER], "a") as log:  # noqa: PTH123 - one write, which the system appends whole
            log.write(f"{taken_over}\n")
    return rows, taken_over


if __name__ == "__main__":
    if LEASE_SECONDS in os.environ:
        process_inbox.LEASE_SECONDS = int(os.environ[LEASE_SECONDS])
    if TAKEN_OVER in os.environ:
        process_inbox.Ahead.lease = _lease_and_tell  # type: ignore[method-assign, assignment]
    cli.main()
