"""A mirror of a small archive, signed with a throw-away key."""

import hashlib
import lzma
from collections.abc import Mapping

from tests.guest.packages import busybox, deb, kernel_files
from tests.host.signing import Key
from tests.host.web_server import Site

FOLDER = "dists/trixie"


def publish(
    site: Site, key: Key, kernel_version: str = "6.1-1", by_hash: bool = True, more: Mapping[str, bytes] | None = None
) -> None:
    """Put an archive with a kernel and busybox on the site, and `more` packages by name, all of them essential."""
    kernel = f"linux-image-{kernel_version}-riscv64"
    packages = {
        (kernel, kernel_version, ""): deb(kernel_files()),
        ("linux-image-riscv64", kernel_version, f"{kernel} (= {kernel_version})"): deb({}),
        ("busybox-static", "1:1.37-1", ""): deb({"usr/bin/busybox": busybox()}),
    }
    stanzas = [_add(site, data, *names) for names, data in packages.items()]
    stanzas += [_add(site, data, name, "1", "") + "Essential: yes\n" for name, data in (more or {}).items()]
    index = lzma.compress("\n".join(stanzas).encode())
    digest = hashlib.sha256(index).hexdigest()
    place = f"{FOLDER}/main/binary-riscv64/" + (f"by-hash/SHA256/{digest}" if by_hash else "Packages.xz")
    site.files[place] = index
    release = "Codename: trixie\nSuite: stable\nAcquire-By-Hash: yes\nSHA256:\n"
    release += f" {digest} {len(index)} main/binary-riscv64/Packages.xz\n"
    site.files[f"{FOLDER}/InRelease"] = key.clear_sign(release.encode())


def _add(site: Site, data: bytes, name: str, version: str, depends: str) -> str:
    """Put a package on the site; its entry in the package list."""
    path = f"pool/{name}_{version.replace(':', '%3a')}_riscv64.deb"
    site.files[path] = data
    return (
        f"Package: {name}\nVersion: {version}\nArchitecture: riscv64\nDepends: {depends}\nFilename: {path}\n"
        f"Size: {len(data)}\nSHA256: {hashlib.sha256(data).hexdigest()}\n"
    )
