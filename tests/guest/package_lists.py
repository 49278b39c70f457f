"""Small package lists for tests: entries as a mirror's index has them."""

import hashlib


def entry(name: str, version: str = "1", **fields: str) -> str:
    """One entry; `pre_depends="a"` becomes the field Pre-Depends."""
    lines = [f"Package: {name}", f"Version: {version}", "Architecture: riscv64"]
    lines += [f"{key.replace('_', '-').title()}: {value}" for key, value in fields.items()]
    digest = hashlib.sha256(f"{name} {version}".encode()).hexdigest()
    return "\n".join([*lines, f"Filename: pool/{name}_{version}.deb", "Size: 1", f"SHA256: {digest}", ""])


def index(*entries: str) -> bytes:
    """A package list."""
    return "\n".join(entries).encode()
