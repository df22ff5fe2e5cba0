import os
from types import SimpleNamespace

import numpy as np
import pytest

from anchorstream.train.row_file import NoRoomError, Row, RowFile, RowShape

SHAPE = RowShape(frames=5, features=3, targets=2)


def row(seed: int) -> Row:
    rng = np.random.default_rng(seed)
    return Row(
        rng.standard_normal((5, 3)).astype(np.float32), rng.integers(3, size=2), rng.integers(2, size=2) > 0
    )


def same(one: Row | None, other: Row) -> bool:
    return one is not None and all(
        a.dtype == b.dtype and np.array_equal(a, b) for a, b in zip(one, other, strict=True)
    )


@pytest.fixture
def rows(tmp_path) -> RowFile:
    made = RowFile(tmp_path / "below" / "rows.bin", SHAPE, "mine")
    made.reserve(4)
    return made


def test_a_row_comes_back_to_the_bit_and_what_was_not_written_is_not_there(rows) -> None:
    assert [rows.read(index) for index in range(6)] == [None] * 6
    rows.write(2, row(2))
    rows.write(0, row(0))
    assert same(rows.read(2), row(2))
    assert same(rows.read(0), row(0))
    assert rows.read(1) is None
    assert rows.read(3) is None


def test_the_file_grows_and_keeps_its_rows_and_never_shrinks(rows) -> None:
    rows.write(3, row(3))
    for count in (9, 1):
        rows.reserve(count)
        assert rows.path.stat().st_size == 9 * SHAPE.record.itemsize
        assert same(rows.read(3), row(3))


def test_no_part_of_a_row_is_taken_for_the_whole(rows) -> None:
    rows.write(1, row(1))
    size = SHAPE.record.itemsize
    whole = rows.path.read_bytes()
    # A power cut may keep any of the blocks; and any byte may go bad. The padding counts as well.
    for at in range(size, 2 * size):
        rows.path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        assert rows.read(1) is None
    for end in range(size, 2 * size):
        rows.path.write_bytes(whole[:end])
        assert rows.read(1) is None
    rows.path.write_bytes(whole)
    assert same(rows.read(1), row(1))


def test_a_row_of_another_fingerprint_or_index_is_not_there(rows) -> None:
    rows.write(1, row(1))
    assert RowFile(rows.path, SHAPE, "another's").read(1) is None
    size = SHAPE.record.itemsize
    whole = rows.path.read_bytes()
    rows.path.write_bytes(whole[:size] + whole[size : 2 * size] * 2)
    assert same(rows.read(1), row(1))
    assert rows.read(2) is None


def test_a_file_that_is_gone_is_no_error(rows) -> None:
    rows.path.unlink()
    rows.write(1, row(1))
    assert rows.read(1) is None
    assert not rows.path.exists()


def test_no_more_than_half_of_what_is_free_is_taken(tmp_path, monkeypatch) -> None:
    need = 100 * SHAPE.record.itemsize
    made = RowFile(tmp_path / "below" / "rows.bin", SHAPE, "mine")
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=2 * need - 1))
    with pytest.raises(NoRoomError, match=r"rows\.bin would take .* GB, more than half of the .* GB free"):
        made.reserve(100)
    assert not made.path.parent.exists()
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=2 * need))
    made.reserve(100)
    # What it has already is not asked for again.
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=0))
    made.reserve(100)


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="room is set aside on POSIX")
def test_a_disk_that_is_full_after_all_is_no_room(tmp_path, monkeypatch) -> None:
    def full(*_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.posix_fallocate", full)
    with pytest.raises(NoRoomError, match="No space left on device"):
        RowFile(tmp_path / "rows.bin", SHAPE, "mine").reserve(4)


def test_a_file_system_that_sets_no_room_aside_is_used_all_the_same(tmp_path, monkeypatch) -> None:
    def unknown(*_: int) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr("os.posix_fallocate", unknown, raising=False)
    made = RowFile(tmp_path / "rows.bin", SHAPE, "mine")
    made.reserve(4)
    assert made.path.stat().st_size == 4 * SHAPE.record.itemsize
    made.write(1, row(1))
    assert same(made.read(1), row(1))
