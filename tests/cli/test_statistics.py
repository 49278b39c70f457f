from guesthouse.cli.statistics import lines


def test_one_line_a_value_and_tables_by_their_path() -> None:
    given = {"engine": "auto", "mips": 12.34567, "exits": {"WAIT": 3}, "none": {}}
    assert list(lines(given)) == ["engine: auto", "mips: 12.346", "exits.WAIT: 3"]
