"""Files of times and labels, row by row: CSV, JSON Lines, RTTM, Audacity's labels, and what `detect --json` prints."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from anchorstream.score.errors import ScoreInputError

#: Endings of the files that are read as rows.
ENDINGS = (".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".rttm", ".txt")

_RTTM_FIELDS = 8  # up to the name; confidence and look-ahead are often left out
# Thirty years: more is no time in a recording.
_MOST_S = 1e9
_RTTM_NOTHING = "<NA>"


@dataclass(frozen=True, slots=True)
class Row:
    """One row.

    Attributes:
        where: the file and the line, as messages begin.
        cells: by their names; text where the file is text, and only those that are filled in.
    """

    where: str
    cells: Mapping[str, object]

    def fail(self, message: str) -> ScoreInputError:
        """The error that says so of this row."""
        return ScoreInputError(f"{self.where}: {message}")

    def text(self, name: str) -> str:
        """A cell that must be there.

        Raises:
            ScoreInputError: if it is missing or no text.
        """
        value = self.cells.get(name)
        if not isinstance(value, str) or not value.strip():
            raise self.fail(f"expected a {name}, got {'nothing' if value is None else repr(value)}")
        return value.strip()

    def seconds(self, name: str) -> float:
        """A time that must be there: at least 0, and within thirty years.

        Raises:
            ScoreInputError: if it is missing, no number, NaN, negative or too large.
        """
        value = self.number(name)
        if value is None:
            raise self.fail(f"expected a {name}, got nothing")
        if value < 0:
            raise self.fail(f"{name} must be at least 0 seconds, got {value:g}")
        if value > _MOST_S:
            raise self.fail(
                f"{name} must be a number of seconds, got {value:g}, which is more than thirty years"
            )
        return value

    def number(self, name: str) -> float | None:
        """A finite number, or ``None`` where there is none.

        Raises:
            ScoreInputError: if it is no number, NaN or infinite.
        """
        value = self.cells.get(name)
        if value is None:
            return None
        try:
            if isinstance(value, bool) or not isinstance(value, int | float | str) or "_" in str(value):
                raise ValueError
            number = float(value)
        except (ValueError, OverflowError):
            raise self.fail(f"{name} must be a number, got {value!r}") from None
        if not math.isfinite(number):
            raise self.fail(f"{name} must be finite, got {value}")
        return number


def read_rows(path: Path, columns: Collection[str]) -> list[Row]:
    """All rows of a file, or of every file of a folder with one ``.txt`` or ``.rttm`` a recording.

    Args:
        path: its ending says what it is.
        columns: the names that a CSV file or a line of JSON may use; RTTM and Audacity's labels give ``file``,
            ``start_s``, ``end_s``, ``label``, ``speaker`` and ``score``.

    Raises:
        ScoreInputError: if it cannot be read.
    """
    if path.is_dir():
        files = files_of_rows(path)
        if not files:
            raise ScoreInputError(
                f"{path}: the folder holds no .txt (Audacity's labels) and no .rttm, one file a recording"
            )
        return [row for file in files for row in read_rows(file, columns)]
    if not path.exists():
        raise ScoreInputError(f"{path}: there is no such file or folder")
    ending = path.suffix.lower()
    if ending not in ENDINGS:
        raise ScoreInputError(f"{path}: expected a file that ends in one of {' '.join(ENDINGS)}")
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            text = file.read()
    except UnicodeDecodeError as error:
        raise ScoreInputError(f"{path}: expected text in UTF-8, got a byte that is not: {error}") from error
    except OSError as error:
        raise ScoreInputError(f"{path}: cannot be read: {error.strerror or error}") from error
    if ending in (".rttm", ".txt"):
        return list(_rttm(path, text) if ending == ".rttm" else _audacity(path, text))
    named = {".json": _detect_json, ".jsonl": _json_lines, ".ndjson": _json_lines}.get(ending, _csv)
    return list(named(path, text, columns))


def files_of_rows(folder: Path) -> list[Path]:
    """The files of a folder with one a recording."""
    return sorted(file for file in folder.iterdir() if file.suffix.lower() in (".txt", ".rttm"))


def _csv(path: Path, text: str, columns: Collection[str]) -> Iterator[Row]:
    header = text.partition("\n")[0]
    delimiter = max(",;\t", key=header.count)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        names = [name.strip() for name in next(rows, [])]
        _check_names(f"{path}, line 1", names, columns)
        if len(set(names)) < len(names):
            raise ScoreInputError(f"{path}, line 1: a column stands twice in {names}")
        for cells in rows:
            if not any(cell.strip() for cell in cells):
                continue
            where = f"{path}, line {rows.line_num}"
            if len(cells) != len(names):
                raise ScoreInputError(
                    f"{where}: has {len(cells)} cells, the header names {len(names)} columns: {', '.join(names)}"
                )
            filled = {name: cell.strip() for name, cell in zip(names, cells, strict=True) if cell.strip()}
            yield Row(where, filled)
    except csv.Error as error:
        raise ScoreInputError(f"{path}, line {rows.line_num}: no CSV: {error}") from error


def _json_lines(path: Path, text: str, columns: Collection[str]) -> Iterator[Row]:
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        values = _json(where, line)
        if not isinstance(values, dict):
            raise ScoreInputError(f"{where}: expected one JSON object a line, got {line[:40]!r}")
        _check_names(where, list(values), columns)
        yield Row(where, {name: value for name, value in values.items() if value is not None})


def _detect_json(path: Path, text: str, columns: Collection[str]) -> Iterator[Row]:
    document = _json(str(path), text)
    files = document.get("files") if isinstance(document, dict) else None
    if "time_s" not in columns or not isinstance(files, list):
        raise ScoreInputError(
            f"{path}: a .json file must be what `anchorstream detect --json` prints, as scores; "
            "a file with one object a line ends in .jsonl"
        )
    for number, entry in enumerate(files, start=1):
        where = f"{path}, file {number}"
        found = entry.get("detections") if isinstance(entry, dict) else None
        if not isinstance(found, list) or not isinstance(entry.get("path"), str):
            raise ScoreInputError(f"{where}: expected path, duration_s and detections, got {str(entry)[:60]}")
        if "error" in entry:
            # What is left of a damaged recording is no recording of that length.
            raise ScoreInputError(
                f"{where}: {entry['error']}; mend that file, or leave it out here and there"
            )
        yield Row(where, {"file": entry["path"], "duration_s": entry.get("duration_s")})
        for count, detection in enumerate(found, start=1):
            row = f"{where} ({entry['path']}), detection {count}"
            if not isinstance(detection, dict):
                raise ScoreInputError(f"{row}: expected an object with time_s and label, got {detection!r}")
            _check_names(row, list(detection), columns)
            yield Row(row, {"file": entry["path"], **detection})


def _rttm(path: Path, text: str) -> Iterator[Row]:
    for number, line in enumerate(text.split("\n"), start=1):
        fields = line.split()
        if not fields or fields[0].startswith(";;") or fields[0] == "SPKR-INFO":
            continue
        row = Row(f"{path}, line {number}", {})
        if fields[0] not in ("SPEAKER", "LEXEME"):
            raise row.fail(f"expected a line of type SPEAKER or LEXEME, got {fields[0]!r}")
        if len(fields) < _RTTM_FIELDS:
            raise row.fail(
                f"expected at least {_RTTM_FIELDS} fields (type, file, channel, start, duration, word, subtype, "
                f"name), got {len(fields)}"
            )
        _, file, _, start, length, word, _, name = fields[:_RTTM_FIELDS]
        times = Row(row.where, {"start_s": start, "duration": length})
        start_s = times.seconds("start_s")
        cells: dict[str, object] = {
            "file": file,
            "start_s": start_s,
            "end_s": round(start_s + times.seconds("duration"), 9),
        }
        if word == name == _RTTM_NOTHING:
            raise row.fail(f"expected a word or a name, got {_RTTM_NOTHING} for both")
        if word == _RTTM_NOTHING:
            cells["label"] = name
        else:
            cells["label"] = word
            if name != _RTTM_NOTHING:
                cells["speaker"] = name
        if len(fields) > _RTTM_FIELDS and fields[_RTTM_FIELDS] != _RTTM_NOTHING:
            cells["score"] = fields[_RTTM_FIELDS]
        yield Row(row.where, cells)


def _audacity(path: Path, text: str) -> Iterator[Row]:
    for number, line in enumerate(text.split("\n"), start=1):
        # A line with a backslash holds the frequencies of the label above it.
        if not line.strip() or line.startswith("\\"):
            continue
        row = Row(f"{path}, line {number}", {})
        fields = line.split("\t")
        if len(fields) != 3:
            raise row.fail(
                f"expected start, end and label with tabs between them (Audacity), got {line[:60]!r}"
            )
        yield Row(
            row.where, {"file": path.stem, "start_s": fields[0], "end_s": fields[1], "label": fields[2]}
        )


def _json(where: str, text: str) -> object:
    def once(pairs: list[tuple[str, object]]) -> dict[str, object]:
        values = dict(pairs)
        if len(values) < len(pairs):
            raise ScoreInputError(f"{where}: a name stands twice in {[name for name, _ in pairs]}")
        return values

    try:
        value: object = json.loads(text, object_pairs_hook=once)
    except ScoreInputError:
        raise
    except (ValueError, RecursionError) as error:
        raise ScoreInputError(f"{where}: no JSON: {error}") from error
    return value


def _check_names(where: str, names: list[str], columns: Collection[str]) -> None:
    unknown = [name for name in names if name not in columns]
    if unknown or not names:
        raise ScoreInputError(f"{where}: expected names among {', '.join(columns)}, got {unknown or 'none'}")
