import io
import re
import shutil
import subprocess
import tarfile

import pytest

from guesthouse.errors import UserError
from guesthouse.guest import debian_scripts, debian_system
from guesthouse.guest.debian_packages import PackageList
from guesthouse.guest.debian_system import Plan
from guesthouse.host.apt import parse_deb822
from tests.guest.package_lists import entry, index
from tests.guest.packages import busybox, deb, kernel_files, module

LIST = index(
    entry("base-files", essential="yes", priority="required", depends="mawk"),
    entry("mawk"),
    entry("dpkg", essential="yes", priority="required"),
    entry("tzdata", priority="required", depends="debconf"),
    entry("debconf"),
    entry("systemd", depends="libsystemd"),
    entry("libsystemd"),
)
SOURCES = "etc/apt/sources.list.d/debian.sources"
LIBRARIES = debian_system.LIBRARY_FOLDER


def plan() -> Plan:
    return debian_system.choose(PackageList(LIST), ["systemd"])


def test_the_system_is_planned() -> None:
    made = plan()
    order = [candidate.name for candidate in made.packages]
    assert sorted(order) == ["base-files", "debconf", "dpkg", "libsystemd", "mawk", "systemd", "tzdata"]
    assert order.index("libsystemd") < order.index("systemd")
    assert made.essential == {"base-files", "dpkg", "mawk"}
    assert made.required == {"base-files", "dpkg", "mawk", "tzdata", "debconf"}


def test_lists_send_every_package_through_dpkg_once() -> None:
    made = plan()
    lists = {name: data.decode().split("\n")[:-1] for name, data in debian_system.lists_of(made).items()}
    files = {candidate.name: debian_system.file_name(number) for number, candidate in enumerate(made.packages)}
    assert lists["core.txt"] == [f"{files[name]} {name}" for name in ("base-files", "dpkg", "mawk", "debconf")]
    assert [line.split()[1] for line in lists["second.txt"]] == ["libsystemd", "systemd"]
    installed = [line.split()[1] for name in ("core.txt", "first.txt", "second.txt") for line in lists[name]]
    assert sorted(installed) == sorted(files)
    assert sorted(line.split()[1] for line in lists["essentl.txt"]) == ["base-files", "dpkg", "mawk"]
    assert lists["enable.txt"][-1] == "guesthouse-agent.service"


def test_modules_of_hardware_that_no_machine_has_stay_out() -> None:
    folder = "usr/lib/modules/6.1-test/kernel/"
    inside = (
        "drivers/block/nbd.ko.xz",
        "drivers/net/tun.ko",
        "drivers/net/wireguard/wireguard.ko",
        "net/bridge/bridge.ko",
    )
    inside += (
        "drivers/gpu/drm/drm.ko",
        "drivers/gpu/drm/virtio/virtio-gpu.ko",
        "drivers/crypto/virtio/virtio_crypto.ko",
    )
    inside += ("sound/virtio/virtio_snd.ko", "sound/core/snd.ko", "drivers/scsi/virtio_scsi.ko", "fs/btrfs/btrfs.ko")
    outside = ("drivers/net/ethernet/intel/e1000.ko", "drivers/gpu/drm/amd/amdgpu.ko", "drivers/usb/core/usbcore.ko")
    outside += ("sound/pci/snd-ens1371.ko", "net/mac80211/mac80211.ko", "drivers/crypto/ccp/ccp.ko")
    outside += ("drivers/scsi/lpfc/lpfc.ko",)
    assert [path for path in (*inside, *outside) if debian_system.wanted_of_kernel(folder + path)] == list(inside)
    assert debian_system.wanted_of_kernel("boot/vmlinux-6.1-test")
    assert not debian_system.wanted_of_kernel("boot/config-6.1-test")


def test_the_first_process_finds_its_programs_and_modules() -> None:
    boot = debian_system.boot_initramfs(kernel_files(), busybox())
    assert boot.index(b"/modules/jbd2.ko\n") < boot.index(b"/modules/ext4.ko\n")
    assert b"isofs" not in boot
    assert debian_scripts.BOOT.encode() in boot
    commands = {b"bin/" + name.encode() for name in debian_system.BOOT_COMMANDS}
    assert all(command + b"\0" in boot for command in commands)


def test_the_installer_has_what_makes_file_systems() -> None:
    packages = [
        deb({"usr/sbin/mke2fs": b"program", "etc/mke2fs.conf": b"text", "usr/sbin/fsck": b"unwanted"}),
        deb({f"{LIBRARIES}/libc.so.6": b"libc", f"{LIBRARIES}/ld-linux-riscv64-lp64d.so.1": b"loader"}),
        deb({f"{LIBRARIES}/libext2fs.so.2.4": b"library", f"{LIBRARIES}/libm.so.6": b"unwanted"}),
    ]
    made = debian_system.install_initramfs(kernel_files(), busybox(), packages)
    assert b"usr/sbin/mke2fs\0" in made
    assert f"{LIBRARIES}/libext2fs.so.2\0".encode() in made
    assert b"lib/ld-linux-riscv64-lp64d.so.1\0" in made
    assert b"unwanted" not in made
    assert b"/modules/isofs.ko\n" in made


def test_added_files_name_the_mirror_and_let_nobody_in_from_outside() -> None:
    added = debian_system.added_files({"http://a.example": ["trixie", "more"], "http://b.example": ["s"]}, b"agent")
    assert [(source.uri, source.suites) for source in parse_deb822(added[SOURCES].decode())] == [
        ("http://a.example", ("trixie", "more")),
        ("http://b.example", ("s",)),
    ]
    logins = [path for path, data in added.items() if b"--autologin" in data]
    assert logins == ["etc/systemd/system/serial-getty@ttyS0.service.d/guesthouse.conf"]
    assert not any("shadow" in path or "_config" in path or "authorized" in path for path in added)
    with tarfile.open(fileobj=io.BytesIO(debian_system.pack_tar(added, [debian_system.AGENT]))) as archive:
        members = {member.name: member for member in archive}
    assert set(members) == set(added)
    assert {name for name, member in members.items() if member.mode & 0o111} == {"usr/lib/guesthouse/agent"}
    assert debian_system.pack_tar(added) == debian_system.pack_tar(dict(reversed(added.items())))


def test_a_kernel_package_without_kernel_or_module_is_refused() -> None:
    with pytest.raises(UserError, match="no kernel"):
        debian_system.kernel_of({"usr/lib/modules/a.ko": module()})
    files = {path: data for path, data in kernel_files().items() if "ext4" not in path}
    with pytest.raises(UserError, match="ext4"):
        debian_system.boot_initramfs(files, busybox())


@pytest.mark.skipif(not shutil.which("sh"), reason="a shell reads the scripts")
@pytest.mark.parametrize("name", ["BOOT", "INSTALL", "PROFILE"])
def test_scripts_are_well_formed(name: str) -> None:
    text = getattr(debian_scripts, name)
    checked = subprocess.run(["sh", "-n"], input=text, capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")
    defined = set(re.findall(r"^(\w+)\(\)", text, re.MULTILINE))
    assert name == "PROFILE" or {"fail", "must"} & defined
