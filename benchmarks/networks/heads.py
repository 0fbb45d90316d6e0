"""The global heads that ship with poolref: linear layers after a global pooling of the shipped network's last maps."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np

from benchmarks.networks.study import made_by
from benchmarks.networks.weights import DISTORTION
from poolref.teaching import data, training
from poolref.teaching.network import HEAD_SHAPES, HEADS, HEADS_FILE

COMMAND = "python -m benchmarks.networks heads"
SETTINGS = {"seed": 0, "epochs": 100, **DISTORTION}


def make(file: Path = HEADS_FILE, epochs: int = SETTINGS["epochs"]) -> dict:
    """Train one linear layer for each global pooling, write its weights, and return what is written beside them.

    The convolutions stay as they ship: only the 170 numbers of each head learn.
    """
    start = time.perf_counter()
    arrays, held_out = {}, {}
    for head in HEADS:
        network = training.with_head(head, seed=SETTINGS["seed"])
        draw = training.anywhere(*data.digits("training"), **DISTORTION)
        training.train(network, draw, epochs=epochs, seed=SETTINGS["seed"])
        for part, values in network.linear.state_dict().items():
            rounded = values.numpy().astype(np.float16)
            values.copy_(values.new_tensor(rounded))
            arrays[f"{head}.{part}"] = rounded
        held_out[head] = training.evaluate(network, *data.digits("held out"))
    about = {
        **made_by(COMMAND),
        "settings": SETTINGS | {"epochs": epochs},
        "seconds": round(time.perf_counter() - start, 1),
        "held_out": held_out,
    }
    np.savez(file, about=json.dumps(about), **{name: arrays[name] for name in HEAD_SHAPES})
    return about
