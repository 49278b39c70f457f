"""The test finisher: one register that ends the run or resets the machine.

Source: SiFive's test device as the public device tree bindings `sifive,test0`, `sifive,test1` use it.

Not modelled: nothing.
"""

from guesthouse.virtual.devices.device import Device
from guesthouse.virtual.devices.state import Register
from guesthouse.virtual.devices.wires import Power

PASS = 0x5555
FAIL = 0x3333
RESET = 0x7777


class TestFinisher(Device):
    """Switches the machine off or resets it when the guest says so."""

    __test__ = False  # pytest takes a class of this name for a test
    registers = (
        Register(
            "finish", 0x0, writable=0xFFFF_FFFF, stored=False, effects=True,
            doc="0x5555 ends with success, 0x3333 with the status in the upper half, 0x7777 resets; reads zero",
        ),
    )  # fmt: skip

    def __init__(self, power: Power) -> None:
        self.power = power
        self.start()

    def on_write_finish(self, value: int) -> None:
        """Act on the command in the lower half."""
        command, code = value & 0xFFFF, value >> 16
        if command == PASS:
            self.power.off(0)
        elif command == FAIL:
            self.power.off(code or 1)
        elif command == RESET:
            self.power.reset()
