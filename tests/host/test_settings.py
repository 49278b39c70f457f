from pathlib import Path

import pytest

from guesthouse.errors import UserError
from guesthouse.host.settings import read_setting, remember_setting


def test_a_setting_is_remembered_and_the_rest_is_kept(tmp_path: Path) -> None:
    assert read_setting("mirror", tmp_path) is None
    remember_setting("mirror", 'http://x/"quoted"', tmp_path)
    (tmp_path / "config.toml").write_text((tmp_path / "config.toml").read_text() + '# mine\n[table]\nmirror_2 = "y"\n')
    remember_setting("mirror", "http://new", tmp_path)
    remember_setting("keyring", "/k", tmp_path)
    assert read_setting("mirror", tmp_path) == "http://new"
    assert read_setting("keyring", tmp_path) == "/k"
    text = (tmp_path / "config.toml").read_text()
    assert text.endswith('# mine\n[table]\nmirror_2 = "y"\n')
    assert text.count("mirror =") == 1


def test_a_file_that_is_no_toml_is_named(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("mirror = \n")
    with pytest.raises(UserError, match=r"config\.toml"):
        read_setting("mirror", tmp_path)
    with pytest.raises(UserError, match=r"config\.toml"):
        remember_setting("mirror", "x", tmp_path)
    assert (tmp_path / "config.toml").read_text() == "mirror = \n"
