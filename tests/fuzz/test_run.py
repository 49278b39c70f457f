"""How cases are shared among the rounds of `make fuzz`."""

import pytest

from tests.fuzz.run import ROUND, rounds


@pytest.mark.parametrize("cases", (1, ROUND - 1, ROUND, ROUND + 1, 10**8))
def test_rounds_have_all_cases_and_seeds_of_their_own(cases):
    made = rounds(cases, 7)
    assert sum(share for _, share in made) == cases
    assert [seed for seed, _ in made] == list(range(7, 7 + len(made)))
    assert all(0 < share <= ROUND for _, share in made)
