"""Which recording is in which split, as a run keeps it."""

import json

import pytest

from anchorstream.data.audit import DataAudit
from anchorstream.data.corpus import Corpus
from anchorstream.train.corpus import corpus_of
from anchorstream.train.divisions import SPLITS_FILE, keep_splits, known_splits


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"a', "Unterminated string"),
        ("", "Expecting value"),
        ("\xff".encode("latin-1"), "can't decode byte"),
        ("[" * 100_000, "recursion"),
        ("[1]", r"expected an object of JSON, got \[1\]"),
        ('{"positive/1.wav": "valid"}', "positive/1.wav is in 'valid', expected one of train, dev, test"),
        ('{"positive/1.wav": ["train"]}', r"positive/1.wav is in \['train'\], expected one of"),
    ],
    ids=["cut off", "empty", "no text", "nested", "a list", "no split", "a list of splits"],
)
def test_a_damaged_file_is_named_with_what_to_do(small, tmp_path, content, message):
    file = tmp_path / SPLITS_FILE
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match=message) as refused:
        known_splits(tmp_path, small())
    assert str(refused.value).startswith(f"{file} is damaged: ")
    assert str(refused.value).endswith("bring it back from a copy, or train into another folder")
    # Also where it is that of the run that another one goes on from.
    with pytest.raises(ValueError, match="is damaged"):
        known_splits(tmp_path / "new", small(f"start_from={json.dumps(str(tmp_path))}"))


def test_what_is_kept_is_what_is_known(small, tmp_path):
    config = small()
    assert known_splits(tmp_path, config) == {}
    corpus = corpus_of(config)
    keep_splits(tmp_path, config, corpus)
    assert known_splits(tmp_path, config) == {clip.id: clip.split for clip in corpus.clips}
    # A file that is away stays known.
    keep_splits(tmp_path, config, Corpus(corpus.clips[1:], DataAudit((), ())))
    assert corpus.clips[0].id in known_splits(tmp_path, config)
