"""A worker process of the settling contest: opens the installation, waits for a word, then works until idle.

It speaks JSON lines: ``{"ready": true}`` when it can begin, and what it did at the end.
"""

import json
import os
import resource
import sys

from world import open_context

from plugin.services.process_inbox import drain
from plugin.worker import spare_collector


def main() -> None:
    env = {name: value for name, value in os.environ.items() if name.startswith("PASSALONG_")}
    context = open_context(env)
    with context.database.reading() as connection:
        connection.exec_driver_sql("SELECT 1")
    spare_collector()  # as every worker does
    print(json.dumps({"ready": True}), flush=True)
    sys.stdin.readline()
    before = resource.getrusage(resource.RUSAGE_SELF)
    tally = drain(context)
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(json.dumps({"done": tally.done, "quarantined": tally.quarantined, "cpu": cpu}), flush=True)


if __name__ == "__main__":
    main()
