from guesthouse.virtual.isa.riscv64.csr_names import CSR_NAMES
from guesthouse.virtual.isa.riscv64.foreign_csrs import FOREIGN_CSRS

from .binutils import disassembly, needs_binutils


def test_no_name_and_no_number_is_ours():
    assert not FOREIGN_CSRS.keys() & CSR_NAMES.keys()
    assert not set(FOREIGN_CSRS.values()) & set(CSR_NAMES.values())
    assert len(set(FOREIGN_CSRS.values())) == len(FOREIGN_CSRS)


@needs_binutils
def test_names_are_those_of_objdump(tmp_path):
    names = {number: name for name, number in (CSR_NAMES | FOREIGN_CSRS).items()}
    texts = disassembly([(4, number << 20 | 0x000_0D173) for number in range(4096)], tmp_path, "-M", "no-aliases")
    theirs = [text.split(",")[1] for text in texts]
    ours = [names.get(number, hex(number)) for number in range(4096)]
    # Numbers that binutils has no name for may have one here.
    assert [pair for pair in zip(ours, theirs, strict=True) if pair[0] != pair[1] and pair[1][:2] != "0x"] == []
