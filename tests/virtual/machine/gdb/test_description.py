import xml.etree.ElementTree as ElementTree

from guesthouse.virtual.isa.riscv64.csr_names import CSR_NAMES
from guesthouse.virtual.machine.gdb.description import GENERAL, PC, REGISTERS, target_description


def test_every_register_has_gdbs_number_and_feature() -> None:
    root = ElementTree.fromstring(target_description())
    assert root.findtext("architecture") == "riscv:rv64"
    found = {}
    for feature in root.iter("feature"):
        for register in feature.iter("reg"):
            found[int(register.get("regnum", ""))] = (feature.get("name", "").rpartition(".")[2], register)
    assert len(found) == len(REGISTERS) == 33 + 32 + len(CSR_NAMES) + 1
    assert [found[n][1].get("name") for n in (0, 1, 2, 8, 10, PC, 33, 43)] == [
        *("zero", "ra", "sp", "fp", "a0", "pc", "ft0", "fa0")
    ]
    assert {name: found[65 + number][1].get("name") for name, number in CSR_NAMES.items()} == {n: n for n in CSR_NAMES}
    assert [found[65 + CSR_NAMES[name]][0] for name in ("fcsr", "mstatus")] == ["fpu", "csr"]
    assert (found[65 + 4096][0], found[65 + 4096][1].get("name")) == ("virtual", "priv")


def test_the_general_registers_come_without_gaps() -> None:
    assert [register.number for register in GENERAL] == list(range(65))
    assert all(register.size == 8 for register in GENERAL)


def test_identification_and_user_counters_are_read_only() -> None:
    fixed = {register.name for register in REGISTERS.values() if register.read_only}
    assert {"mhartid", "mvendorid", "cycle", "time", "hpmcounter3"} <= fixed
    assert not {"satp", "mcycle", "pc", "mstatus"} & fixed
