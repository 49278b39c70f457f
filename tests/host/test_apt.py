from pathlib import Path

import pytest

from guesthouse.errors import UserError
from guesthouse.host.apt import Apt, Source, parse_deb822, parse_one_line, read_apt

ONE_LINE = """# a comment
deb cdrom:[Debian 12]/ bookworm main
deb-src http://mirror.example/debian bookworm main
deb [arch=amd64 signed-by=/usr/share/keyrings/x.gpg] http://vendor.example/apt stable main # trailing
deb http://mirror.example/debian/ bookworm main contrib
deb http://security.example/debian-security bookworm-security main
"""
DEB822 = """# a comment
Types: deb deb-src
URIs: http://one.example/debian
  https://two.example/debian
Suites: trixie trixie-updates
# inside
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 -----END PGP PUBLIC KEY BLOCK-----

Enabled: no
Types: deb
URIs: http://off.example/debian
Suites: trixie
Components: main
"""


def test_one_line_form() -> None:
    assert parse_one_line(ONE_LINE)[1:3] == [
        Source("http://vendor.example/apt", ("stable",), ("main",)),
        Source("http://mirror.example/debian/", ("bookworm",), ("main", "contrib")),
    ]


def test_deb822_form() -> None:
    suites = ("trixie", "trixie-updates")
    assert parse_deb822(DEB822) == [
        Source("http://one.example/debian", suites, ("main",)),
        Source("https://two.example/debian", suites, ("main",)),
    ]


def test_mirrors_are_debians_own_likeliest_first() -> None:
    assert Apt({}, tuple(parse_one_line(ONE_LINE))).mirrors() == [
        "http://mirror.example/debian",
        "http://vendor.example/apt",
    ]
    assert Apt({}, tuple(parse_one_line(ONE_LINE))).security_mirrors() == ["http://security.example/debian-security"]
    ubuntu = Source("http://archive.example/ubuntu", ("jammy", "jammy-updates"), ("main", "universe"))
    assert Apt({}, (ubuntu,)).mirrors() == []
    odd = Source("http://x.example/$(ARCH)/debian", ("trixie",), ("main",))
    assert Apt({}, (odd, Source("file:/srv/debian", ("trixie",), ("main",)))).mirrors() == []


def test_the_hosts_files_are_read_where_apt_says(tmp_path: Path) -> None:
    parts = tmp_path / "other/parts"
    parts.mkdir(parents=True)
    (tmp_path / "other/list").write_text("deb http://a.example/debian sid main\n")
    (parts / "b.sources").write_text(DEB822)
    (parts / "c.list").write_text("deb mirror+file:/etc/mirrors.list trixie main\n")
    (parts / "d.list.save").write_text("deb http://saved.example/debian sid main\n")
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/mirrors.list").write_text("# list\nhttps://e.example/debian\tpriority:1\n")
    dump = 'Dir "/";\nDir::Etc "other";\nDir::Etc::sourcelist "list";\nDir::Etc::sourceparts "parts";\n'
    assert read_apt(lambda: dump, tmp_path).mirrors() == [
        "http://a.example/debian",
        "http://one.example/debian",
        "https://two.example/debian",
        "https://e.example/debian",
    ]


def test_a_host_without_apt(tmp_path: Path) -> None:
    apt = read_apt(lambda: "", tmp_path)
    assert apt.mirrors() == []
    assert apt.proxy("http://x.example/") is None
    assert apt.checks_expiry


def test_options(tmp_path: Path) -> None:
    dump = """Acquire::http::Proxy "http://proxy.example:3142";
Acquire::http::Proxy::near.example "DIRECT";
Acquire::https::Proxy "";
Acquire::Check-Valid-Until "false";
"""
    apt = read_apt(lambda: dump, tmp_path)
    assert apt.proxy("http://far.example/debian") == "http://proxy.example:3142"
    assert apt.proxy("http://near.example/debian") == "DIRECT"
    assert apt.proxy("https://far.example/debian") == "http://proxy.example:3142"
    assert not apt.checks_expiry


def test_a_program_that_knows_the_proxy(tmp_path: Path) -> None:
    program = tmp_path / "detect"
    program.write_text('#!/bin/sh\necho "http://found.example:1/?$1"\n')
    program.chmod(0o755)
    apt = Apt({"acquire::http::proxy-auto-detect": str(program)})
    assert apt.proxy("http://x") == "http://found.example:1/?http://x"
    with pytest.raises(UserError, match="Proxy-Auto-Detect"):
        Apt({"acquire::http::proxy-auto-detect": str(tmp_path / "gone")}).proxy("http://x")
