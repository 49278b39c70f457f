"""A definition come alive: processor, memory, devices and everything between them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from guesthouse.errors import UserError
from guesthouse.guest.definition import Definition
from guesthouse.host.entropy import HostEntropy
from guesthouse.host.kept_file import Content, keep
from guesthouse.virtual.devices.uart import Uart
from guesthouse.virtual.devices.virtio.balloon import VirtioBalloon
from guesthouse.virtual.devices.virtio.block import VirtioBlock
from guesthouse.virtual.devices.virtio.console import Port, PortDefinition, VirtioConsole
from guesthouse.virtual.devices.virtio.function import Function
from guesthouse.virtual.devices.virtio.mmio import VirtioMmio
from guesthouse.virtual.devices.virtio.pci import VirtioPci
from guesthouse.virtual.devices.wires import BlockBackend, Entropy, PortBackend, Shortcut
from guesthouse.virtual.engine.native import NativeEngine
from guesthouse.virtual.engine.reference import Environment
from guesthouse.virtual.isa.riscv64 import ISA
from guesthouse.virtual.isa.riscv64.csr_counters import TICK
from guesthouse.virtual.isa.riscv64.trap import start_monitored
from guesthouse.virtual.machine import board as boards
from guesthouse.virtual.machine.boot import Entry, Files, place_guest
from guesthouse.virtual.machine.console import Console
from guesthouse.virtual.machine.cpu import Cpu
from guesthouse.virtual.machine.engines import Engine, make_engines, make_state
from guesthouse.virtual.machine.hart import (
    MACHINE_EXTERNAL,
    SUPERVISOR_EXTERNAL,
    HartWires,
    InterruptWire,
    MachineClock,
)
from guesthouse.virtual.machine.harts import Harts
from guesthouse.virtual.machine.htif import Htif
from guesthouse.virtual.machine.inbox import Inbox
from guesthouse.virtual.machine.input import Input
from guesthouse.virtual.machine.randomness import SeededEntropy
from guesthouse.virtual.machine.reset import reset_state
from guesthouse.virtual.machine.sbi import Sbi
from guesthouse.virtual.machine.shortcut import NativeShortcut
from guesthouse.virtual.machine.switch import ConsoleBackend, Switch
from guesthouse.virtual.machine.work import Work
from guesthouse.virtual.memory.guest import GuestMemory
from guesthouse.virtual.spec.state import ProcessorState
from guesthouse.virtual.storage.block import Image
from guesthouse.virtual.storage.images import open_image

if TYPE_CHECKING:
    from guesthouse.virtual.machine.network import Cable
    from guesthouse.virtual.machine.shares import ShareLink
    from guesthouse.virtual.machine.sockets import SocketLink

ISA_MODULE = "guesthouse.virtual.isa.riscv64"
RNG_SEED_BYTES = 32
A0, A1, A2 = 10, 11, 12

Disk = str | Path | tuple[str | Path, bool] | BlockBackend


class Monitor(Environment):
    """The words of the semantics for our own Python code (SBI, inspection) beside whatever engine runs."""

    engine: Engine

    def forget_translations(self) -> None:
        """Have the engine forget the guest's page tables."""
        super().forget_translations()
        self.engine.forget_translations()

    def forget_translation(self, address: int, pages: int) -> None:
        """Likewise; a few pages are not worth a call of their own."""
        self.forget_translations()

    def forget_context(self, context: int) -> None:
        """Likewise."""
        self.forget_translations()


class Backends(msgspec.Struct, frozen=True):
    """The host's ends: disks in the order of the slots, ports by name, shared folders.

    `opened` are closed with the machine.
    """

    disks: Sequence[BlockBackend] = ()
    ports: Mapping[str, PortBackend] | None = None
    opened: Sequence[Image] = ()
    network: Cable | None = None
    shares: Sequence[ShareLink] = ()
    sockets: SocketLink | None = None


def open_backends(
    disks: Sequence[Disk],
    ports: Mapping[str, PortBackend] | None,
    network: Cable | None = None,
    shares: Sequence[ShareLink] = (),
    sockets: SocketLink | None = None,
) -> Backends:
    """The host's ends, with the disks that are given as a path, or as (path, readonly), opened."""
    backends: list[BlockBackend] = []
    opened: list[Image] = []
    try:
        for disk in disks:
            if isinstance(disk, str | Path | tuple):
                path, readonly = disk if isinstance(disk, tuple) else (disk, False)
                opened.append(open_image(str(path), readonly))
            backends.append(opened[-1] if isinstance(disk, str | Path | tuple) else disk)
    except BaseException:
        for image in opened:
            image.close()
        raise
    return Backends(backends, ports, opened, network, shares, sockets)


class Core:
    """The live objects of one machine; `reset` puts the guest into memory and the processors at their start.

    `current` is the processor that ran last, or whose exit is being answered; `state` and `sbi` are its.
    """

    def __init__(self, definition: Definition, engine: str, backends: Backends, console: Console) -> None:
        self.definition = definition
        self.files: dict[str, Content] = {
            name: keep(file.path, file.data, f"the {name}")
            for name, file in (
                ("kernel", definition.kernel),
                ("initrd", definition.initrd),
                ("firmware", definition.firmware),
            )
        }
        states = [make_state(ISA) for _ in range(definition.cpus)]
        self.memory = GuestMemory(0x8000_0000, definition.memory)
        engines = make_engines(engine, ISA, ISA_MODULE, self.memory, states)
        self.cpus = [Cpu(number, *both) for number, both in enumerate(zip(states, engines, strict=True))]
        self.current = self.cpus[0]
        self.engine = engines[0]
        self.in_turns = definition.clock == "instructions" or engine == "reference"
        """Whether processors never run at once: time is counted, or accesses are not atomic."""
        self.clock = MachineClock(states[0], definition.clock == "instructions", others=states[1:])
        self.entropy = self._entropy(definition)
        self.inbox = Inbox(states[0])
        self.work = Work(self.inbox, at_once=self.in_turns)
        self.clock.on_change = self.inbox.ring
        self.console = console
        self.switch = Switch(self.memory, console, definition.reboot)
        harts = Harts(self.cpus)
        for cpu in self.cpus:
            cpu.sbi = Sbi(cpu.number, cpu.state, self.switch, harts)
            if engine != "reference":  # that one has its own
                environment = Monitor(ISA, self.memory, cpu.state)
                environment.engine = cpu.engine
                cpu.state.environment = environment
        self._build(backends)
        self.entry = Entry(0, 0, 0, {})
        self.htif: Htif | None = None
        self._closed = False

    @property
    def state(self) -> ProcessorState:
        """The current processor's."""
        return self.current.state

    @property
    def sbi(self) -> Sbi:
        """What answers the current processor's calls of the firmware."""
        return self.current.sbi

    @property
    def steps(self) -> int:
        """Steps (instructions and traps) that all processors have done."""
        return sum(cpu.state.instructions for cpu in self.cpus)

    @property
    def expecting(self) -> bool:
        """Whether something comes of itself: a posted call, or the end of a job."""
        return self.inbox.waiting or self.work.busy

    def forget(self) -> None:
        """Have all engines drop what they derived from memory."""
        for cpu in self.cpus:
            cpu.engine.forget()

    def _entropy(self, definition: Definition) -> Entropy:
        seed = definition.seed
        if seed is None and definition.clock == "instructions":
            seed = 0
        return HostEntropy() if seed is None else SeededEntropy(seed)

    def _build(self, backends: Backends) -> None:
        self._opened = backends.opened
        self._shares = backends.shares
        self._sockets = backends.sockets
        ends: dict[str, object] = {boards.CONSOLE: ConsoleBackend(self.console), "entropy": self.entropy}
        functions: list[tuple[str, str | None]] = []
        for number, disk in enumerate(backends.disks):
            functions.append(("virtio-block", f"disk{number}"))
            ends[f"disk{number}"] = disk
        functions.append(("virtio-entropy", "entropy"))
        if backends.ports:
            # Port 0 is a console to Linux, which no program may open as a port.
            named = [PortDefinition(name, backend) for name, backend in backends.ports.items()]
            functions.append(("virtio-console", "ports"))
            ends["ports"] = [PortDefinition("guesthouse.console"), *named]
        self.network = backends.network
        if self.network is not None:
            self.network.connect(self.inbox)
            functions.append(("virtio-net", "network"))
            ends["network"] = self.network
        for number, share in enumerate(backends.shares):
            share.connect(self.inbox, wait=self.clock.counted)
            functions.append(("virtio-9p", f"share{number}"))
            ends[f"share{number}"] = share
        if backends.sockets is not None:
            backends.sockets.connect(self.inbox)
            functions.append(("virtio-vsock", "sockets"))
            ends["sockets"] = backends.sockets
        if self.definition.balloon:
            functions.append(("virtio-balloon", None))
        self.board = boards.virt(functions, self.definition.bus, self.definition.memory)
        wires = [
            InterruptWire(cpu.state, bit, cpu.wake)
            for cpu in self.cpus
            for bit in (MACHINE_EXTERNAL, SUPERVISOR_EXTERNAL)
        ]
        self.devices = boards.build(
            self.board,
            memory=self.memory,
            clock=self.clock,
            power=self.switch,
            work=self.work,
            harts=[HartWires(cpu.state, self.clock, TICK, cpu.wake) for cpu in self.cpus],
            contexts=wires,
            backends=ends,
            shortcut=self._shortcuts(),
        )
        uart = self.devices.by_name["uart"]
        assert isinstance(uart, Uart)
        self.switch.uart = uart
        self.console.input = Input(self.inbox, uart)
        self.inputs: dict[str, Input] = {"": self.console.input}
        for port in self._ports():
            self.inputs[port.name] = Input(self.inbox, port, port.disconnect)

    def _shortcuts(self) -> Callable[[int], Shortcut] | None:
        """None where the order of several processors' accesses shows, or the step at which an interrupt comes."""
        if len(self.cpus) > 1 or self.clock.counted or not isinstance(self.engine, NativeEngine):
            return None
        return partial(NativeShortcut, self.engine)

    def _functions(self) -> list[Function]:
        devices = self.devices.by_name.values()
        return [device.function for device in devices if isinstance(device, VirtioMmio | VirtioPci)]

    def _ports(self) -> list[Port]:
        for function in self._functions():
            if isinstance(function, VirtioConsole):
                return function.ports[1:]
        return []

    # --- starting -----------------------------------------------------------------------------------------------------

    def reset(self) -> None:
        """Empty memory, lay the guest into it, and reset processors and devices."""
        self.forget()
        self.memory.mapping.discard(0, self.memory.size)
        contents = {name: content.read() for name, content in self.files.items()}
        files = Files(**contents, raw=self.definition.kernel.raw)
        seed = self.entropy.bytes(RNG_SEED_BYTES)
        cpus = self.definition.cpus
        self.entry = place_guest(self.memory, self.board, files, self.definition.append, seed, cpus)
        for cpu in self.cpus:
            self._reset_processor(cpu, monitored=not files.firmware)
        self.current = self.cpus[0]
        self.devices.reset()
        self.forget()
        self._find_htif()

    def _find_htif(self) -> None:
        symbols = self.entry.symbols
        self.htif = Htif(self.memory, symbols, self.console.put) if Htif.wanted(self.memory, symbols) else None

    def restore_entry(self, entry: Entry) -> None:
        """Take over where a loaded guest had been started."""
        self.entry = entry
        self._find_htif()

    def _reset_processor(self, cpu: Cpu, monitored: bool) -> None:
        """Under the built-in SBI all but the first wait to be started; real firmware gets all of them at once."""
        s = cpu.state
        reset_state(s)
        if monitored:
            start_monitored(s)
        s.mhartid, s.pc = cpu.number, self.entry.pc
        s.x[A0], s.x[A1], s.x[A2] = cpu.number, self.entry.tree, self.entry.dynamic
        cpu.started, cpu.waiting = cpu.number == 0 or not monitored, False

    def set_balloon(self, size: int) -> None:
        """See `Machine.set_balloon`."""
        balloon = self.balloon
        if balloon is None:
            raise UserError("The machine has no balloon; start it with one.")
        if not 0 <= size <= self.memory.size:
            raise UserError(f"A guest of {self.memory.size} bytes can't give up {size}; ask for less.")
        balloon.resize(size)

    def write_out(self) -> None:
        """See `Machine.write_out`."""
        self.work.wait()
        for image in self._opened:
            if not image.readonly:
                image.flush()

    def resize_disk(self, number: int, size: int) -> None:
        """See `Machine.resize_disk`."""
        disks = [function for function in self._functions() if isinstance(function, VirtioBlock)]
        if not 0 <= number < len(disks):
            raise UserError(f"The machine has no disk {number}; its {len(disks)} disks are counted from 0.")
        backend = disks[number].backend
        if not hasattr(backend, "resize"):
            raise UserError(f"Disk {number} is no image of this program's, and keeps its size.")
        self.work.wait()
        try:
            backend.resize(size)
        except OSError as error:
            raise UserError(f"Disk {number} can't be resized: {error.strerror or error}.") from error
        disks[number].resized()

    @property
    def balloon(self) -> VirtioBalloon | None:
        """The machine's, if it has one."""
        found = (function for function in self._functions() if isinstance(function, VirtioBalloon))
        return next(found, None)

    def leave_wishes(self) -> None:
        """Have what was hot translated once nobody needs the compile service, for the next run of such a guest."""
        if isinstance(self.engine, NativeEngine) and self.engine.translations is not None:
            self.engine.translations.leave_wishes()

    def close(self) -> None:
        """Give everything back to the host; nothing may use the machine any more."""
        for content in self.files.values():
            content.close()
        if not self._closed:
            self._closed = True
            self.work.close()
            for cpu in reversed(self.cpus):
                cpu.state.environment = None
                cpu.engine.close()
            self.memory.close()
            for disk in self._opened:
                disk.close()
            if self.network is not None:
                self.network.close()
            for share in self._shares:
                share.close()
            if self._sockets is not None:
                self._sockets.close()


def check_slots(disks: int, others: int, bus: str) -> None:
    """Raise UserError where the board lacks slots for so many disks, and for other devices beside them."""
    free, on_pci = (boards.SLOTS[name] - 1 - others for name in (bus, "pci"))
    hint = ", or choose the bus pci, which has room" if free < disks <= on_pci else ""
    if free < 0:
        raise UserError(f"The board has no room for {others} devices beside its disks; take some away{hint}.")
    if disks > free:
        raise UserError(f"The board has room for {free} disks, but {disks} are asked for; take some away{hint}.")
