"""`make fuzz`: the generated tests of all engines, once more with many cases, in rounds with new seeds.

Reads GUESTHOUSE_FUZZ_CASES, the number of instruction cases in all (10^8 where it is not set). Each round is one run
of pytest over `tests/every_tier` and `tests/toy`; what fails stops it and says with which seed to do it again:
`GUESTHOUSE_FUZZ_SEED=n GUESTHOUSE_FUZZ_CASES=n python -m tests.fuzz.run`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time

ROUND = 5_000_000  # cases
TESTS = ("tests/every_tier", "tests/toy")


def rounds(cases: int, first_seed: int) -> list[tuple[int, int]]:
    """(seed, cases) of each round."""
    count = max(1, -(-cases // ROUND))
    return [(first_seed + number, min(ROUND, cases - number * ROUND)) for number in range(count)]


def main() -> int:
    """Run all rounds; gives the status of the first that fails."""
    cases = int(os.environ.get("GUESTHOUSE_FUZZ_CASES") or 100_000_000)
    first_seed = int(os.environ.get("GUESTHOUSE_FUZZ_SEED") or time.time_ns() // 1_000_000 % 1_000_000_000)
    jobs = str(os.cpu_count() or 1)
    for seed, share in rounds(cases, first_seed):
        print(f"fuzz: seed {seed}, {share} cases", flush=True)
        settings = {**os.environ, "GUESTHOUSE_FUZZ_SEED": str(seed), "GUESTHOUSE_FUZZ_CASES": str(share)}
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-n", jobs, "--timeout=0", *TESTS]
        status = subprocess.run(command, env=settings, check=False).returncode
        if status:
            print(f"fuzz: again with GUESTHOUSE_FUZZ_SEED={seed} GUESTHOUSE_FUZZ_CASES={share} make fuzz")
            return status
    return 0


if __name__ == "__main__":
    sys.exit(main())
