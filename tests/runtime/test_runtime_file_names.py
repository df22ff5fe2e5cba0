"""Names of files: different, and short enough."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anchorstream.runtime.file_names import FileNames, shortened


def test_what_was_given_out_gets_the_next_number_that_is_free():
    names = FileNames(100)
    given_out = [names.distinct(name) for name in ("a", "a-2", "A", "a", "b", "a-2", "a")]
    assert given_out == ["a", "a-2", "A-3", "a-4", "b", "a-2-2", "a-5"]


@given(names=st.lists(st.text("aAä語-2", min_size=1, max_size=9), max_size=40))
def test_names_differ_in_any_case_and_are_no_longer_than_may_be(names):
    out = FileNames(8)
    given_out = [out.distinct(name) for name in names]
    assert len({name.lower() for name in given_out}) == len(names)
    assert all(0 < len(name.encode()) <= 8 for name in given_out)


def test_only_the_latest_are_remembered():
    names = FileNames(100, remembered=2)
    assert [names.distinct(name) for name in ("a", "a", "b", "c", "a")] == ["a", "a-2", "b", "c", "a"]
    assert len(names._numbers) == 2


@pytest.mark.parametrize(
    ("name", "expected"), [("abcdef", "abcd"), ("語語", "語"), ("abc語", "abc"), ("abc", "abc"), ("", "")]
)
def test_a_name_is_cut_between_two_signs(name, expected):
    assert shortened(name, 4) == expected


@pytest.mark.skipif(os.name != "posix", reason="other systems have no such names")
def test_a_name_that_is_no_utf8_is_cut_as_well():
    assert shortened(os.fsdecode(b"abc\xff\xff"), 4) == os.fsdecode(b"abc\xff")
