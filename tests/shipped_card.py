"""A card of a model that ships, as complete as a real one."""

from anchorstream.shipped import SCHEMA, fingerprint

POINT = {
    "at": "the model's threshold",
    "threshold": 0.5,
    "events": 20,
    "misses": 1,
    "miss_rate": 0.05,
    "miss_rate_interval": [0.0, 0.2],
    "miss_rate_speaker_interval": [0.0, 0.1],
    "false_alarms": 2,
    "hours": 1.0,
    "false_alarms_per_hour": 2.0,
    "false_alarms_per_hour_interval": [0.2, 7.2],
    "latency_p50_s": 0.05,
    "latency_p90_s": 0.11,
}


def card_of(name, labels, files):
    levels = [
        {
            "snr_db": snr_db,
            "labels": {
                label: {"speakers": 5, "recordings": 20, "frame_auc": None, "points": [POINT]}
                for label in labels
            },
        }
        for snr_db in (20.0, 10.0, 0.0)
    ]
    return {
        "schema": SCHEMA,
        "name": name,
        "summary": f"Hears {name}.",
        "task": "keyword",
        "labels": list(labels),
        "date": "2026-01-01",
        "files": {path.name: fingerprint(path) for path in files},
        "decoder": {"threshold": dict.fromkeys(labels, 0.5)},
        "test": {"hours": 1.0, "levels": levels},
        "cost": {
            "parameters": 1000,
            "macs_per_second": 1_000_000,
            "state_size": 10,
            "receptive_field_s": None,
            "hop_ms": 30.0,
            "cpu_ms_per_second_by_hop": 2.0,
            "cpu_ms_per_second_by_block": 1.0,
            "machine": "a machine",
        },
        "training": {
            "command": "anchorstream train recipe.yaml seed=1",
            "seed": 1,
            "tried": [{"seed": 1, "dev_miss_rate": 0.07}],
            "model": "gru",
            "model_options": {},
            "loss": "sal",
            "loss_options": {"peak": 4.0},
            "epochs": 3,
            "best_epoch": 1,
            "chosen_rate": 1.0,
            "anchor": "the keyword's end",
            "versions": {"anchorstream": "0", "torch": "0"},
        },
        "data": {
            "tallies": {"train": {"speech": 3, "noise": 1, "hours": 0.1, "speakers": 2}},
            "sources": [
                {"source": "a studio", "licence": "CC BY 4.0", "recordings": 4, "authors": ["Ada", "Bo"]}
            ],
        },
        "limits": ["It is a test."],
        "licence": "Apache-2.0",
    }
