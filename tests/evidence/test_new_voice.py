"""Which recordings of a voice are trained on, and which are scored, is the same comparison for every count."""

import importlib.util
from pathlib import Path

from anchorstream.data.manifest import MANIFEST_NAME, Recording, read_manifest, write_manifest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "new_voice.py"


def with_voice(*args):
    spec = importlib.util.spec_from_file_location("new_voice", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.with_voice(*args)


def test_recordings_go_into_the_training_and_what_is_scored_stays(tmp_path):
    data = tmp_path / "data"
    (data / "a").mkdir(parents=True)
    recordings = [
        Recording(f"a/{speaker}-{label}-{index}.wav", split, "keyword", label, speaker=speaker)
        for speaker, split in (("anna", "test"), ("bert", "test"), ("carl", "train"))
        for label in ("on", "off")
        for index in range(4)
    ]
    for one in recordings:
        (data / one.path).touch()
    write_manifest(data / MANIFEST_NAME, recordings)
    scored = {}
    for count in (0, 1, 3):
        folder = tmp_path / f"with-{count}"
        with_voice(data, folder, "anna", count, 3)
        found = read_manifest(folder / MANIFEST_NAME)
        enrolled = [one.path for one in found if one.split == "train" and "anna" in one.path]
        assert enrolled == [
            f"a/anna-{label}-{index}.wav" for label in ("off", "on") for index in range(count)
        ]
        assert sum(one.speaker == "carl" for one in found) == 8
        scored[count] = {one.path for one in found if one.split == "test"}
    assert scored[0] == scored[1] == scored[3]
    assert {path for path in scored[0] if "anna" in path} == {"a/anna-on-3.wav", "a/anna-off-3.wav"}
