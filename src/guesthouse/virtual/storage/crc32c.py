"""The checksum CRC-32C (Castagnoli), as VHDX has it."""

POLYNOMIAL = 0x82F63B78


def _entry(value: int) -> int:
    for _ in range(8):
        value = value >> 1 ^ (POLYNOMIAL if value & 1 else 0)
    return value


TABLE = tuple(_entry(value) for value in range(256))


def crc32c(data: bytes) -> int:
    """The checksum of some bytes."""
    value = 0xFFFFFFFF
    for byte in data:
        value = TABLE[(value ^ byte) & 0xFF] ^ value >> 8
    return value ^ 0xFFFFFFFF
