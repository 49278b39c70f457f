import random
import shutil
import subprocess

import pytest

from guesthouse.virtual.storage.block import read
from guesthouse.virtual.storage.qcow2.create import create, open_qcow2
from guesthouse.virtual.storage.raw import RawImage
from tests.virtual.storage.qcow2.recorded_file import RecordedFile, after_crash

SIZE = 256 << 10


def operations(image, chance: random.Random, count: int):
    """Do random operations; yields (sectors perhaps changed since, what all read as at the last flush)."""
    disk = bytearray(read(image, 0, SIZE))
    for _ in range(count):
        offset = chance.randrange(SIZE // 512)
        sectors = min(chance.choice([1, 3, 20, 100]), SIZE // 512 - offset)
        offset, length = offset * 512, sectors * 512
        kind = chance.random()
        if kind < 0.5:
            data = chance.randbytes(length)
            image.writev(offset, [data])
            disk[offset : offset + length] = data
        elif kind < 0.6:
            image.write_zeroes(offset, length, chance.random() < 0.5)
            disk[offset : offset + length] = bytes(length)
        elif kind < 0.7:
            image.discard(offset, length)
            disk[offset : offset + length] = read(image, offset, length)
        else:
            image.flush()
            yield set(), bytes(disk)
            continue
        yield set(range(offset // 512, offset // 512 + sectors)), None


@pytest.mark.parametrize("seed", range(12))
def test_wherever_writing_ends_the_image_is_sound_and_has_what_was_flushed(seed: int, tmp_path) -> None:
    chance = random.Random(seed)
    file, backing = RecordedFile(), None
    if seed % 2:
        backing = RawImage(RecordedFile(chance.randbytes(SIZE // 2)), readonly=True)
    create(file, SIZE, cluster_size=512 << seed % 3, lazy_refcounts=seed % 5 == 4)
    image = open_qcow2(file, backing=backing)
    start, file.log = bytes(file.data), []
    states = [(0, read(image, 0, SIZE), 0)]
    changes = []
    for changed, flushed in operations(image, chance, 50):
        if flushed is not None:
            states.append((len(file.log), flushed, len(changes)))
        changes.append(changed)
    image.close()
    for number in range(60):
        cut = chance.randrange(len(file.log) + 1)
        data = after_crash(start, file.log, cut, chance if number % 2 else None)
        _, expected, before = [state for state in states if state[0] <= cut][-1]
        touched = set().union(*changes[before:])
        if number % 10 == 0 and seed % 5 != 4:
            check_with_qemu(data, tmp_path / "image")
        again = open_qcow2(RecordedFile(data), backing=backing)
        report = again.check()
        assert report.corruptions == 0
        found = read(again, 0, SIZE)
        for sector in set(range(SIZE // 512)) - touched:
            at = slice(sector * 512, sector * 512 + 512)
            assert found[at] == expected[at], (cut, sector)


def check_with_qemu(data: bytes, path) -> None:
    if shutil.which("qemu-img"):
        path.write_bytes(data)
        done = subprocess.run(["qemu-img", "check", "-f", "qcow2", path], capture_output=True, check=False)
        assert done.returncode in (0, 3), done.stdout + done.stderr  # 3: only leaks


@pytest.mark.parametrize("seed", range(4))
def test_a_full_host_leaves_a_sound_image_and_the_request_can_be_made_again(seed: int) -> None:
    chance = random.Random(seed)
    file = RecordedFile()
    create(file, SIZE, cluster_size=512)
    image = open_qcow2(file)
    disk = bytearray(SIZE)
    refused = 0
    for number in range(120):
        offset = chance.randrange(SIZE // 512 - 40) * 512
        data = chance.randbytes(512 * chance.randrange(1, 40))
        file.budget = number % 7
        for _ in range(2):
            try:
                image.writev(offset, [data])
                if number % 3 == 0:
                    image.flush()
            except OSError:
                refused += 1
                file.budget = None
        file.budget = None
        disk[offset : offset + len(data)] = data
        assert read(image, offset, len(data)) == data
    assert refused > 20
    image.flush()
    assert read(image, 0, SIZE) == disk
    image.close()
    report = open_qcow2(RecordedFile(bytes(file.data)), readonly=True).check()
    assert (report.corruptions, report.leaks) == (0, 0)
