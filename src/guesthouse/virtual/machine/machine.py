"""A whole machine, to be run and looked into from Python.

It runs in the caller's own process, unconfined: for guests that are not trusted use the command line or the manager,
which run the same class in a confined worker.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from msgspec.structs import replace

from guesthouse.errors import UserError
from guesthouse.guest.definition import Definition, Share, check, parse_size
from guesthouse.virtual.devices.wires import CharacterBackend, PortBackend
from guesthouse.virtual.machine import snapshot
from guesthouse.virtual.machine.board import Devices
from guesthouse.virtual.machine.console import Console, Wanted
from guesthouse.virtual.machine.core import Core, Disk, check_slots, open_backends
from guesthouse.virtual.machine.engines import Engine
from guesthouse.virtual.machine.hooks import READS, WRITES, Access, Handle, Hooks
from guesthouse.virtual.machine.htif import signature
from guesthouse.virtual.machine.input import Input
from guesthouse.virtual.machine.inspection import (
    Disassembly,
    PhysicalMemory,
    Processor,
    Registers,
    VirtualMemory,
)
from guesthouse.virtual.machine.runner import Runner
from guesthouse.virtual.machine.sampling import RATE, Sampler
from guesthouse.virtual.machine.sources import Image, Source, disk_name, file_of
from guesthouse.virtual.machine.statistics import statistics
from guesthouse.virtual.machine.stop import Stop

if TYPE_CHECKING:
    from guesthouse.virtual.machine.gdb.debugger import Debugger
    from guesthouse.virtual.machine.gdb.port import DebuggerPort
    from guesthouse.virtual.machine.network import Cable

# Imported where they are asked for: most machines are never debugged, and share no folders.
GDB = "guesthouse.virtual.machine.gdb"
SHARES = "guesthouse.virtual.machine.shares"
SOCKETS = "guesthouse.virtual.machine.sockets"


class Machine:
    """One virtual machine; a context manager that gives its memory and files back at the end.

    kernel, initrd, firmware: a path, or the content as bytes. Without `firmware` the kernel starts in supervisor mode
        over the built-in SBI; a firmware starts in machine mode at its entry, and alone may be any bare-metal program.
    raw: whether a kernel file without any header is code, for 0x80200000; a kernel given as bytes always may be.
    image: an image of the store (`guesthouse.image("tiny")`), in place of kernel and initrd.
    append: kernel parameters; `console=ttyS0` and `panic=-1` are added where it does not set these.
    memory: bytes, or text such as "512M"; 64 MiB to 16 GiB.
    cpus: processors, 1 to 32, each with a thread of the host's. Where steps are counted (a clock of instructions, a
        budget) they take turns in one thread instead.
    disks: paths, (path, readonly) or block backends, in the order of the virtio slots.
    ports: the host's ends of the ports of a virtio console, by name.
    network: what its card is plugged into, for example a `NetworkPort`; without one it has no card.
    shares: folders of the host, `Share(path, tag)`, for the guest to mount by their tags.
    vsock: the path of a Unix socket that leads to the guest's virtio sockets (docs/vsock.md); "" for none.
    balloon: whether it can give up memory (`set_balloon`), and gives back what it has free.
    console: gets the console's output; `machine.console` has it in any case.
    engine: "auto", "interpreter", "stitcher", "translator" or "reference".
    clock: "host", or "instructions": one nanosecond an instruction, waiting jumps to the next event, and all
        randomness comes from `seed` (0 where None): then two runs are the same to the bit.
    reboot: whether a reset by the guest starts it again; else it ends the run.
    bus: "mmio", with eight places for virtio devices, or "pci", with 31.

    Raises UserError, with one sentence, for what can't be.
    """

    def __init__(
        self,
        *,
        kernel: Source | None = None,
        initrd: Source | None = None,
        firmware: Source | None = None,
        image: Image | None = None,
        append: str = "",
        memory: int | str = 512 << 20,
        cpus: int = 1,
        disks: Sequence[Disk] = (),
        ports: Mapping[str, PortBackend] | None = None,
        network: Cable | None = None,
        shares: Sequence[Share] = (),
        vsock: str | Path = "",
        balloon: bool = False,
        console: CharacterBackend | None = None,
        engine: str = "auto",
        clock: str = "host",
        seed: int | None = None,
        reboot: bool = True,
        raw: bool = False,
        bus: str = "mmio",
    ) -> None:
        if image is not None:
            if isinstance(image, str):
                raise UserError(f"An image is given as guesthouse.image({image!r}), which finds or builds it.")
            kernel = image.kernel if kernel is None else kernel
            initrd = image.initrd if initrd is None else initrd
            append = f"{image.definition.append} {append}".strip()
        definition = Definition(
            memory=parse_size(memory),
            cpus=cpus,
            kernel=file_of(kernel, raw or isinstance(kernel, bytes | bytearray)),
            initrd=file_of(initrd),
            firmware=file_of(firmware),
            append=append,
            clock=clock,
            seed=seed,
            disks=tuple(disk_name(disk) for disk in disks),
            ports=tuple(ports or ()),
            bus=bus,
            shares=tuple(shares),
            vsock=str(vsock),
            balloon=balloon,
            reboot=reboot,
        )
        self._build(definition, engine, disks, ports, console, network)
        try:
            self._core.reset()
        except BaseException:
            self.close()
            raise

    def _build(
        self,
        definition: Definition,
        engine: str,
        disks: Sequence[Disk],
        ports: Mapping[str, PortBackend] | None,
        console: CharacterBackend | None,
        network: Cable | None,
    ) -> None:
        check(definition)
        parts = (network is not None, definition.vsock, definition.balloon, ports)
        check_slots(len(disks), sum(map(bool, parts)) + len(definition.shares), definition.bus)
        self.console = Console(console, self.run)
        with ExitStack() as stack:
            links = [stack.enter_context(import_module(SHARES).ShareLink(share)) for share in definition.shares]
            sockets = import_module(SOCKETS).SocketLink(definition.vsock) if definition.vsock else None
            if sockets is not None:
                stack.callback(sockets.close)
            backends = open_backends(disks, ports, network, links, sockets)
            self._core = core = Core(definition, engine, backends, self.console)
            stack.pop_all()
        self._hooks = Hooks([cpu.engine for cpu in core.cpus], core.inbox.post)
        self._runner = Runner(core, self._hooks, self)
        self._runner.interactive = any((console is not None, ports, network is not None, sockets is not None))
        self.engine_name = engine
        self.memory = PhysicalMemory(core.memory)
        self.virtual = VirtualMemory(core)
        self._registers = [Registers(cpu.state) for cpu in core.cpus]
        self._disassembly = Disassembly(core, self.virtual)
        self._debugger: Debugger | None = None
        self._debugger_port: DebuggerPort | None = None

    # --- running ------------------------------------------------------------------------------------------------------

    def run(self, budget: int | None = None, timeout: float | None = None, until: Wanted | None = None) -> Stop:
        """Run the guest in this thread until something stops it, and say what.

        `budget` counts steps (instructions, and traps taken) and is kept exactly; `timeout` counts seconds of the
        host; `until` is a text, or a compiled pattern, that the console shows behind what was found last. Once the
        guest has switched off, the answer is the same until `reset`.
        """
        if self._debugger is not None:
            return self._debugger.run(budget, timeout, until)
        return self._runner.run(budget, timeout, until)

    def step(self, count: int = 1) -> Stop:
        """Run `count` instructions (an interrupt that is taken counts as one)."""
        return self.run(budget=count)

    def stop(self) -> None:
        """Have `run` come back with STOPPED at the next instruction; from any thread or callback."""
        self._runner.stop_here()

    def post(self, call: Callable[[], object]) -> None:
        """Have `call` done by the thread that runs the machine, soon; from any thread. Devices are touched only so."""
        self._core.inbox.post(call)

    def sampler(self, rate: float = RATE, every: int | None = None) -> Sampler:
        """What runs the guest and takes samples of where its time goes; see `Sampler`."""
        return Sampler(self._core, self._runner, rate, every)

    def reset(self) -> None:
        """Start the guest anew, as pressing the reset button does."""
        self._runner.reset()

    @property
    def ended(self) -> Stop | None:
        """How the guest switched off, None while it is on."""
        return self._runner.ended

    # --- input, devices -----------------------------------------------------------------------------------------------

    @property
    def ports(self) -> Mapping[str, Input]:
        """Input to the ports by name: `write(data)`, `close()`, from any thread."""
        return {name: stream for name, stream in self._core.inputs.items() if name}

    @property
    def network(self) -> Cable | None:
        """What its network card is plugged into."""
        return self._core.network

    @property
    def devices(self) -> Devices:
        """The devices by name and the bus; for the machine's own thread."""
        return self._core.devices

    @property
    def engine(self) -> Engine:
        """What runs the instructions; for its statistics."""
        return self._core.engine

    @property
    def symbols(self) -> Mapping[str, int]:
        """Addresses of the names in the ELF file of firmware or kernel."""
        return self._core.entry.symbols

    @property
    def thread_seconds(self) -> float:
        """CPU time, in seconds, that processors have taken in threads of their own (several processors only)."""
        return sum(self._runner.thread_seconds)

    # --- processors ---------------------------------------------------------------------------------------------------

    @property
    def cpus(self) -> int:
        """How many processors there are."""
        return len(self._core.cpus)

    @property
    def registers(self) -> Registers:
        """Registers by name, of the processor that ran last; in a callback: of the one that has come to it."""
        return self._registers[self._core.current.number]

    def cpu(self, number: int) -> Processor:
        """One of the processors, for a look at it while the machine stands still."""
        cpu = self._core.cpus[number]
        return Processor(cpu, self._registers[number], VirtualMemory(self._core, cpu))

    # --- looking inside -----------------------------------------------------------------------------------------------

    @property
    def instructions(self) -> int:
        """Steps (instructions and traps) done since the machine was made."""
        return self._core.steps

    def disassemble(self, address: int | None = None, count: int = 1) -> list[str]:
        """`count` instructions as text from a guest-virtual address on, the pc where None."""
        return self._disassembly.lines(self.registers["pc"] if address is None else address, count)

    def on_execute(self, address: int, callback: Callable[[Machine], object]) -> Handle:
        """Call back before each execution of the instruction at a guest-virtual address.

        The callback runs in the machine's thread, may look at and change everything, and may call `stop`.
        """
        return self._hooks.on_execution(address, callback)

    def on_memory(
        self,
        start: int,
        length: int,
        callback: Callable[[Machine, Access], object],
        *,
        read: bool = True,
        write: bool = True,
    ) -> Handle:
        """Call back before the processor accesses some bytes at a guest-physical address (a device's: after)."""
        return self._hooks.on_access(start, length, _kinds(read, write), callback)

    def on_device(self, callback: Callable[[Machine, Access], object]) -> Handle:
        """Call back after each access to a device."""
        return self._hooks.on_device(callback)

    def on_firmware_call(self, callback: Callable[[Machine], object]) -> Handle:
        """Call back before the built-in SBI answers a call: extension in a7, function in a6, arguments from a0 on."""
        return self._hooks.on_firmware_call(callback)

    def on_notice(self, callback: Callable[[str], object]) -> None:
        """Call back, from the machine's thread, with sentences for the user: why the guest waits, that it goes on."""
        self._core.work.notice = callback

    def write_out(self) -> None:
        """Have everything that the guest wrote in its disk images, as when a computer is switched off (or by `close`).

        Raises `OSError` where the host does not take it.
        """
        self._core.write_out()

    def resize_disk(self, number: int, size: int) -> None:
        """Set the capacity in bytes of a disk, counted from 0; the guest hears of it. For the machine's own thread.

        Raises UserError where there is no such disk or its image can't have that size.
        """
        self._core.resize_disk(number, size)

    def set_balloon(self, size: int) -> None:
        """Ask the guest to give up `size` bytes, all in all; it does so bit by bit. For the machine's own thread.

        `statistics()["balloon"]` tells how far it is. Raises UserError where the machine has no balloon or no such
        memory.
        """
        self._core.set_balloon(size)

    def breakpoint(self, address: int) -> Handle:
        """Have `run` come back with BREAKPOINT before the instruction at a guest-virtual address."""
        return self._hooks.on_execution(address, None)

    def watch(self, start: int, length: int, *, read: bool = False, write: bool = True) -> Handle:
        """Have `run` come back with WATCH before an access to some bytes at a guest-physical address."""
        return self._hooks.on_access(start, length, _kinds(read, write), None)

    def debugger(self, *, wait: bool = False) -> Debugger:
        """What serves debuggers from now on, wherever they come from; see `gdb` for one that listens."""
        if self._debugger is None:
            self._debugger = import_module(GDB + ".debugger").Debugger(self, self._runner, wait=wait)
            self._runner.interactive = True
        return self._debugger

    def gdb(self, port: int = 0, host: str = "127.0.0.1", *, wait: bool = False) -> DebuggerPort:
        """Listen for gdb (`target remote HOST:PORT`), one at a time, until that is closed; port 0 is any free one.

        `run` then serves it: while the debugger holds the machine, `run` does not come back. With `wait` the next `run`
        holds the machine until a debugger has come and lets it go. Who reaches the port controls the machine. Raises
        UserError where the port can't be had.
        """
        if self._debugger_port is not None:
            self._debugger_port.close()
        opened: DebuggerPort = import_module(GDB + ".port").DebuggerPort(self.debugger(wait=wait), host, port)
        self._debugger_port = opened
        return opened

    def signature(self, granularity: int = 4) -> str | None:
        """The words from `begin_signature` to `end_signature` of a bare-metal program, a line each, None without."""
        return signature(self._core.memory, self._core.entry.symbols, granularity)

    def statistics(self) -> dict[str, Any]:
        """What happened so far: steps, traps, exits by reason, and the engine's counters by name."""
        return statistics(self.engine_name, self._core, self._runner)

    # --- saving -------------------------------------------------------------------------------------------------------

    def save(self) -> bytes:
        """The whole state between two instructions; disks are not in it. For the machine's own thread."""
        return snapshot.save(self._core, self._runner)

    @classmethod
    def load(
        cls,
        data: bytes,
        *,
        disks: Sequence[Disk] | None = None,
        ports: Mapping[str, PortBackend] | None = None,
        network: Cable | None = None,
        vsock: str | Path | None = None,
        console: CharacterBackend | None = None,
        engine: str = "auto",
    ) -> Self:
        """A machine in the state that `save` gave, on any engine; disks are opened as before unless given.

        So is the socket to its virtio sockets; the guest hears that its connections are over.
        """
        saved = snapshot.unpack(data)
        machine = cls.__new__(cls)
        definition = saved.definition
        if vsock is not None and definition.vsock:
            definition = replace(definition, vsock=str(vsock))
        given = definition.disks if disks is None else disks
        machine._build(definition, engine, given, snapshot.ports_for(definition, ports), console, network)
        try:
            snapshot.restore(saved, machine._core, machine._runner)
        except BaseException:
            machine.close()
            raise
        return machine

    def leave_wishes(self) -> None:
        """Have what was hot translated for the next run of such a guest; this one has ended, and `close` follows."""
        self._core.leave_wishes()

    def close(self) -> None:
        """Give memory and files back to the host."""
        if self._debugger_port is not None:
            self._debugger_port.close()
        self._core.close()

    def __del__(self) -> None:
        with suppress(Exception):
            self.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _kinds(read: bool, write: bool) -> int:
    return (READS if read else 0) | (WRITES if write else 0)
