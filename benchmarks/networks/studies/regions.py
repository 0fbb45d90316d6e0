"""What is in a box, and what is its mask?  A box pooled in five ways, between a network's maps and what reads them."""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.networks.study import study
from poolref.teaching import data, training
from poolref.torch import roi_align, roi_pool

STRIDE, GRID = 4, 4
BOXES = ("whole map", "RoIPool", "RoIAlign, rounded box", "RoIAlign, not aligned", "RoIAlign")


@study(
    question="Four digits lie on a sheet, each in its box. "
    "Does the pooling of a box decide on the digit's name and mask?",
    seeds=range(5),
    cases=[{"boxes": name} for name in BOXES],
    measures={
        "accuracy": "share of held-out digits that are named right, each in ten drawn boxes",
        "overlap": "mean overlap (intersection over union) of the mask that is given and the true one",
        "parameters": "numbers learned",
    },
)
def regions(seed, boxes):
    network = InBoxes(boxes, seed)
    images, labels = data.digits("training")
    training.train(network, lambda rng: data.boxed_digits(images, labels, rng), epochs=25, seed=seed, loss=network.loss)
    images, labels = (np.tile(part, (10,) + (1,) * (part.ndim - 1)) for part in data.digits("held out"))
    sheets, targets = data.boxed_digits(images, labels, 1000 + seed)
    return network.measures(sheets, torch.tensor(targets)) | {"parameters": training.parameters(network)}


class InBoxes(nn.Module):
    """The maps of a small network, (N, 1, H, W) -> (N, 16, H/4, W/4), and two linear layers on what a box holds."""

    def __init__(self, boxes: str, seed: int):
        super().__init__()
        self.boxes = boxes
        with training.seeded(seed):
            self.maps = nn.Sequential(
                nn.Conv2d(1, 8, 3, padding=1),
                nn.ReLU(),
                nn.MaxPool2d(2),
                nn.Conv2d(8, 16, 3, padding=1),
                nn.ReLU(),
                nn.MaxPool2d(2),
            )
            self.name = nn.Linear(16 * GRID**2, 10)
            self.mask = nn.Linear(16 * GRID**2, 64)

    def forward(self, x: Tensor) -> Tensor:
        return self.maps(x)

    def read(self, maps: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor]:
        """Return the scores and the mask of every box: (N, 16, h, w) and (N, 4, 4) -> (4 N, 10) and (4 N, 64)."""
        held = self.pooled(maps, list(boxes.float())).flatten(1)
        return self.name(held), self.mask(held)

    def pooled(self, maps: Tensor, boxes: list[Tensor]) -> Tensor:
        match self.boxes:
            case "whole map":
                return F.adaptive_max_pool2d(maps, GRID).repeat_interleave(boxes[0].shape[0], 0)
            case "RoIPool":  # whose far corner is the box's last pixel
                last = torch.tensor([0, 0, 1, 1])
                return roi_pool(maps, [box - last for box in boxes], GRID, 1 / STRIDE)
            case "RoIAlign, rounded box":
                return roi_align(maps, [(box / STRIDE).round() for box in boxes], GRID)
            case _:
                aligned = self.boxes == "RoIAlign"
                return roi_align(maps, boxes, GRID, 1 / STRIDE, aligned=aligned)

    def loss(self, maps: Tensor, targets: Tensor) -> Tensor:
        """Cross-entropy of the names plus that of the masks' cells; targets as `data.boxed_digits` gives them."""
        scores, masks = self.read(maps, targets[..., :4])
        targets = targets.flatten(0, 1)
        named = F.cross_entropy(scores, targets[:, 4].long())
        return named + F.binary_cross_entropy_with_logits(masks, targets[:, 5:].float())

    def measures(self, sheets: np.ndarray, targets: Tensor) -> dict[str, float]:
        maps = torch.from_numpy(training.outputs(self, sheets))
        with torch.no_grad():
            scores, masks = self.read(maps, targets[..., :4])
        targets = targets.flatten(0, 1)
        given, true = masks > 0, targets[:, 5:] > 0
        shared = (given & true).sum(1) / (given | true).sum(1)
        return {
            "accuracy": float((scores.argmax(1) == targets[:, 4]).double().mean()),
            "overlap": float(shared.double().mean()),
        }
