"""A real kernel's own symbol tables, and a profile of it."""

import re

import pytest
from click.testing import CliRunner

from guesthouse import Machine
from guesthouse.cli.profile import command
from guesthouse.guest.kallsyms import find_kallsyms
from guesthouse.guest.symbols import Symbols
from tests.guests.test_boot import TIMEOUT, tiny  # noqa: F401  (a fixture)

pytestmark = pytest.mark.boot


def test_the_kernels_own_tables_name_its_places(tiny) -> None:  # noqa: F811
    with Machine(image=tiny, memory="128M") as machine:
        machine.console.expect("Linux version", timeout=TIMEOUT)
        machine.run(budget=5_000_000)
        symbols = Symbols(find_kallsyms(machine.memory.read(machine.memory.base, machine.memory.size)))
        assert len(symbols) > 50_000
        banner = symbols.address_of("linux_banner")
        assert machine.virtual.read(banner, 14) == b"Linux version "
        entry = symbols.address_of("handle_exception")
        assert machine.registers["stvec"] == entry
        assert symbols.find(entry + 2) == ("handle_exception", 2)


def test_a_booting_kernel_is_profiled(tiny, tmp_path) -> None:  # noqa: F811
    svg = tmp_path / "graph.svg"
    loop = "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done"
    result = CliRunner().invoke(command, ["--svg", str(svg), "--top", "400", "--", "sh", "-c", loop])
    assert result.exit_code == 0, result.output
    report = result.stderr.split("function\n")[1]
    functions = set(re.findall(r" %  (\S+)$", report, re.MULTILINE))
    assert "[unknown]" not in functions or len(functions) > 30
    assert "[user sh]" in report
    graph = svg.read_text()
    assert all(f"<title>{name}:" in graph for name in ("_start_kernel", "start_kernel", "kernel_init"))
