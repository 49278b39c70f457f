import shutil
import tarfile
from contextlib import closing
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guesthouse.errors import UserError
from guesthouse.guest.oci_layers import OPAQUE, flatten

FILE, FOLDER, LINK, HARD = tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE
Entry = tuple[str, bytes, bytes | str]


def layer(*entries: Entry) -> bytes:
    data = BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        for name, kind, content in entries:
            info = tarfile.TarInfo(name)
            info.type = kind
            if isinstance(content, str):
                info.linkname = content
            else:
                info.size = len(content)
            archive.addfile(info, BytesIO(content) if isinstance(content, bytes) else None)
    return data.getvalue()


def flat(*layers: bytes) -> dict[str, object]:
    """The files of the result: content, "dir", or ("link", target)."""
    target = BytesIO()
    flatten([lambda data=data: closing(BytesIO(data)) for data in layers], target)
    target.seek(0)
    found: dict[str, object] = {}
    with tarfile.open(fileobj=target) as archive:
        for entry in archive:
            assert entry.name not in found, "each path once"
            if entry.isdir():
                found[entry.name] = "dir"
            elif entry.islnk():
                found[entry.name] = found[entry.linkname]
            elif entry.issym():
                found[entry.name] = ("link", entry.linkname)
            else:
                found[entry.name] = archive.extractfile(entry).read()
    return found


def test_higher_layers_win_and_whiteouts_take_away() -> None:
    lower = layer(("a", FOLDER, b""), ("a/one", FILE, b"1"), ("a/two", FILE, b"2"), ("b", FILE, b"old"))
    upper = layer(("a/.wh.one", FILE, b""), ("b", FILE, b"new"), ("c", LINK, "b"))
    assert flat(lower, upper) == {"a": "dir", "a/two": b"2", "b": b"new", "c": ("link", "b")}


def test_an_opaque_folder_hides_what_is_below_but_not_its_own() -> None:
    lower = layer(("a", FOLDER, b""), ("a/x", FOLDER, b""), ("a/x/deep", FILE, b"1"), ("a/two", FILE, b"2"))
    for order in (
        [("a/new", FILE, b"n"), (f"a/{OPAQUE}", FILE, b"")],
        [(f"a/{OPAQUE}", FILE, b""), ("a/new", FILE, b"n")],
    ):
        assert flat(lower, layer(("a", FOLDER, b""), *order)) == {"a": "dir", "a/new": b"n"}


def test_a_file_in_place_of_a_folder_takes_all_of_it_away() -> None:
    lower = layer(("a", FOLDER, b""), ("a/x", FILE, b"1"))
    assert flat(lower, layer(("a", FILE, b"file"))) == {"a": b"file"}
    assert flat(lower, layer((".wh.a", FILE, b""))) == {}
    assert flat(lower, layer((".wh.a", FILE, b"")), layer(("a", FOLDER, b""))) == {"a": "dir"}


def test_a_hard_link_keeps_the_content_its_target_had() -> None:
    lower = layer(("a", FILE, b"first"), ("b", HARD, "a"), ("c", HARD, "a"))
    assert flat(lower, layer(("a", FILE, b"second"))) == {"b": b"first", "c": b"first", "a": b"second"}
    assert flat(lower, layer((".wh.a", FILE, b""))) == {"b": b"first", "c": b"first"}
    assert flat(lower, layer((".wh.b", FILE, b""))) == {"a": b"first", "c": b"first"}


@pytest.mark.parametrize("name", ["../evil", "a/../../evil", "/../evil"])
def test_paths_that_lead_out_are_refused(name: str) -> None:
    with pytest.raises(UserError, match="leads out"):
        flat(layer((name, FILE, b"x")))


def test_names_are_made_relative() -> None:
    assert flat(layer(("./a/", FOLDER, b""), ("/a/./b", FILE, b"x"))) == {"a": "dir", "a/b": b"x"}


def test_a_damaged_layer_is_one_sentence() -> None:
    whole = layer(("a", FILE, b"x" * 5000))
    for data in (whole[:600], b"garbage" * 100, b""):
        with pytest.raises(UserError, match="damaged"):
            flat(data)


NAMES = st.sampled_from(["a", "b", "a/x", "a/y", "a/x/z", "b/x"])
CHANGES = st.lists(st.tuples(NAMES, st.sampled_from(["file", "folder", "remove", "opaque"])), max_size=5)


@settings(deadline=None)
@given(st.lists(CHANGES, min_size=1, max_size=4))
def test_the_result_is_what_applying_the_layers_gives(tmp_path_factory, changes) -> None:
    root = tmp_path_factory.mktemp("root")
    layers = []
    for number, change in enumerate(changes):
        entries: dict[str, Entry] = {}
        for name, what in change:
            _apply(root, name, what, f"{number}".encode(), entries)
        layers.append(layer(*entries.values()))
    expected = {
        str(path.relative_to(root)): "dir" if path.is_dir() else path.read_bytes() for path in sorted(root.rglob("*"))
    }
    assert flat(*layers) == expected


def _apply(root: Path, name: str, what: str, content: bytes, entries: dict[str, Entry]) -> None:
    """Change a folder, and note the entries of a layer that say so; what can't be is left out."""
    path = root / name
    touched = any(known == name or known.startswith(f"{name}/") or name.startswith(f"{known}/") for known in entries)
    if touched or not path.parent.is_dir():
        return
    if what == "file":
        shutil.rmtree(path) if path.is_dir() else None
        path.write_bytes(content)
        entries[name] = (name, FILE, content)
    elif what == "folder":
        path.unlink() if path.is_file() else None
        path.mkdir(exist_ok=True)
        entries[name] = (name, FOLDER, b"")
    elif what == "remove" and path.exists():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
        folder, _, last = name.rpartition("/")
        entries[name] = (f"{folder}/.wh.{last}".lstrip("/"), FILE, b"")
    elif what == "opaque" and path.is_dir():
        for child in path.iterdir():
            shutil.rmtree(child) if child.is_dir() else child.unlink()
        entries[name] = (f"{name}/{OPAQUE}", FILE, b"")
