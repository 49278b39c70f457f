import shutil
import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest

from guesthouse.guest.device_tree import Node, flatten, parse
from guesthouse.virtual.devices.catalogue import CATALOGUE
from guesthouse.virtual.machine.board import virt
from guesthouse.virtual.machine.board_tree import DEVICE_NODES, Boot, device_tree, extensions

BOOT = Boot(
    harts=2,
    memory=5 << 30,
    isa="rv64imafdc_zicsr_zicbom_zicboz",
    bootargs="console=ttyS0",
    initrd=(0x8800_0000, 0x8800_1234),
    rng_seed=b"0123456789abcdef",
)


def find(root: Node, *path: str) -> Node:
    for name in path:
        root = next(child for child in root.children if child.name == name)
    return root


def tree(**changes: Any) -> Node:
    return device_tree(virt(), msgspec.structs.replace(BOOT, **changes))


def test_every_kind_of_device_has_a_node() -> None:
    assert set(DEVICE_NODES) == set(CATALOGUE)


def test_it_flattens_and_reads_back() -> None:
    parsed = parse(flatten(tree()))
    uart = find(parsed.root, "soc", "serial@10000000")
    assert uart.properties["compatible"] == b"ns16550a\0"
    assert uart.properties["clock-frequency"] == (3_686_400).to_bytes(4, "big")
    assert find(parsed.root, "memory@80000000").properties["reg"] == bytes.fromhex("00000000800000000000000140000000")


def test_chosen_tells_the_boot() -> None:
    chosen = find(tree(), "chosen").properties
    assert chosen["stdout-path"] == "/soc/serial@10000000"
    assert chosen["linux,initrd-end"] == [0, 0x8800_1234]
    assert chosen["rng-seed"] == b"0123456789abcdef"
    assert "linux,initrd-start" not in find(tree(initrd=None), "chosen").properties


def test_processors_give_their_isa_in_both_ways() -> None:
    assert [node.name for node in find(tree(), "cpus", "cpu-map", "cluster0").children] == ["core0", "core1"]
    for number in range(2):
        core = find(tree(), "cpus", "cpu-map", "cluster0", f"core{number}")
        assert core.properties["cpu"] == find(tree(), "cpus", f"cpu@{number}").properties["phandle"]
    assert len(find(tree(harts=1), "cpus").children) == 1
    cpu = find(tree(), "cpus", "cpu@1").properties
    assert (cpu["riscv,isa"], cpu["riscv,isa-base"]) == (BOOT.isa, "rv64i")
    assert cpu["riscv,isa-extensions"] == ["i", "m", "a", "f", "d", "c", "zicsr", "zicbom", "zicboz"]
    assert cpu["riscv,cboz-block-size"] == 64
    assert "riscv,cbop-block-size" not in cpu
    assert extensions("rv64i") == ["i"]


def test_phandles_are_unique_and_lead_somewhere() -> None:
    handles: list[Any] = []
    parents: list[Any] = []

    def visit(node: Node) -> None:
        handles.extend([node.properties["phandle"]] if "phandle" in node.properties else [])
        for name in ("interrupt-parent", "regmap"):
            parents.extend([node.properties[name]] if name in node.properties else [])
        wires = node.properties.get("interrupts-extended")
        parents.extend(list(wires)[::2] if isinstance(wires, list) else [])
        for child in node.children:
            visit(child)

    visit(tree(machine_mode=True))
    assert len(set(handles)) == len(handles)
    assert set(parents) <= set(handles)


@pytest.mark.parametrize("machine_mode", [False, True])
def test_the_clint_shows_only_to_firmware(machine_mode: bool) -> None:
    names = [node.name for node in find(tree(machine_mode=machine_mode), "soc").children]
    assert ("clint@2000000" in names) == machine_mode
    assert names.count("virtio_mmio@10001000") == 1


def pci_tree(memory: int = BOOT.memory) -> Node:
    return device_tree(virt([("virtio-entropy", None)], "pci", memory), msgspec.structs.replace(BOOT, memory=memory))


def test_the_pci_bus_shows_only_where_it_is() -> None:
    names = [node.name for node in find(pci_tree(), "soc").children]
    assert "pci@30000000" in names and not any(name.startswith("virtio_mmio") for name in names)
    assert "pci@30000000" not in [node.name for node in find(tree(), "soc").children]


def test_every_pin_of_the_pci_bus_leads_to_its_line() -> None:
    properties = find(pci_tree(), "soc", "pci@30000000").properties
    routes, mask = properties["interrupt-map"], properties["interrupt-map-mask"]
    assert isinstance(routes, list) and mask == [0x1800, 0, 0, 7]
    found = {(routes[at] >> 11, routes[at + 3]): routes[at + 4 : at + 6] for at in range(0, len(routes), 6)}
    assert found == {(device, pin): [1, 32 + (device + pin - 1) % 4] for device in range(4) for pin in range(1, 5)}


def test_the_pci_node_is_that_of_qemu(tmp_path: Path) -> None:
    """Compared by the device tree compiler; what our board has for its own is the controller's handle."""
    if not shutil.which("dtc") or not shutil.which("qemu-system-riscv64"):
        pytest.skip("the packages device-tree-compiler and qemu-system-misc are not installed")
    ours, theirs = tmp_path / "ours.dtb", tmp_path / "theirs.dtb"
    ours.write_bytes(flatten(pci_tree(512 << 20)))
    subprocess.run(
        ["qemu-system-riscv64", "-M", f"virt,dumpdtb={theirs}", "-m", "512"], check=True, capture_output=True
    )
    nodes = []
    for path in (ours, theirs):
        done = subprocess.run(["dtc", "-I", "dtb", "-O", "dtb", path], check=True, capture_output=True, text=False)
        node = find(parse(done.stdout).root, "soc", "pci@30000000")
        cells = node.properties.pop("interrupt-map")
        assert isinstance(cells, bytes)
        words = [int.from_bytes(cells[at : at + 4], "big") for at in range(0, len(cells), 4)]
        nodes.append((node.properties, [word for at, word in enumerate(words) if at % 6 != 4]))
    assert nodes[0] == nodes[1]


def test_the_device_tree_compiler_has_no_complaint_about_the_pci_bus(tmp_path: Path) -> None:
    if not shutil.which("dtc"):
        pytest.skip("the package device-tree-compiler is not installed")
    path = tmp_path / "tree.dtb"
    path.write_bytes(flatten(pci_tree()))
    done = subprocess.run(["dtc", "-I", "dtb", "-O", "dts", path], check=True, capture_output=True, text=True)
    assert "pci@30000000 {" in done.stdout
    assert "pci" not in done.stderr.lower()
