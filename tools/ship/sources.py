"""Whose recordings a model was trained on, and under what terms."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from anchorstream.data.corpus import Corpus
from anchorstream.data.manifest import MANIFEST_NAME, read_manifest


def sources(data: str, corpus: Corpus) -> list[dict[str, Any]]:
    """The recordings of the train split by source and licence: how many, and who made them.

    Recordings that were left out of the corpus are left out here.
    """
    trained_on = {clip.id for clip in corpus.select(split="train")}
    groups: dict[tuple[str, str], list[str | None]] = {}
    for recording in read_manifest(Path(data) / MANIFEST_NAME):
        if recording.path in trained_on:
            key = (recording.source or "not stated", recording.licence or "not stated")
            groups.setdefault(key, []).append(recording.author)
    return [
        {"source": source, "licence": licence, "recordings": len(authors), "authors": _distinct(authors)}
        for (source, licence), authors in sorted(groups.items())
    ]


def tallies(corpus: Corpus) -> dict[str, Any]:
    """For each split the recordings with speech and without, their hours, and the speakers."""
    found = {}
    for split in ("train", "dev", "test"):
        clips = corpus.select(split=split)
        speech = [clip for clip in clips if clip.kind != "noise"]
        found[split] = {
            "speech": len(speech),
            "noise": len(clips) - len(speech),
            "hours": round(sum(clip.duration_s for clip in clips) / 3600, 2),
            "speakers": len({clip.speaker for clip in speech if clip.speaker is not None}),
        }
    return found


def _distinct(authors: Iterable[str | None]) -> list[str]:
    return sorted({author for author in authors if author is not None}, key=str.lower)
