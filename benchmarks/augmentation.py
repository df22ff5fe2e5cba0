"""What augmentation costs: seconds of audio mixed per CPU second, beside the same streams without it.

    python benchmarks/augmentation.py DATA --keyword computer     # DATA: a folder of recordings
    python benchmarks/augmentation.py synthetic                   # synthetic speech

All variants mix the same indices in turn in one process, so that a machine that changes its speed changes all of them.
"""

from __future__ import annotations

import argparse
import platform
import time
from datetime import date

from rich.console import Console
from rich.table import Table

from anchorstream.data.mix import StreamMixer
from anchorstream.train.corpus import corpus_of, training_mixer
from anchorstream.train.recipe import load_config

VARIANTS: dict[str, list[str]] = {
    "without": [],
    "speed [0.9, 1.1]": ["augment.speed=[0.9, 1.1]"],
    "every stream clipped": ["augment.clipping_probability=1"],
    "every stream mu-law": ["augment.mu_law_probability=1"],
    "SpecAugment, 2 + 2 masks": ["augment.freq_masks=2", "augment.time_masks=2"],
    "half_keyword_share 0.2": ["mix.half_keyword_share=0.2"],
    "random_start": ["mix.random_start=true"],
}
VARIANTS["all of them"] = [option for options in VARIANTS.values() for option in options]


def measure(mixers: dict[str, StreamMixer], streams: int) -> dict[str, float]:
    """CPU seconds of each variant for ``streams`` streams."""
    spent = dict.fromkeys(mixers, 0.0)
    for index in range(streams):
        for name, mixer in mixers.items():
            start = time.process_time()
            stream = mixer.stream(index)
            mixer.masks(index, len(stream.samples) // 160, 40)
            spent[name] += time.process_time() - start
    return spent


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("data", help="a folder of recordings, or synthetic")
    parser.add_argument("--keyword", default="computer")
    parser.add_argument("--streams", type=int, default=400, help="of 8 s each (default: 400)")
    args = parser.parse_args()
    base = [f"data={args.data}", f"task.keywords=[{args.keyword}]", "rooms=16"]
    config = load_config("keyword", base)
    corpus = corpus_of(config)
    mixers = {
        name: training_mixer(load_config("keyword", [*base, *options]), corpus)
        for name, options in VARIANTS.items()
    }
    spent = measure(mixers, args.streams)
    print_table(spent, args.streams * config.mix.length_s)


def print_table(spent: dict[str, float], audio_s: float) -> None:
    """Prints a row a variant."""
    table = Table(title=f"{platform.machine()}, {date.today().isoformat()}", title_justify="left")
    for name in ("variant", "audio s per CPU s", "share of that without"):
        table.add_column(name, justify="left" if name == "variant" else "right")
    for name, cpu_s in spent.items():
        table.add_row(name, f"{audio_s / cpu_s:,.0f}", f"{spent['without'] / cpu_s:.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
