"""What every operator that fits costs the small network in training: time and memory, before anything is learned."""

import time

import torch
from torch import nn

from benchmarks.networks.studies.every_operator import HEADS, WINDOWS, build
from benchmarks.networks.study import study
from poolref.teaching import data


@study(
    question="What does every operator that fits cost the small network in training?",
    seeds=range(5),
    cases=[
        *({"place": "window", "operator": name} for name in WINDOWS),
        *({"place": "head", "operator": name} for name in HEADS),
    ],
    measures={
        "time_ratio": "processor time of a training step over that of the network with max: least of 12, by turns",
        "kept_bytes": "bytes that a forward pass of 50 sheets keeps for the backward pass, the weights not counted",
    },
)
def operator_costs(seed, place, operator):
    return {
        "time_ratio": time_ratio(build(place, operator, seed), build("window", "max", seed)),
        "kept_bytes": kept_bytes(build(place, operator, seed)),
    }


def batch():
    """50 sheets and their labels."""
    images, labels = data.digits("training")
    sheets = data.canvas(images[:50], data.positions(50, 0))
    return torch.from_numpy(sheets).float()[:, None], torch.from_numpy(labels[:50])


def time_ratio(network, other, turns=12, steps=4):
    """How many times as long a step of training takes with one network as with the other, on one thread."""
    sheets, labels = batch()

    def seconds(net):
        start = time.process_time()
        for _ in range(steps):
            net.zero_grad()
            nn.functional.cross_entropy(net(sheets), labels).backward()
        return time.process_time() - start

    pairs = [(seconds(network), seconds(other)) for _ in range(turns)]
    return min(a for a, _ in pairs) / min(b for _, b in pairs)


def kept_bytes(network):
    """Bytes of the arrays that autograd keeps between forward and backward; an array kept twice counts once."""
    sheets, labels = batch()
    weights = {p.untyped_storage().data_ptr() for p in network.parameters()}
    kept = {}

    def keep(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = nn.functional.cross_entropy(network(sheets), labels)
    assert loss.requires_grad
    return sum(storage.nbytes() for storage in kept.values())
