"""Every kind of device a board may name: adding a device is its file and one line here."""

from collections.abc import Callable
from typing import Any, TypeAlias

from guesthouse.virtual.devices.clint import Clint
from guesthouse.virtual.devices.device import Device
from guesthouse.virtual.devices.goldfish_rtc import GoldfishRtc
from guesthouse.virtual.devices.pci.host import PciHost
from guesthouse.virtual.devices.plic import Plic
from guesthouse.virtual.devices.test_finisher import TestFinisher
from guesthouse.virtual.devices.uart import Uart
from guesthouse.virtual.devices.virtio.balloon import VirtioBalloon
from guesthouse.virtual.devices.virtio.block import VirtioBlock
from guesthouse.virtual.devices.virtio.console import VirtioConsole
from guesthouse.virtual.devices.virtio.entropy import VirtioEntropy
from guesthouse.virtual.devices.virtio.function import Function, Nothing
from guesthouse.virtual.devices.virtio.mmio import VirtioMmio
from guesthouse.virtual.devices.virtio.net import VirtioNet
from guesthouse.virtual.devices.virtio.ninep import VirtioNinep
from guesthouse.virtual.devices.virtio.pci import VirtioPci
from guesthouse.virtual.devices.virtio.vsock import VirtioVsock
from guesthouse.virtual.devices.wires import Wires

Maker: TypeAlias = Callable[[Wires, Any], Device]
"""Makes a device from its wires and its backend, which has the type that the device's constructor names."""


def _virtio(function: Function, wires: Wires) -> Device:
    """A virtio device type behind the front that its bus asks for."""
    front = VirtioPci if wires.on_pci else VirtioMmio
    return front(function, wires.irq, wires.memory)


def _slot(function: Callable[[Any], Function]) -> Maker:
    return lambda wires, backend: _virtio(function(backend), wires)


def _disk(wires: Wires, backend: Any) -> Device:
    return _virtio(VirtioBlock(backend, wires.work, len(wires.harts)), wires)


def _card(wires: Wires, backend: Any) -> Device:
    return _virtio(VirtioNet(backend, len(wires.harts)), wires)


CATALOGUE: dict[str, Maker] = {
    "test": lambda wires, backend: TestFinisher(wires.power),
    "rtc": lambda wires, backend: GoldfishRtc(wires.irq, wires.clock),
    "clint": lambda wires, backend: Clint(wires.harts),
    "plic": lambda wires, backend: Plic(wires.contexts),
    "uart": lambda wires, backend: Uart(wires.irq, backend, wires.shortcut),
    "pci-host": lambda wires, backend: PciHost(wires.lines),
    "virtio-empty": _slot(lambda backend: Nothing()),
    "virtio-block": _disk,
    "virtio-console": _slot(VirtioConsole),
    "virtio-balloon": _slot(lambda backend: VirtioBalloon()),
    "virtio-entropy": _slot(VirtioEntropy),
    "virtio-net": _card,
    "virtio-9p": _slot(VirtioNinep),
    "virtio-vsock": _slot(VirtioVsock),
}


def make(kind: str, wires: Wires) -> Device:
    """Make the device of a kind; raises `KeyError` for a kind that is not in the catalogue."""
    return CATALOGUE[kind](wires, wires.backend)
