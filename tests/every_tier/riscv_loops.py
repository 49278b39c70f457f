"""Random code with structure: nested loops, branches, calls, and stores into the code itself."""

from __future__ import annotations

from .riscv_program import CODE_PAGES, ISA, PAGE, POINTERS, Generator

COUNTERS = (18, 19, 21, 22)  # of loops, by depth
WALKING = (29, 30)  # pointers that loops move
CODE_POINTER = 13  # holds an address of writable code
FREE = (1, 5, 6, 7, 16, 17, 20, 23, 24, 25, 26, 27)
PLAIN = {"I": 24, "M": 6, "A": 3, "F": 3, "D": 3, "Zba": 2, "Zbb": 3, "Zbs": 2, "Zbc": 1, "Zicond": 2, "C": 10}
ACCESSES = (  # apart from one another, loads, stores
    (8, ("ld", "fld"), ("sd", "fsd")),
    (4, ("lw", "lwu", "flw"), ("sw", "fsw")),
    (2, ("lh", "lhu"), ("sh",)),
    (1, ("lb", "lbu"), ("sb",)),
)
JUMPS = ("jalr", "c_jr", "c_jalr", "ecall", "ebreak", "c_ebreak", "jal", "c_j")
FUNCTION = 0x200  # bytes; functions lie behind one another


def encode(name: str, **operands: int) -> bytes:
    """One instruction's bytes."""
    pattern = ISA.by_name[name].pattern
    values = {operand.name: operands.get(operand.name, 0) for operand in pattern.operands}
    return pattern.encode(values).to_bytes(pattern.length, "little")


def structured(generator: Generator, size: int) -> bytes:
    """`size` bytes: functions that call those behind them, and return or go on with the next."""
    count = size // FUNCTION
    made = bytearray()
    for number in range(count):
        body = _Body(generator, number, count).function()
        made += body + (FUNCTION - len(body)) // 2 * encode("c_nop")
    return bytes(made)


def plain_body(generator: Generator) -> _Body:
    """Where instructions without structure come from."""
    return _Body(generator, 0, 1)


class _Body:
    def __init__(self, generator: Generator, number: int, count: int) -> None:
        self.generator = generator
        self.rng = generator.rng
        self.number = number
        self.count = count
        self.names = [name for name in PLAIN if name in generator.groups]
        self.weights = [PLAIN[name] for name in self.names]

    def function(self) -> bytes:
        """A whole function; too long ones lose their later parts."""
        made = b""
        for _ in range(self.rng.randrange(2, 7)):
            part = self.part(len(made), 0)
            if len(made) + len(part) <= FUNCTION - 8:
                made += part
        if self.number and self.rng.randrange(3):
            return made + encode("jalr", rs1=28)
        following = (self.number + 1) % self.count * FUNCTION
        return made + encode("jal", offset=following - self.number * FUNCTION - len(made))

    def part(self, at: int, depth: int) -> bytes:
        """A stretch, a loop, a branch around a part, a call, a store into code, or accesses by one pointer."""
        rng = self.rng
        kind = rng.randrange(10)
        if kind < 2 and depth < 3:
            counter = COUNTERS[depth]
            start = encode("addi", rd=counter, imm=rng.choice((1, 2, 3, 20)))
            body = b"".join(self.part(at + 4, depth + 1) for _ in range(rng.randrange(1, 3)))
            body += encode("addi", rd=counter, rs1=counter, imm=-1)
            return start + body + encode("bne", rs1=counter, offset=-len(body))
        if kind < 4 and depth < 3:
            body = self.part(at + 4, depth + 1)
            name = rng.choice(("beq", "bne", "blt", "bgeu"))
            return encode(name, rs1=rng.choice(FREE), rs2=rng.choice(FREE), offset=len(body) + 4) + body
        if kind == 4 and self.number < self.count - 1:
            target = rng.randrange(self.number + 1, min(self.count, self.number + 5)) * FUNCTION
            return encode("jal", rd=28, offset=target - self.number * FUNCTION - at)
        if kind == 5 and rng.randrange(3) == 0:
            return self.modification()
        if kind == 6:
            return self.near_accesses(rng.choice((2, *POINTERS)))
        if kind == 7 and depth < 3:
            return self.walk(depth)
        return self.stretch(rng.randrange(1, 12))

    def walk(self, depth: int) -> bytes:
        """A loop with pointers that run over memory, one perhaps from where the other is."""
        rng, counter, (one, other) = self.rng, COUNTERS[depth], WALKING
        made = encode("addi", rd=counter, imm=rng.choice((2, 20, 60)))
        made += encode("addi", rd=one, rs1=rng.choice(POINTERS), imm=rng.randrange(-64, 64) * 8)
        made += encode("addi", rd=other, rs1=rng.choice((one, *POINTERS)), imm=rng.choice((0, 8, 800)))
        body = self.near_accesses(one)
        if rng.getrandbits(1):
            body += self.near_accesses(other) + encode("addi", rd=other, rs1=other, imm=rng.choice((-8, 8, 32)))
        body += encode("addi", rd=one, rs1=one, imm=rng.choice((0, 1, -4, 8, 16, 600)))
        body += encode("addi", rd=counter, rs1=counter, imm=-1)
        return made + body + encode("bne", rs1=counter, offset=-len(body))

    def near_accesses(self, pointer: int) -> bytes:
        """Loads and stores by one pointer, as a function's frame or an object sees them; some miss, some straddle."""
        rng = self.rng
        centre = rng.choice((0, -16, 24, rng.randrange(-1500, 1500)))
        made = b""
        for _ in range(rng.randrange(2, 9)):
            step, loads, stores = rng.choice(ACCESSES)
            offset = centre + rng.randrange(-64, 64) // step * step
            if rng.getrandbits(1):
                made += encode(rng.choice(loads), rd=rng.choice(FREE), rs1=pointer, offset=offset)
            else:
                made += encode(rng.choice(stores), rs1=pointer, rs2=rng.choice((*FREE, *POINTERS)), offset=offset)
            if rng.randrange(4) == 0:
                made += self.plain()
        return made

    def modification(self) -> bytes:
        """Copy an instruction from one place of the code to another, with FENCE.I behind it or without."""
        rng = self.rng
        made = encode("lw", rd=5, rs1=CODE_POINTER, offset=rng.randrange(-128, 128) & -4)
        made += encode(rng.choice(("sw", "sh", "sd")), rs1=CODE_POINTER, rs2=5, offset=rng.randrange(-128, 128) & -2)
        return made + (encode("fence_i") if rng.getrandbits(1) else b"")

    def stretch(self, count: int) -> bytes:
        """Instructions that neither jump nor trap, as a rule."""
        return b"".join(self.plain() for _ in range(count))

    def plain(self) -> bytes:
        """One such instruction."""
        rng, generator = self.rng, self.generator
        while True:
            chosen = rng.choice(generator.groups[rng.choices(self.names, self.weights)[0]])
            if chosen.name in JUMPS or ("offset" in chosen.parameters and "(" not in chosen.syntax):
                continue
            values = {operand.name: generator._operand(chosen, operand.name) for operand in chosen.pattern.operands}
            written = values.get("rd", 0)
            if "rd" in values and (written in (*COUNTERS, 28, *WALKING, *POINTERS) or written == 2):
                if chosen.pattern.operand("rd").bits == 5:
                    values["rd"] = rng.choice(FREE)
                elif rng.randrange(30):
                    continue
            if values.get("rm") in (5, 6) and rng.randrange(20):
                values["rm"] = 7
            try:
                return chosen.pattern.encode(values).to_bytes(chosen.pattern.length, "little")
            except ValueError:
                continue


assert CODE_PAGES * PAGE % FUNCTION == 0
