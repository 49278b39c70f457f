import gzip
import lzma

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from guesthouse.errors import UserError
from guesthouse.guest.kernel import Form, load_kernel
from tests.guest.packages import elf, linux_image, zboot

PROGRAM = elf(
    [(0x80000000, 0x80000000, b"code", 4), (0x80001000, 0x80001000, b"data", 0x100)],
    0x80000000,
    {"tohost": 0x80001000, "begin_signature": 0x80001010, "end_signature": 0x80001100},
)


def test_a_bare_metal_program() -> None:
    image = load_kernel(PROGRAM)
    assert image.form is Form.ELF
    assert not image.relocatable
    assert [(part.address, part.data, part.memory_size) for part in image.segments] == [
        (0x80000000, b"code", 4),
        (0x80001000, b"data", 0x100),
    ]
    assert (image.entry, image.image_size) == (0x80000000, 0x1100)
    assert image.symbols == {"tohost": 0x80001000, "begin_signature": 0x80001010, "end_signature": 0x80001100}


def test_entry_and_symbols_are_load_addresses() -> None:
    image = load_kernel(elf([(0xFFFF0000, 0x80000000, b"code", 64)], 0xFFFF0010, {"tohost": 0xFFFF0020, "far": 5}))
    assert image.entry == 0x80000010
    assert image.symbols == {"tohost": 0x80000020, "far": 5}


def test_a_linux_elf_counts_from_the_start_of_ram() -> None:
    high = 0xFFFFFFFF80000000
    image = load_kernel(elf([(high, 0, linux_image(), 0x1000)], high, {"_start": high}))
    assert image.relocatable
    assert image.entry == image.segments[0].address == image.symbols["_start"] == 0x200000


@pytest.mark.parametrize(
    "wrapped",
    [
        linux_image(b"kernel"),
        gzip.compress(linux_image(b"kernel")),
        lzma.compress(linux_image(b"kernel")),
        zstandard.compress(linux_image(b"kernel")),
        zboot(gzip.compress(linux_image(b"kernel")), b"gzip"),
        zboot(zstandard.compress(linux_image(b"kernel")) + b"size", b"zstd22"),
        zboot(lzma.compress(linux_image(b"kernel")) + b"size", b"xzkern"),
    ],
)
def test_a_linux_image_in_every_wrapping(wrapped: bytes) -> None:
    image = load_kernel(wrapped)
    (segment,) = image.segments
    assert image.form is Form.LINUX
    assert image.relocatable
    assert segment.data == linux_image(b"kernel")
    assert (segment.address, segment.memory_size, image.entry) == (0x200000, 0x300000, 0x200000)


def test_raw_code() -> None:
    image = load_kernel(b"\x13\0\0\0" * 4)
    assert (image.form, image.entry, image.image_size, image.relocatable) == (Form.RAW, 0, 16, True)


@pytest.mark.parametrize(
    "data, words",
    [
        (b"root:x:0:0:root:/root:/bin/bash\n" * 50, "is text"),
        ("äöü\n".encode() * 2000, "is text"),
        (b"#!/bin/sh\necho\n", "is a script"),
        (b"MZ" + bytes(1000), "without the header of a RISC-V kernel"),
        (gzip.compress(b"070701" + bytes(100)), "is a cpio archive"),
        (bytes(510) + b"\x55\xaa", "is a disk image"),
        (bytes(5000), "is zero bytes"),
        (b"\x13\0\0\0" * 4, "is a raw binary"),
    ],
)
def test_where_code_needs_a_header_other_files_are_named(data: bytes, words: str) -> None:
    with pytest.raises(UserError, match=f"{words}.*; give an ELF file or a Linux Image.*raw"):
        load_kernel(data, raw=False)
    assert load_kernel(linux_image(b"kernel"), raw=False).form is Form.LINUX
    assert load_kernel(PROGRAM, raw=False).form is Form.ELF


@pytest.mark.parametrize(
    "data, words",
    [
        (b"", "empty"),
        (elf([(0, 0, b"x", 1)], machine=62), "another processor"),
        (elf([]), "nothing to load"),
        (elf([(0, 0, b"xxxx", 2)]), "sizes"),
        (PROGRAM[:130], "truncated"),
        (gzip.compress(linux_image())[:-12], "damaged"),
        (gzip.compress(gzip.compress(gzip.compress(gzip.compress(gzip.compress(b"x"))))), "many times"),
    ],
)
def test_what_cannot_run_is_refused_in_a_sentence(data: bytes, words: str) -> None:
    with pytest.raises(UserError, match=words):
        load_kernel(data)


@given(st.data())
def test_damaged_files_load_or_raise_a_user_error(data: st.DataObject) -> None:
    whole = data.draw(
        st.sampled_from([PROGRAM, linux_image(), gzip.compress(PROGRAM), zboot(gzip.compress(PROGRAM), b"gzip")])
    )
    blob = bytearray(whole)
    for _ in range(data.draw(st.integers(0, 6))):
        blob[data.draw(st.integers(0, len(blob) - 1))] = data.draw(st.sampled_from([0, 1, 0x7F, 0x80, 0xFF]))
    del blob[data.draw(st.integers(1, len(blob))) :]
    try:
        image = load_kernel(bytes(blob))
        assert sum(len(part.data) for part in image.segments) <= len(PROGRAM)
    except UserError as error:
        assert str(error).endswith(".")


@given(
    st.sampled_from([b"", b"\x7fELF\x02\x01\x01", b"\x1f\x8b\x08", b"MZ\0\0zimg", b"\xfd7zXZ\0"]),
    st.binary(max_size=300),
)
def test_random_files_load_or_raise_a_user_error(magic: bytes, rest: bytes) -> None:
    try:
        assert load_kernel(magic + rest).segments
    except UserError as error:
        assert str(error)
