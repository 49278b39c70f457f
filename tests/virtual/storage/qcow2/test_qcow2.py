import json
import random
import shutil
import subprocess
import threading

import pytest

from guesthouse.errors import UserError
from guesthouse.host.files import HostFile
from guesthouse.virtual.storage.block import read
from guesthouse.virtual.storage.images import open_image
from guesthouse.virtual.storage.qcow2.create import create, open_qcow2
from tests.virtual.storage.qcow2.recorded_file import RecordedFile

needs_qemu = pytest.mark.skipif(not shutil.which("qemu-io"), reason="needs qemu-img and qemu-io (qemu-utils)")


def made(path, size: int, **options) -> str:
    path.touch()
    with HostFile(path) as file:
        create(file, size, **options)
    return str(path)


def qemu(*words) -> str:
    return subprocess.run([str(word) for word in words], capture_output=True, text=True, check=True).stdout


@needs_qemu
@pytest.mark.parametrize(
    ("cluster", "version", "width"),
    [(512, 3, 16), (512, 3, 64), (1024, 2, 16), (4096, 3, 1), (4096, 3, 4), (65536, 3, 16), (2 << 20, 3, 32)],
)
def test_what_we_write_qemu_reads(cluster: int, version: int, width: int, tmp_path) -> None:
    chance = random.Random(cluster + width)
    size = (3 << 20) + 512
    (tmp_path / "base").write_bytes(base := chance.randbytes(1 << 20))
    based = width % 3 == 1
    options = {"backing": "base", "backing_format": "raw"} if based else {}
    path = made(tmp_path / "disk", size, cluster_size=cluster, version=version, refcount_bits=width, **options)
    disk = bytearray(base.ljust(size, b"\0")) if based else bytearray(size)
    image = open_image(path)
    for _ in range(60):
        offset = chance.randrange(size // 512)
        length = min(chance.choice([1, 8, 129, 1000]), size // 512 - offset) * 512
        offset *= 512
        kind = chance.randrange(6)
        if kind < 3:
            data = chance.randbytes(length)
            image.writev(offset, [data[: length // 3], data[length // 3 :]])
            disk[offset : offset + length] = data
        elif kind == 3:
            image.write_zeroes(offset, length, chance.random() < 0.5)
            disk[offset : offset + length] = bytes(length)
        elif kind == 4:
            image.discard(offset, length)
            disk[offset : offset + length] = read(image, offset, length)
        else:
            image.flush()
    assert read(image, 0, size) == disk
    image.close()
    qemu("qemu-img", "check", path)
    qemu("qemu-img", "convert", "-O", "raw", path, tmp_path / "raw")
    assert (tmp_path / "raw").read_bytes() == disk


@needs_qemu
@pytest.mark.parametrize("options", ["", "compression_type=zstd", "cluster_size=4k,lazy_refcounts=on", "compat=0.10"])
def test_what_qemu_writes_we_read(options: str, tmp_path) -> None:
    chance = random.Random(options)
    data = bytearray(b"".join(bytes([chance.randrange(256)]) * 5000 for _ in range(400)))
    data = data[: len(data) // 512 * 512]
    (tmp_path / "raw").write_bytes(data)
    path = tmp_path / "disk"
    qemu("qemu-img", "convert", "-c", "-O", "qcow2", *(["-o", options] if options else []), tmp_path / "raw", path)
    qemu("qemu-img", "snapshot", "-c", "before", path)
    qemu("qemu-io", "-f", "qcow2", "-c", "write -P 7 64k 100k", "-c", "write -z 300k 128k", path)
    data[64 << 10 : 164 << 10] = b"\7" * (100 << 10)
    data[300 << 10 : 428 << 10] = bytes(128 << 10)
    image = open_image(str(path))
    assert read(image, 0, image.size) == data
    assert image.info()["snapshots"] == 1
    image.writev(512, [b"\1" * 512 * 300])
    data[512 : 512 * 301] = b"\1" * 512 * 300
    image.close()
    qemu("qemu-img", "check", path)
    qemu("qemu-img", "convert", "-O", "raw", path, tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == data
    qemu("qemu-img", "snapshot", "-a", "before", path)
    qemu("qemu-img", "compare", path, tmp_path / "raw")


@needs_qemu
def test_extents_are_those_of_qemu(tmp_path) -> None:
    path = tmp_path / "disk"
    qemu("qemu-img", "create", "-f", "qcow2", path, "4M")
    qemu("qemu-io", "-c", "write 0 128k", "-c", "write 1M 64k", "-c", "write -z 2M 256k", path)
    with HostFile(path, readonly=True) as file:
        found = [
            (extent.offset, extent.length, extent.data, extent.position)
            for extent in open_qcow2(file, readonly=True).extents(0, 4 << 20)
            if extent.data
        ]
    told = json.loads(qemu("qemu-img", "map", "--output=json", path))
    assert found == [(part["start"], part["length"], True, part["offset"]) for part in told if part["data"]]


def test_several_threads_write_into_the_same_clusters() -> None:
    file = RecordedFile()
    create(file, 1 << 20, cluster_size=4096)
    image = open_qcow2(file)

    def write(number: int) -> None:
        chance = random.Random(number)
        for sector in chance.sample(range(number, 2048, 4), 512):
            image.writev(sector * 512, [bytes([number + 1]) * 512])
            if sector % 97 == 0:
                image.flush()

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert read(image, 0, 1 << 20) == b"".join(bytes([at % 4 + 1]) * 512 for at in range(2048))
    report = image.check()
    assert (report.corruptions, report.leaks) == (0, 0)


def test_a_broken_image_is_mended() -> None:
    file = RecordedFile()
    create(file, 1 << 20, cluster_size=4096)
    image = open_qcow2(file)
    image.writev(0, [b"x" * 65536])
    image.close()
    broken = bytearray(file.data)
    block = int.from_bytes(broken[4096:4104], "big")
    broken[block + 2 * 10 : block + 2 * 14] = bytes(8)  # four clusters in use count as free
    broken[block + 2 * 40 : block + 2 * 42] = b"\0\1\0\1"  # two that nothing points to
    image = open_qcow2(RecordedFile(bytes(broken)))
    report = image.check()
    assert (report.corruptions, report.leaks) == (4, 2)
    report = image.check(repair=True)
    assert (report.corruptions_fixed, report.leaks_fixed) == (4, 2)
    report = image.check()
    assert (report.corruptions, report.leaks) == (0, 0)
    assert read(image, 0, 65536) == b"x" * 65536


@pytest.mark.parametrize("seed", range(150))
def test_a_hostile_image_gets_a_sentence(seed: int) -> None:
    chance = random.Random(seed)
    file = RecordedFile()
    create(file, 1 << 20, cluster_size=4096)
    image = open_qcow2(file)
    image.writev(0, [b"x" * 65536])
    image.close()
    for _ in range(chance.randrange(1, 6)):
        at = chance.choice([chance.randrange(112), chance.randrange(4096, 5 * 4096)])
        file.data[at] = chance.choice([0, 1, 0x80, 0xFF, chance.randrange(256)])
    try:
        image = open_qcow2(file)
        for action in (lambda: read(image, 0, min(image.size, 1 << 20)), lambda: image.writev(0, [b"y" * 8192])):
            try:
                action()
            except OSError as error:
                assert str(error)
        image.check(repair=True)
        image.close()
    except (UserError, OSError) as error:
        assert str(error)


@pytest.mark.parametrize(("bit", "word"), [(2, "another file"), (4, "extended L2"), (9, "features")])
def test_features_that_are_not_known_are_refused(bit: int, word: str) -> None:
    file = RecordedFile()
    create(file, 1 << 20)
    file.data[72:80] = (1 << bit).to_bytes(8, "big")
    with pytest.raises(UserError, match=word):
        open_qcow2(file)


def test_a_chain_that_comes_back_is_refused(tmp_path) -> None:
    made(tmp_path / "a", 1 << 20, backing="b", backing_format="qcow2")
    path = made(tmp_path / "b", 1 << 20, backing="a", backing_format="qcow2")
    with pytest.raises(UserError, match=r"based on itself|in use"):
        open_image(path)
    with pytest.raises(UserError, match="based on itself"):
        open_image(path, readonly=True)


def test_two_writers_are_refused(tmp_path) -> None:
    path = made(tmp_path / "a", 1 << 20)
    image = open_image(path)
    with pytest.raises(UserError, match="in use"):
        open_image(path)
    image.close()


def test_a_guest_can_not_make_its_raw_disk_another_format(tmp_path) -> None:
    (tmp_path / "raw").write_bytes(bytes(4096))
    image = open_image(str(tmp_path / "raw"))
    with pytest.raises(OSError, match="another format"):
        image.writev(0, [b"QFI\xfb".ljust(512, b"\0")])
    image.close()
