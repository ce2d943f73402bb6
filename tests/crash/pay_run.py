"""An operator who brings a payout to its end, from wherever a killed process left it; also as a process that dies."""

import json
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import text

from plugin.database import Database
from plugin.installation import open_context
from plugin.services.context import Context
from plugin.services.run_payout import NewPayout, approve_payout, draft_payout, mark_payout_item, submit_payout
from plugin.settings import load
from tests.crash.points import Points


class PayRun:
    """Drafts where there is no batch, then approves, submits and marks; ``marks`` are the marks of each sharer in turn.

    What is left to do is read from the database, over a connection that nobody kills.
    """

    def __init__(self, look: Database, shop_id: int, marks: Mapping[int, Sequence[str]]) -> None:
        self.look, self.shop_id, self.marks = look, shop_id, marks

    def __call__(self, context: Context) -> None:
        if not self._batches():
            draft_payout(context, self.shop_id, NewPayout("manual", "USD"), actor="operator")
        for number, state in self._batches():
            if state == "draft":
                approve_payout(context, self.shop_id, number, actor="operator")
        for number, state in self._batches():
            if state == "approved":
                submit_payout(context, self.shop_id, number, actor="operator")
        for number, _ in self._batches():
            self._mark(context, number)

    def _mark(self, context: Context, number: int) -> None:
        for item, who, state in self._rows(
            f"SELECT id, sharer_id, state FROM pa_payout_item WHERE payout_id = {number} ORDER BY id"
        ):
            wanted = self.marks[who]
            for mark in wanted[wanted.index(state) + 1 :] if state in wanted else wanted:
                mark_payout_item(
                    context, self.shop_id, number, item, state=mark, reference=None, reason=None, actor="operator"
                )

    def _batches(self) -> list[tuple[int, str]]:
        """Return the batches that are not at their end, else the last one, whose items may still be marked."""
        found = self._rows("SELECT id, state FROM pa_payout ORDER BY id")
        return [one for one in found if one[1] not in ("settled", "cancelled")] or found[-1:]

    def _rows(self, query: str) -> list[Any]:
        with self.look.reading() as connection:
            return [tuple(row) for row in connection.execute(text(query))]


def main(told: dict[str, Any]) -> None:
    """Run a payout and die, as by kill -9, at the point told."""
    settings = load({}, told["settings"])
    context, left = open_context(settings), [told["at"]]
    marks = {int(who): wanted for who, wanted in told["marks"].items()}

    def count(_connection: object) -> None:
        left[0] -= 1
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)

    run = PayRun(Database(settings.database_url, pool_size=1), 1, marks)
    with Points(context.database.engine).watched(count):
        run(context)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
