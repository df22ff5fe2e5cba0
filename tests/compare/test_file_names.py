"""Labels are any text; what is named after them stays in its folder, apart from each other."""

import pytest

from anchorstream.compare.comparison import page_folders
from anchorstream.compare.file_names import file_names


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("hey computer", "hey computer"),
        ("ünï-1.5", "ünï-1.5"),
        ("食べる", "食べる"),
        ("a/b\\c", "a_b_c"),
        ("..", "_"),
        (".", "_"),
        ("", "_"),
        ("../up", "_up"),
        (".hidden. ", "hidden"),
        ("x|y\n#?%\udcff", "x_y_____"),
        ("x" * 300, "x" * 60),
    ],
)
def test_a_label_becomes_a_name_that_stays_in_its_folder(label: str, name: str) -> None:
    assert file_names([label]) == {label: name}


def test_no_two_labels_have_the_same_name(tmp_path) -> None:
    labels = ["a/b", "a_b", "A_B", "a_b-2", "a:b"]
    names = file_names(labels)
    assert list(names) == labels
    assert len({name.lower() for name in names.values()}) == len(labels)
    assert names["a/b"] == "a_b"
    assert set(page_folders(tmp_path, labels).values()) == {tmp_path / name for name in names.values()}


def test_a_label_alone_needs_no_folder(tmp_path) -> None:
    assert page_folders(tmp_path, [".."]) == {"..": tmp_path}
