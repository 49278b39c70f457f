import hashlib

import pytest

from guesthouse.errors import UserError
from guesthouse.guest.agent.main import main
from guesthouse.guest.program.lowering import Program
from guesthouse.guest.tiny import RECIPE, applet_names, build_tiny
from tests.guest.packages import busybox, deb, kernel_files, linux_image
from tests.guest.test_cpio import unpack

PACKAGE = deb({"usr/bin/busybox": busybox()})


def test_the_image_has_the_kernel_busybox_and_the_modules_in_order() -> None:
    image = build_tiny(deb(kernel_files()), deb({"usr/bin/busybox": busybox()}), b"program", "1.37")
    assert image.release == "6.1-test"
    assert image.kernel == linux_image(b"kernel")
    files = {path: (mode, data) for path, mode, data, _ in unpack(image.initrd)}
    assert files["init"][0] == files["usr/bin/busybox"][0] == 0o100755
    assert files["usr/lib/guesthouse/agent"] == (0o100755, b"program")
    assert files["usr/bin/sh"] == (0o120777, b"busybox")
    assert files["usr/bin/busybox"][1] == busybox()
    assert b"6.1-test, busybox 1.37" in files["etc/motd"][1]
    loading = [names_in(files[f"etc/modules-load{suffix}"][1]) for suffix in ("", "-disk")]
    assert loading[0] == ["virtio_mmio", "virtio_blk", "failover", "net_failover", "virtio_net", "virtio_rng"]
    assert loading[1] == ["crc32c_generic", "jbd2", "mbcache", "ext4"]
    for line in files["etc/modules-load"][1].decode().split():
        assert line.lstrip("/") in files
    folder = "usr/lib/modules/6.1-test"
    assert b"ext4.ko: jbd2.ko mbcache.ko\n" in files[f"{folder}/modules.dep"][1]
    aliases = files[f"{folder}/modules.alias"][1]
    assert aliases.startswith(b"alias fs-ext4 ext4\nalias fs-9p 9p\nalias 9p-virtio 9pnet_virtio\n")


def test_the_modules_of_shared_folders_are_there_for_the_kernel_to_ask_for() -> None:
    files = {path: data for path, _, data, _ in unpack(build_tiny(deb(kernel_files()), PACKAGE, b"").initrd)}
    folder = "usr/lib/modules/6.1-test"
    assert b"9p.ko: 9pnet.ko\n" in files[f"{folder}/modules.dep"] and f"{folder}/9pnet_virtio.ko" in files
    assert b"echo /usr/bin/modprobe >/proc/sys/kernel/modprobe" in files["init"]
    old = {path: data for path, data in kernel_files().items() if "9p" not in path}
    assert b"9p" not in build_tiny(deb(old), PACKAGE, b"").initrd


def test_modules_of_devices_are_there_for_machines_that_have_those() -> None:
    files = {path: data for path, _, data, _ in unpack(build_tiny(deb(kernel_files()), PACKAGE, b"").initrd)}
    folder = "usr/lib/modules/6.1-test"
    assert b"vmw_vsock_virtio_transport.ko: vsock.ko\n" in files[f"{folder}/modules.dep"]
    assert files[f"{folder}/modules.alias"].endswith(
        b"alias net-pf-40 vsock\nalias virtio:d00000013v* vmw_vsock_virtio_transport\n"
        b"alias virtio:d00000005v* virtio_balloon\n"
    )
    assert b"vsock" not in files["etc/modules-load"] and b"balloon" not in files["etc/modules-load"]


def names_in(listing: bytes) -> list[str]:
    return [line.rpartition("/")[2].removesuffix(".ko") for line in listing.decode().split()]


def test_the_same_packages_give_the_same_image() -> None:
    packages = deb(kernel_files()), deb({"bin/busybox": busybox()})
    assert build_tiny(*packages, b"") == build_tiny(*packages, b"")


def test_an_agent_that_has_changed_counts_the_recipe_up() -> None:
    """Where this fails: count `RECIPE` up, so that stored images get the new agent, and write both here."""
    digest = hashlib.sha256(Program(main).text.encode()).hexdigest()
    assert (RECIPE, digest[:16]) == (6, "eb39e03e479fdb0d")


def test_packages_that_lack_something_are_refused() -> None:
    with pytest.raises(UserError, match="no kernel"):
        build_tiny(deb({"a": b""}), deb({"bin/busybox": busybox()}), b"")
    with pytest.raises(UserError, match="no busybox"):
        build_tiny(deb(kernel_files()), deb({"a": b""}), b"")
    with pytest.raises(UserError, match="no usable module"):
        build_tiny(deb({"boot/vmlinux-1": linux_image()}), deb({"bin/busybox": busybox()}), b"")


def test_commands_are_read_from_the_program() -> None:
    assert applet_names(busybox(("ash", "cat", "sh"))) == ["[", "[[", "ash", "cat", "sh"]
    with pytest.raises(UserError, match="commands"):
        applet_names(b"\x7fELF nothing here")
