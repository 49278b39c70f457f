"""What a file that is no program of ours seems to be, for the sentence that refuses it."""

_MAGICS = (
    (0, b"MZ", "a Windows or EFI program without the header of a RISC-V kernel"),
    (0, b"#!", "a script"),
    (0, b"070701", "a cpio archive (an initrd?)"),
    (0, b"070702", "a cpio archive (an initrd?)"),
    (0, b"!<arch>\n", "an archive (a Debian package?)"),
    (0, b"QFI\xfb", "a qcow2 disk image"),
    (0, b"hsqs", "a squashfs file system"),
    (0, b"\xd0\x0d\xfe\xed", "a device tree or FIT image"),
    (0, b"\x27\x05\x19\x56", "a U-Boot image"),
    (0, b"PK\x03\x04", "a zip archive"),
    (257, b"ustar", "a tar archive"),
    (510, b"\x55\xaa", "a disk image or PC boot sector"),
    (1080, b"\x53\xef", "an ext2, ext3 or ext4 file system"),
    (32769, b"CD001", "a CD image"),
)
_LOOKED_AT = 4096
_TEXT = bytes({*range(32, 127), *b"\t\n\r\f\b\x1b", *range(0x80, 0x100)})


def kind_of(data: bytes) -> str:
    """A few words such as "text" or "a tar archive"; "a raw binary" where nothing is recognised."""
    for offset, magic, words in _MAGICS:
        if data[offset : offset + len(magic)] == magic:
            return words
    head = data[:_LOOKED_AT]
    if not head.translate(None, delete=_TEXT) and _is_unicode(head):
        return "text"
    return "zero bytes" if not data.strip(b"\0") else "a raw binary"


def _is_unicode(head: bytes) -> bool:
    """Whether this is UTF-8, but for a character cut at its end."""
    try:
        head.decode()
    except UnicodeDecodeError as error:
        return len(head) == _LOOKED_AT and error.start >= len(head) - 3
    return True
