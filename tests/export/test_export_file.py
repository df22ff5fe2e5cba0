"""A file gets its name when it has been checked, and nothing else of the folder is touched."""

import pytest

from anchorstream.export.file import write_checked


def refused(path):
    raise RuntimeError("another network")


def test_a_file_of_the_users_with_a_similar_name_is_kept(tmp_path):
    path, own = tmp_path / "model.onnx", tmp_path / "model.onnx.tmp"
    own.write_bytes(b"mine")
    assert write_checked(path, b"good", lambda file: file.read_bytes()) == path
    with pytest.raises(RuntimeError, match="another network"):
        write_checked(path, b"bad", refused)
    assert (path.read_bytes(), own.read_bytes()) == (b"good", b"mine")
    assert sorted(tmp_path.iterdir()) == [path, own]


def test_what_is_checked_is_what_gets_the_name(tmp_path):
    seen = []
    path = write_checked(
        tmp_path / "new" / "model.onnx", b"good", lambda file: seen.append(file.read_bytes())
    )
    (tmp_path / "plain").write_bytes(b"")
    assert (seen, path.read_bytes()) == ([b"good"], b"good")
    # Others may read it, as they may any file of this user's.
    assert path.stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_folder_is_no_name_for_a_file(tmp_path):
    with pytest.raises(IsADirectoryError):
        write_checked(tmp_path, b"good", refused)
