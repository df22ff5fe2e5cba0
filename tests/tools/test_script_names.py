"""The folders of benchmarks/ are no packages: in tests they share sys.path, where a name can mean one file alone."""

from collections import Counter
from pathlib import Path

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def test_no_two_modules_of_the_benchmarks_have_one_name() -> None:
    names = Counter(path.stem for path in BENCHMARKS.rglob("*.py"))
    assert len(names) > 10
    assert [name for name, files in names.items() if files > 1] == []
