"""The Linux part of the benchmark: the boot of image `tiny` to its shell, and programs run in that shell."""

import gzip
import os
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import zstandard

from benchmarks.measure import MeasureError, Measurement, Run, between_marks
from benchmarks.sides import Guest
from guesthouse.guest import cpio

PROMPT = re.compile(rb"root@tiny:[^\n]*?# ")
APPEND = "console=ttyS0 panic=-1"
CONTROL_C = b"\x03"
SECONDS_TO_INTERRUPT, SECONDS_TO_POWER_OFF = 10.0, 30.0
GZIP_MAGIC, ZSTD_MAGIC = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"


def tiny_guest(kernel: Path | None, initrd: Path | None, folder: Path) -> Guest | None:
    """The guest to boot: from the two files, else image `tiny` of the user's store; None where it isn't there.

    The kernel is unpacked into `folder`, since QEMU takes fewer forms of it than we do.
    """
    if kernel is None or initrd is None:
        found = _tiny_of_store()
        if found is None:
            return None
        kernel, initrd = found
    unpacked = folder / "kernel"
    unpacked.write_bytes(unpack_kernel(kernel.read_bytes()))
    return Guest(kernel=unpacked, initrd=initrd, append=APPEND)


def _tiny_of_store() -> tuple[Path, Path] | None:
    data = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share") / "guesthouse"
    for initrd in sorted(data.glob("**/tiny*/**/initr*")):
        for kernel in (*initrd.parent.glob("kernel*"), *initrd.parent.glob("vmlinu*"), *initrd.parent.glob("Image*")):
            return kernel, initrd
    return None


def unpack_kernel(data: bytes) -> bytes:
    """The Linux `Image` in a kernel file: as it is, out of gzip, or out of an EFI zboot file.

    Source of the zboot header: the kernel's drivers/firmware/efi/libstub/zboot-header.S (payload offset at 8,
    its size at 12, the name of the compression at 24).
    """
    if data[:2] == b"MZ" and data[4:8] == b"zimg":
        start, size = int.from_bytes(data[8:12], "little"), int.from_bytes(data[12:16], "little")
        data = data[start : start + size]
    if data.startswith(GZIP_MAGIC):
        return gzip.decompress(data)
    if data.startswith(ZSTD_MAGIC):
        return zstandard.ZstdDecompressor().decompressobj().decompress(data)
    return data


def add_programs(guest: Guest, programs: dict[str, Path], folder: Path) -> Guest:
    """The same guest with the programs in /bench: the kernel unpacks archives that follow one another."""
    assert guest.initrd is not None
    entries = [cpio.directory("bench")]
    entries += [cpio.file(f"bench/{name}", path.read_bytes(), 0o755) for name, path in programs.items()]
    first = guest.initrd.read_bytes()
    combined = folder / "initrd-with-programs"
    combined.write_bytes(first + bytes(-len(first) % 4) + cpio.pack(entries))
    return replace(guest, initrd=combined)


def boot(run: Run) -> Measurement:
    """Wait for the shell's prompt; return what it cost from the start of the process."""
    _, cpu, wall = run.expect(PROMPT)
    return Measurement(cpu, wall)


def run_programs(run: Run, commands: Mapping[str, str], timeout: float) -> dict[str, Measurement | MeasureError]:
    """Type each command at the shell of a guest that has just booted, then power off.

    commands: by the name in the marks. timeout: seconds for each. A program that fails or hangs is stopped and the next
    one run; where the shell doesn't come back, what follows is missing in the result.
    """
    results: dict[str, Measurement | MeasureError] = {}
    for name, command in commands.items():
        run.renew(timeout)
        try:
            run.send(f"{command}\n".encode())
            results[name] = between_marks(run, name)
        except MeasureError as error:
            results[name] = error
        except OSError as error:
            results[name] = MeasureError(f"the guest's console is gone: {error.strerror}")
        try:
            if isinstance(results[name], MeasureError):
                run.renew(SECONDS_TO_INTERRUPT)
                run.send(CONTROL_C)
            run.expect(PROMPT)
        except (MeasureError, OSError):
            return results
    power_off(run)
    return results


def power_off(run: Run) -> None:
    """Power off a guest that is at its prompt; what was measured before is good even if this fails."""
    try:
        run.renew(SECONDS_TO_POWER_OFF)
        run.send(b"poweroff\n")
        run.finish()
    except (MeasureError, OSError):
        pass
