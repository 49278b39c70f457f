import pytest

from guesthouse.errors import UserError
from guesthouse.guest.debian_packages import PackageList
from guesthouse.guest.debian_relations import Relation
from tests.guest.package_lists import entry, index

LIST = PackageList(
    index(
        entry("libc6", "2.36", priority="optional"),
        entry("libc6", "2.41", priority="optional"),
        entry("dash", essential="yes", priority="required", provides="posix-shell"),
        entry("bash", essential="yes", priority="required", provides="posix-shell (= 5), sh-like"),
        entry("busybox", provides="posix-shell", description="Essential: yes, it says"),
        entry(
            "mail", conflicts="mail-agent", breaks="old (<< 2)", provides="mail-agent", pre_depends="a | b", depends="c"
        ),
        entry("old", "1", provides="agent"),
    )
)


def test_packages_are_found_by_name_newest_first() -> None:
    assert [candidate.version for candidate in LIST.versions("libc6")] == ["2.41", "2.36"]
    assert LIST.versions("nothing") == ()
    assert [candidate.version for candidate in LIST.satisfying(Relation("libc6", "<<", "2.40"))] == ["2.36"]


def test_what_is_provided_is_found_the_most_important_first() -> None:
    assert [candidate.name for candidate in LIST.satisfying(Relation("posix-shell"))] == ["bash", "dash", "busybox"]
    assert [candidate.name for candidate in LIST.satisfying(Relation("posix-shell", ">=", "4"))] == ["bash"]


def test_essential_and_required_packages_are_listed() -> None:
    assert [candidate.name for candidate in LIST.essentials()] == ["bash", "dash"]
    assert [candidate.name for candidate in LIST.of_priority("required")] == ["bash", "dash"]


def test_relations_of_a_package() -> None:
    (mail,), (old,) = LIST.versions("mail"), LIST.versions("old")
    assert mail.needs == ((Relation("a"), Relation("b")), (Relation("c"),))
    assert mail.excludes(old)
    assert not old.excludes(mail)
    assert not mail.excludes(mail)


def test_a_damaged_entry_is_told() -> None:
    with pytest.raises(UserError, match="incomplete"):
        PackageList(b"Package: a\nVersion: 1\n").versions("a")
    assert PackageList(b"").versions("a") == ()
    assert PackageList(b"Provides: x\n\nPackage: a\nProvides: y\n").satisfying(Relation("x")) == []
