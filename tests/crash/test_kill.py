"""Web and worker killed by the system while deliveries rain: none is lost, none doubled; a short storm of soak.py's."""

import random
from contextlib import closing
from pathlib import Path

import pytest

from plugin.settings import Settings
from tests.crash.storm import Force, Storm, logs_on_failure

pytestmark = pytest.mark.timeout(300)


def test_a_storm_of_deliveries_and_kills_loses_and_doubles_nothing(settings: Settings, tmp_path: Path) -> None:
    """On SQLite one process serves and works; on PostgreSQL two serve and work, and two more only work."""
    seed = random.randrange(2**32)
    print("seed", seed)
    small = settings.database_url.startswith("sqlite")
    commands = [("run", 2)] if small else [("run", 1), ("run", 0), ("worker", 1), ("worker", 2)]
    force = Force(deliveries=600, kills=6, seed=seed, commands=commands, lease_seconds=1)
    with logs_on_failure(tmp_path), closing(Storm(settings, tmp_path, force)) as storm:
        figures = storm.run(wait_seconds=0)
        print(*figures.lines(), sep="\n")
        assert not figures.violations
        assert figures.kills == 6 and figures.kills_with_something_open >= 3


def test_the_storm_tells_a_loss_and_a_double(settings: Settings, tmp_path: Path) -> None:
    """What judges the storm is not blind: a row that is missing, one too many, and money that is wrong are all told."""
    force = Force(deliveries=30, kills=0, seed=1, commands=[])
    with closing(Storm(settings, tmp_path, force)) as storm:
        storm.stored |= {"msg_0"}
        storm.check()
        told = " ".join(storm.figures.violations)
    assert "msg_0 was answered with 200 and has no row: lost" in told
    assert "30 deliveries were sent, 1 answered, 0 are there" in told
    assert "should have" in told
