"""The kernels without a backward to come, and in batches that vmap made."""

import column
import torch


def main():
    """The same operators as in column.py."""
    column.compare(calls)


def calls(pool, x):
    """The result alone, and the gradient of every map by itself."""
    return {
        "inference": pool(x),
        "vmap of grad": torch.func.vmap(torch.func.grad(lambda x: (pool(x) ** 2).sum()))(x),
    }
