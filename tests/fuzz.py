"""Changed deliveries and noise for every adapter there is, from a seed: the part "fuzz" of tests/soak.py, on one core.

    python tests/fuzz.py --inputs 30000 --seed 7 --core 0

Each input is made of the seed, its number and the core alone. What is found is printed with these three: an error that
an adapter does not declare, an order that does not survive the form that is stored, an input that takes longer than two
seconds of the processor, memory that grows.
"""

import argparse
import random
import resource
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from plugin import shops
from plugin.domain.moment import SECOND
from tests.shops import samples
from tests.shops.mutations import CHANGES, STRANGE_TEXTS, holds, understood, with_strange_header
from tests.shops.samples import Sample, Samples

SECONDS_MAX = 2.0
GROWTH_BYTES_MAX = 50 * 2**20
WARM_UP = 0.2  # of the inputs, and at most WARM_UP_MAX: after these the memory counts
WARM_UP_MAX = 5_000
FOUND_MAX = 20
KIB = 2**10


class Fuzz:
    """One run; ``counts`` are by shop and outcome, ``found`` is what is wrong."""

    def __init__(self, seed: int, core: int) -> None:
        self.seed, self.core = seed, core
        self.counts: Counter[tuple[str, str]] = Counter()
        self.found: list[str] = []
        self.slowest = 0.0
        self._several = [samples.of(name) for name in shops.names()]
        self._good = [[*one.good(), *one.answers.values()] for one in self._several]

    def try_one(self, number: int) -> None:
        """Make the input of a number and try it; the shops take turns."""
        chance = random.Random(f"{self.seed} {self.core} {number}")
        turn = number % len(self._several)
        data, one = self._several[turn], chance.choice(self._good[turn])
        began = time.thread_time()
        try:
            self._verify(chance, data, one) if chance.random() < 0.25 else self._parse(chance, data, one)
        except Exception as error:  # whatever it is: that is what is looked for
            self._tell(number, f"{data.shop.name}: {type(error).__name__}: {str(error)[:300]}")
        seconds = time.thread_time() - began
        self.slowest = max(self.slowest, seconds)
        if seconds > SECONDS_MAX:
            self._tell(number, f"{data.shop.name}: took {seconds:.1f} s of the processor")

    def _verify(self, chance: random.Random, data: Samples, one: Sample) -> None:
        headers = with_strange_header(chance, one.lower)
        is_told = chance.random() < 0.5
        body = one.body if is_told else chance.choice(CHANGES[1:])(chance, one.body)
        at = one.at if chance.random() < 0.9 else chance.randrange(2**60) * (1 if is_told else SECOND)
        held = holds(data.shop, headers, body, [data.secret, "whsec_AAAA"], at)
        data.shop.label(headers)
        data.shop.is_ping(headers, body)
        assert not held or body == one.body, "a signature holds over a body that was not signed"
        self.counts[data.shop.name, "verified" if held else "unverified"] += 1

    def _parse(self, chance: random.Random, data: Samples, one: Sample) -> None:
        topic = one.topic
        if chance.random() < 0.3:
            topic = chance.choice(data.all_topics() if chance.random() < 0.9 else STRANGE_TEXTS)
        body = chance.choices(CHANGES, (6, 3, 1))[0](chance, one.body)
        self.counts[data.shop.name, "understood" if understood(data.shop, topic, body) else "refused"] += 1

    def _tell(self, number: int, what: str) -> None:
        self.found.append(f"--seed {self.seed} --core {self.core} --only {number}: {what}")


def memory_bytes() -> int:
    """Return how much memory this process holds now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def main(arguments: Sequence[str] | None = None) -> int:
    """Try so many inputs, or one; return 1 where anything was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=30_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--core", type=int, default=0)
    parser.add_argument("--only", type=int, help="the number of one input, to see it again")
    options = parser.parse_args(arguments)
    fuzz = Fuzz(options.seed, options.core)
    numbers = range(options.inputs) if options.only is None else (options.only,)
    warm_up = min(int(WARM_UP * len(numbers)), WARM_UP_MAX)
    began, before = time.monotonic(), memory_bytes()
    for done, number in enumerate(numbers):
        if done == warm_up:
            before = memory_bytes()
        fuzz.try_one(number)
        if len(fuzz.found) >= FOUND_MAX:
            break
    seconds, grown = time.monotonic() - began, memory_bytes() - before
    if grown > GROWTH_BYTES_MAX:
        fuzz.found.append(f"--seed {options.seed} --core {options.core}: memory grew by {grown // KIB} KiB")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    tried = sum(fuzz.counts.values())
    print(f"core {options.core}: {tried} inputs, {tried / seconds:.0f} a second, the slowest {fuzz.slowest:.2f} s; "
          f"memory {before // KIB} KiB after {warm_up}, {grown // KIB:+} KiB since, {peak} KiB at most")  # fmt: skip
    for name in shops.names():
        counts = {outcome: count for (shop, outcome), count in sorted(fuzz.counts.items()) if shop == name}
        print(f"core {options.core}: {name}: {', '.join(f'{count} {outcome}' for outcome, count in counts.items())}")
    for one in fuzz.found:
        print("FOUND", one)
    sys.stdout.flush()
    return bool(fuzz.found)


if __name__ == "__main__":
    sys.exit(main())
