import random
import shutil
import subprocess
from pathlib import Path

import pytest

from guesthouse.errors import UserError
from guesthouse.guest.debian_packages import Candidate, PackageList
from guesthouse.guest.debian_resolver import install_order, resolve
from tests.guest.package_lists import entry, index


def names(chosen: list[Candidate]) -> list[str]:
    return [candidate.name for candidate in chosen]


def solve(wanted: str, *entries: str) -> list[str]:
    return sorted(names(resolve(PackageList(index(*entries)), wanted.split())))


def test_all_that_is_needed_comes_along() -> None:
    assert solve("a", entry("a", depends="b, c (>= 2)", pre_depends="d"), *map(entry, "bde"), entry("c", "2")) == list(
        "abcd"
    )


def test_of_alternatives_the_first_is_taken_unless_another_is_there() -> None:
    entries = entry("a", depends="b | c"), entry("b"), entry("c")
    assert solve("a", *entries) == ["a", "b"]
    assert solve("c a", *entries) == ["a", "c"]
    assert solve("a", entry("a", depends="missing | b (>= 9) | c"), entry("b"), entry("c")) == ["a", "c"]


def test_what_is_provided_satisfies() -> None:
    entries = entry("a", depends="web"), entry("x", provides="web"), entry("w", provides="web", priority="important")
    assert solve("a", *entries) == ["a", "w"]
    assert solve("x a", *entries) == ["a", "x"]
    with pytest.raises(UserError, match="a needs web"):
        solve("a", entry("a", depends="web (>= 1)"), entry("x", provides="web"))


def test_a_choice_that_leads_nowhere_is_taken_back() -> None:
    assert solve("a", entry("a", depends="b | c, d"), entry("b", conflicts="d"), entry("c"), entry("d")) == list("acd")
    assert solve("a", entry("a", depends="b | c"), entry("b", depends="missing"), entry("c")) == ["a", "c"]
    deep = [entry(f"p{n}", depends=f"x{n} | y{n}, p{n + 1}") for n in range(12)]
    deep += [entry(f"{letter}{n}") for n in range(12) for letter in "xy"]
    found = solve("p0", *deep, entry("p12", conflicts="x3, x11"))
    assert {"y3", "y11", "x0", "x10"} <= set(found)
    assert not {"x3", "x11"} & set(found)


def test_breaks_and_conflicts_look_both_ways_and_at_versions() -> None:
    assert solve("a b", entry("a", breaks="b (<< 2)"), entry("b", "2")) == ["a", "b"]
    for first, second in (("a", "b"), ("b", "a")):
        with pytest.raises(UserError, match="don't fit together"):
            solve(f"{first} {second}", entry("a", breaks="b (<< 2)"), entry("b", "1"))
    assert solve("a", entry("a", conflicts="web", provides="web")) == ["a"]


def test_what_is_nowhere_is_told() -> None:
    with pytest.raises(UserError, match="the system needs nothing"):
        solve("nothing")
    with pytest.raises(UserError, match=r"b needs c \(>= 2\)"):
        solve("a", entry("a", depends="b"), entry("b", depends="c (>= 2)"), entry("c", "1"))


def test_packages_can_be_kept_out() -> None:
    packages = PackageList(index(entry("a", depends="b | c"), entry("b"), entry("c")))
    assert names(resolve(packages, ["a"], without=["b"])) == ["a", "c"]


def test_packages_come_behind_what_they_need() -> None:
    packages = PackageList(
        index(entry("a", depends="b, c"), entry("b", pre_depends="d"), entry("c", depends="b"), entry("d"))
    )
    assert names(install_order(resolve(packages, ["a"]))) == ["d", "b", "c", "a"]
    circle = PackageList(index(entry("a", depends="b"), entry("b", depends="a, c"), entry("c")))
    assert names(install_order(resolve(circle, ["a"]))) == ["c", "b", "a"]
    chain = PackageList(index(*(entry(f"p{n}", depends=f"p{n + 1}") for n in range(1500)), entry("p1500")))
    assert names(install_order(resolve(chain, ["p0"])))[0] == "p1500"


def unmet(chosen: list[Candidate]) -> list[str]:
    """What is wrong with a solution, looked at without the resolver."""
    wrong = [
        f"{one.name} beside {other.name}"
        for one in chosen
        for other in chosen
        if one is not other and one.excludes(other)
    ]
    for candidate in chosen:
        for clause in candidate.needs:
            if not any(other.satisfies(relation) for other in chosen for relation in clause):
                wrong.append(f"{candidate.name} without {clause}")
    return wrong


def universe(choose: random.Random) -> list[str]:
    """A few packages that need and exclude each other at random."""
    packages = "abcdefgh"

    def relation() -> str:
        version = choose.choice(["", "", f" ({choose.choice(['>=', '<<', '=', '<='])} {choose.randint(1, 3)})"])
        return choose.choice(packages + "vw") + version

    entries = []
    for name in packages:
        fields = {"depends": ", ".join(" | ".join(relation() for _ in range(choose.randint(1, 3))) for _ in range(2))}
        if choose.random() < 0.4:
            fields["provides"] = choose.choice(["v", "w", "v (= 2)", "w (= 1), v"])
        if choose.random() < 0.3:
            fields[choose.choice(["conflicts", "breaks"])] = relation()
        entries.append(entry(name, str(choose.randint(1, 3)), maintainer="Nobody <nobody@localhost>", **fields))
    return entries


def apt(folder: Path, data: bytes, wanted: str) -> bool:
    """Whether apt finds a way to install a package from this list."""
    (folder / "repo").mkdir(exist_ok=True)
    (folder / "repo" / "Packages").write_bytes(data)
    for place in ("lists/partial", "cache/archives/partial", "etc"):
        (folder / place).mkdir(parents=True, exist_ok=True)
    (folder / "status").write_bytes(b"")
    (folder / "etc" / "sources.list").write_text(f"deb [trusted=yes] file:{folder}/repo ./\n")
    options = {
        "Dir::State": folder,
        "Dir::State::lists": folder / "lists",
        "Dir::State::status": folder / "status",
        "Dir::Cache": folder / "cache",
        "Dir::Etc": folder / "etc",
        "APT::Architecture": "riscv64",
        "APT::Architectures": "riscv64",
        "APT::Sandbox::User": "root",
        "APT::Install-Recommends": "false",
    }
    words = ["apt-get", *(word for key, value in options.items() for word in ("-o", f"{key}={value}"))]
    subprocess.run([*words, "update"], capture_output=True, check=True)
    return subprocess.run([*words, "-s", "install", wanted], capture_output=True, check=False).returncode == 0


def test_solutions_hold_and_apt_finds_none_that_we_miss(tmp_path: Path) -> None:
    solved = refused = 0
    for seed in range(300):
        data = index(*universe(random.Random(seed)))
        packages = PackageList(data)
        try:
            chosen = resolve(packages, ["a"])
        except UserError:
            chosen = []
        assert unmet(chosen) == [], seed
        solved, refused = solved + bool(chosen), refused + (not chosen)
        if not chosen and shutil.which("apt-get") and refused <= 12:
            assert not apt(tmp_path, data, "a"), seed
    assert solved > 50
    assert refused > 50
