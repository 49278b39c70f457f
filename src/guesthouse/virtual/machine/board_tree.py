"""The device tree of a board: how a kernel learns what there is.

Sources: Devicetree Specification 0.4; the bindings of Linux (riscv/cpus, sifive,plic, sifive,clint, syscon-poweroff,
virtio,mmio, google,goldfish-rtc, ns16550a), and PCI Bus Binding to Open Firmware 2.1.
"""

from collections.abc import Callable
from itertools import product

import msgspec

from guesthouse.guest.device_tree import Node, Value, cells64
from guesthouse.virtual.devices.pci.host import LINES
from guesthouse.virtual.devices.plic import SOURCES
from guesthouse.virtual.devices.test_finisher import PASS, RESET
from guesthouse.virtual.machine.board import Board, Slot

PLIC_PHANDLE = 1
TEST_PHANDLE = 2
FIRST_HART_PHANDLE = 16
FIRST_CPU_PHANDLE = 64
UART_CLOCK = 3_686_400
CACHE_BLOCK = 64
DEVICE_SHIFT = 11
"""Of a device's number in the upper cell of a PCI address."""
BLOCK_SIZES = {"zicbom": "riscv,cbom-block-size", "zicbop": "riscv,cbop-block-size", "zicboz": "riscv,cboz-block-size"}

MACHINE_SOFTWARE, MACHINE_TIMER, SUPERVISOR_EXTERNAL, MACHINE_EXTERNAL = 3, 7, 9, 11


class Boot(msgspec.Struct, frozen=True):
    """What the tree says of the processors and of this boot; addresses and sizes in bytes."""

    harts: int
    memory: int
    isa: str
    """For example `rv64imafdc_zicsr_zba`: single letters after the width, then names."""
    bootargs: str = ""
    initrd: tuple[int, int] | None = None
    """First address and the one behind the last."""
    rng_seed: bytes = b""
    mmu: str = "riscv,sv57"
    machine_mode: bool = False
    """Whether real firmware runs; the CLINT is its alone, under the built-in SBI the tree is silent about it."""
    extra_chosen: dict[str, Value] = msgspec.field(default_factory=dict)


def device_tree(board: Board, boot: Boot) -> Node:
    """Return the root of a board's tree, ready for `guesthouse.guest.device_tree.flatten`."""
    devices = [DEVICE_NODES[slot.kind](slot, boot) for slot in board.slots]
    soc = Node(
        "soc",
        {"#address-cells": 2, "#size-cells": 2, "compatible": "simple-bus", "ranges": None},
        [node for node in devices if node is not None],
    )
    memory: dict[str, Value] = {"device_type": "memory", "reg": cells64(board.memory_base, boot.memory)}
    return Node(
        "",
        {"#address-cells": 2, "#size-cells": 2, "compatible": "riscv-virtio", "model": f"guesthouse,{board.name}"},
        [
            _chosen(board, boot),
            Node(f"memory@{board.memory_base:x}", memory),
            _cpus(board, boot),
            _syscon("poweroff", PASS),
            _syscon("reboot", RESET),
            soc,
        ],
    )


def _chosen(board: Board, boot: Boot) -> Node:
    properties: dict[str, Value] = {"bootargs": boot.bootargs} if boot.bootargs else {}
    for slot in board.slots:
        if slot.kind == "uart":
            properties["stdout-path"] = f"/soc/{_name('serial', slot)}"
    if boot.initrd is not None:
        properties["linux,initrd-start"] = cells64(boot.initrd[0])
        properties["linux,initrd-end"] = cells64(boot.initrd[1])
    if boot.rng_seed:
        properties["rng-seed"] = boot.rng_seed
    return Node("chosen", {**properties, **boot.extra_chosen})


def extensions(isa: str) -> list[str]:
    """Split `rv64imac_zicsr` into its extensions, in order: i, m, a, c, zicsr."""
    letters, *names = isa.lower().split("_")
    return list(letters[4:]) + names


def _cpus(board: Board, boot: Boot) -> Node:
    names = extensions(boot.isa)
    sizes: dict[str, Value] = {BLOCK_SIZES[name]: CACHE_BLOCK for name in names if name in BLOCK_SIZES}
    properties: dict[str, Value] = {"#address-cells": 1, "#size-cells": 0, "timebase-frequency": board.timebase}
    cpus = [_cpu(hart, boot, names, sizes) for hart in range(boot.harts)]
    if boot.harts > 1:
        cores = [Node(f"core{hart}", {"cpu": FIRST_CPU_PHANDLE + hart}) for hart in range(boot.harts)]
        cpus.append(Node("cpu-map", {}, [Node("cluster0", {}, cores)]))
    return Node("cpus", properties, cpus)


def _cpu(hart: int, boot: Boot, names: list[str], sizes: dict[str, Value]) -> Node:
    properties: dict[str, Value] = {
        "device_type": "cpu",
        "reg": hart,
        "status": "okay",
        "compatible": "riscv",
        "riscv,isa": boot.isa,
        "riscv,isa-base": boot.isa[:4] + "i",
        "riscv,isa-extensions": names,
        "mmu-type": boot.mmu,
        **sizes,
        **({"phandle": FIRST_CPU_PHANDLE + hart} if boot.harts > 1 else {}),
    }
    controller: dict[str, Value] = {
        "#interrupt-cells": 1,
        "interrupt-controller": None,
        "compatible": "riscv,cpu-intc",
        "phandle": FIRST_HART_PHANDLE + hart,
    }
    return Node(f"cpu@{hart:x}", properties, [Node("interrupt-controller", controller)])


def _syscon(name: str, value: int) -> Node:
    return Node(name, {"compatible": f"syscon-{name}", "regmap": TEST_PHANDLE, "offset": 0, "value": value})


def _name(kind: str, slot: Slot) -> str:
    return f"{kind}@{slot.base:x}"


def _wired(kind: str, compatible: str, slot: Slot, **more: Value) -> Node:
    properties: dict[str, Value] = {"compatible": compatible, "reg": cells64(slot.base, slot.size)}
    if slot.interrupt:
        properties |= {"interrupts": slot.interrupt, "interrupt-parent": PLIC_PHANDLE}
    return Node(_name(kind, slot), {**properties, **{key.replace("_", "-"): value for key, value in more.items()}})


def _to_harts(boot: Boot, first: int, second: int) -> list[int]:
    pairs = [(FIRST_HART_PHANDLE + hart, cause) for hart in range(boot.harts) for cause in (first, second)]
    return [cell for pair in pairs for cell in pair]


def _test(slot: Slot, boot: Boot) -> Node:
    names = ["sifive,test1", "sifive,test0", "syscon"]
    return Node(
        _name("test", slot), {"compatible": names, "reg": cells64(slot.base, slot.size), "phandle": TEST_PHANDLE}
    )


def _clint(slot: Slot, boot: Boot) -> Node | None:
    if not boot.machine_mode:
        return None
    properties: dict[str, Value] = {
        "compatible": ["sifive,clint0", "riscv,clint0"],
        "reg": cells64(slot.base, slot.size),
        "interrupts-extended": _to_harts(boot, MACHINE_SOFTWARE, MACHINE_TIMER),
    }
    return Node(_name("clint", slot), properties)


def _plic(slot: Slot, boot: Boot) -> Node:
    properties: dict[str, Value] = {
        "compatible": ["sifive,plic-1.0.0", "riscv,plic0"],
        "reg": cells64(slot.base, slot.size),
        "#address-cells": 0,
        "#interrupt-cells": 1,
        "interrupt-controller": None,
        "interrupts-extended": _to_harts(boot, MACHINE_EXTERNAL, SUPERVISOR_EXTERNAL),
        "riscv,ndev": SOURCES - 1,
        "phandle": PLIC_PHANDLE,
    }
    return Node(_name("plic", slot), properties)


def _virtio(slot: Slot, boot: Boot) -> Node:
    return _wired("virtio_mmio", "virtio,mmio", slot)


def _pci(slot: Slot, boot: Boot) -> Node:
    """An address on the bus has three cells (what space, upper, lower half); an interrupt's is its device's."""
    ranges: list[int] = []
    for window in slot.windows:
        ranges += [window.space, *cells64(window.bus_base, window.base, window.size)]
    routes: list[int] = []
    for device, pin in product(range(LINES), range(1, LINES + 1)):
        line = slot.interrupt + (device + pin - 1) % LINES
        routes += [device << DEVICE_SHIFT, 0, 0, pin, PLIC_PHANDLE, line]
    properties: dict[str, Value] = {
        "compatible": "pci-host-ecam-generic",
        "device_type": "pci",
        "reg": cells64(slot.base, slot.size),
        "#address-cells": 3,
        "#size-cells": 2,
        "#interrupt-cells": 1,
        "linux,pci-domain": 0,
        "bus-range": [0, 0xFF],
        "dma-coherent": None,
        "ranges": ranges,
        "interrupt-map-mask": [LINES - 1 << DEVICE_SHIFT, 0, 0, 7],
        "interrupt-map": routes,
    }
    return Node(_name("pci", slot), properties)


DEVICE_NODES: dict[str, Callable[[Slot, Boot], Node | None]] = {
    "test": _test,
    "rtc": lambda slot, boot: _wired("rtc", "google,goldfish-rtc", slot),
    "clint": _clint,
    "plic": _plic,
    "uart": lambda slot, boot: _wired("serial", "ns16550a", slot, clock_frequency=UART_CLOCK),
    "pci-host": _pci,
    "virtio-empty": _virtio,
    "virtio-block": _virtio,
    "virtio-balloon": _virtio,
    "virtio-console": _virtio,
    "virtio-entropy": _virtio,
    "virtio-net": _virtio,
    "virtio-9p": _virtio,
    "virtio-vsock": _virtio,
}
"""How each kind of the catalogue looks in the tree."""
