"""Layers on top of each other: how far does one output cell see, where, and how many cells does it really see?"""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING, Any

from poolref.regions import Window, receptive_field
from poolref.teaching import data
from poolref.teaching.live import pictures, still
from poolref.teaching.live.figure import LiveFigure, one_of, packed, whole_number

if TYPE_CHECKING:
    from poolref.teaching.live.widget import LiveWidget

KINDS = ("conv", "pool")
PARTS = {"kernel": (1, 15), "stride": (1, 8), "padding": (0, 7), "dilation": (1, 8)}  # and what each may be
SIZES = (16, 20, 28, 32, 64, 128, 224, 256, 512)
MOST = 64  # layers


def _conv(kernel: int, stride: int = 1, padding: int = 0) -> list[Any]:
    return ["conv", kernel, stride, padding, 1]


def _pool(kernel: int, stride: int, padding: int = 0) -> list[Any]:
    return ["pool", kernel, stride, padding, 1]


def _vgg16() -> list[list[Any]]:
    return [layer for convolutions in (2, 2, 3, 3, 3) for layer in (*[_conv(3, 1, 1)] * convolutions, _pool(2, 2))]


STEM = [_conv(7, 2, 3), _pool(3, 2, 1)]


def _resnet18() -> list[list[Any]]:
    strides = [s for stage in range(4) for s in (1 if stage == 0 else 2, 1, 1, 1)]
    return STEM + [_conv(3, s, 1) for s in strides]


def _resnet50() -> list[list[Any]]:
    strides = [s for stage, blocks in enumerate((3, 4, 6, 3)) for s in (1 if stage == 0 else 2, *[1] * (blocks - 1))]
    return STEM + [layer for s in strides for layer in (_conv(1, s), _conv(3, 1, 1), _conv(1))]


# Each with the size of its input.  Convolutions that only a shortcut passes are left out: they see no more.
PRESETS = {
    "two poolings with a gap": (16, [_pool(2, 3), _pool(2, 1)]),
    "the course's network": (20, [_conv(3, 1, 1), _pool(2, 2), _conv(3, 1, 1), _pool(2, 2)]),
    "LeNet-5": (32, [_conv(5), _pool(2, 2), _conv(5), _pool(2, 2), _conv(5)]),
    "AlexNet": (
        224,
        [_conv(11, 4, 2), _pool(3, 2), _conv(5, 1, 2), _pool(3, 2), *[_conv(3, 1, 1)] * 3, _pool(3, 2)],
    ),
    "VGG-16": (224, _vgg16()),
    "ResNet stem": (224, STEM),
    "ResNet-18": (224, _resnet18()),
    "ResNet-50": (224, _resnet50()),
}


def stack(
    layers: str | list[list[Any]] = "the course's network",
    size: int | None = None,
    target: int = 0,
    *,
    predict: dict[str, Any] | None = None,
    label: str | None = None,
    **traits: Any,
) -> LiveWidget:
    """Return the live figure of a stack of convolutions and poolings, and of the receptive field that grows in it.

    Every argument is a trait that can be read and set later; `fields` holds, for each layer, the cells left of `size`,
    and `size`, `jump` and `start` of the receptive field of one of its cells, and how many cells that one really sees.

    Args:
        layers: "two poolings with a gap", "the course's network", "LeNet-5", "AlexNet", "VGG-16", "ResNet stem",
            "ResNet-18", "ResNet-50", or at most 64 layers, each [kind, kernel, stride, padding, dilation] with the kind
            "conv" or "pool".  The first convolution of AlexNet is padded by 2, as in torchvision; the strides of
            ResNet-50 are in the first 1x1 convolution of a stage, as in the paper.
        size: cells of the input along an axis: 16, 20, 28, 32, 64, 128, 224, 256 or 512.  Default: what the named stack
            takes, or 64.
        target: a receptive field that the reader is asked to reach, 0 for none.  Default 0.
        predict: a question that the reader answers before the field is shown; see `LiveFigure`.
        label: the figure's name for its reader.  Default "A stack of layers and its receptive field".
        traits: `selected`, the [row, column] of the chosen cell of the last layer, by default the middle one.

    Raises:
        TypeError: a trait has another name.
        ValueError: a value is not accepted, or a layer does not fit.
        ImportError: anywidget is not installed.

    Source: araujo2019 for the recursion; lecun1998, krizhevsky2012 and he2016 for networks.
    """
    from poolref.teaching.live.widget import widget

    if size is None:
        size = PRESETS[layers][0] if isinstance(layers, str) and layers in PRESETS else 64
    return widget(Stack(label=label, predict=predict, layers=layers, size=size, target=target, **traits))


class Stack(LiveFigure):
    """The stack in one state.  See `poolref.teaching.live.stack` for its parts."""

    name = "stack"
    defaults = {"layers": "the course's network", "size": 20, "target": 0, "selected": None}  # noqa: RUF012

    @classmethod
    def check(cls, state, changed=()):
        state = dict(state)
        if isinstance(state["layers"], str):
            state["layers"] = PRESETS[one_of("layers", state["layers"], PRESETS)][1]
        state["layers"] = [_layer(layer) for layer in state["layers"]]
        if not 1 <= len(state["layers"]) <= MOST:
            raise ValueError(f"layers must be 1 to {MOST} layers, got {len(state['layers'])}")
        one_of("size", state["size"], SIZES)
        state["target"] = whole_number("target", state["target"], 0, 1000)
        last = sizes(state)[-1] - 1
        selected = state["selected"]
        if selected is None or ("selected" not in changed and max(selected) > last):
            selected = [last // 2] * 2
        if len(selected) != 2:
            raise ValueError(f"selected must be [row, column], each from 0 to {last}, got {state['selected']!r}")
        state["selected"] = [whole_number("selected", v, 0, last) for v in selected]
        return state

    @classmethod
    def data(cls):
        return {
            "picture": packed(data.photograph(pictures.SIZE)),
            "presets": PRESETS,
            "sizes": list(SIZES),
            "parts": PARTS,
            "most": MOST,
        }

    @classmethod
    def results(cls, state):
        return {"fields": fields(state)}

    def describe(self):
        *_, last = fields(self.state)
        side = self.state["size"]
        return (
            f"A stack of {len(self.state['layers'])} layers on an input of {side} by {side} cells. The last layer has "
            f"{last['left']} by {last['left']} cells; each has a receptive field of {last['size']} places along an "
            f"axis, padding included, and reads {last['seen']} of them."
        )

    def picture(self):
        wide, bar, top = 420, 16, 34
        found = fields(self.state)
        most = max(max(field["size"] for field in found), self.state["target"])
        low = min(field["start"] for field in found)
        unit = wide / max(most, 1)
        parts = [still.text(110 + wide / 2, 22, "What one cell of each layer sees, in cells of the input")]
        for row, (layer, field) in enumerate(zip(reversed(self.state["layers"]), reversed(found), strict=True)):
            y = top + row * (bar + 4)
            words = f"{layer[0]} {layer[1]}/{layer[2]}"
            parts.append(still.text(10, y + 12, words, text_anchor="start"))
            x = 110 + (field["start"] - low) * unit
            box = f'x="{x:.1f}" y="{y}" width="{field["size"] * unit:.1f}" height="{bar}" rx="3"'
            parts.append(f'<rect {box} fill="{still.paint("value")}" stroke="{still.paint("region")}"/>')
            parts.append(still.text(110 + wide + 20, y + 12, str(field["size"]), text_anchor="start"))
        return still.svg(110 + wide + 70, top + len(found) * (bar + 4) + 16, parts)


def _layer(value: Any) -> list[Any]:
    if not isinstance(value, (list, tuple)) or len(value) != 5:
        raise ValueError(f"layers must be lists of a kind, kernel, stride, padding and dilation, got {value!r}")
    kind, *numbers = value
    one_of("layers", kind, KINDS)
    checked = [whole_number(f"{name} in layers", v, *PARTS[name]) for name, v in zip(PARTS, numbers, strict=True)]
    return [kind, *checked]


def windows(state: dict[str, Any]) -> list[Window]:
    """The windows of the layers, along one axis."""
    return [Window(*numbers, ndim=1) for _, *numbers in state["layers"]]


def sizes(state: dict[str, Any]) -> list[int]:
    """How many cells are left along an axis after each layer."""
    return list(accumulate(windows(state), lambda n, window: window.output_shape((n,))[0], initial=state["size"]))[1:]


def fields(state: dict[str, Any]) -> list[dict[str, int]]:
    """For each layer the cells left, the receptive field of one of its cells, and how many cells that one sees."""
    stack, found, seen, jump = windows(state), [], {0}, 1
    for n, (window, left) in enumerate(zip(stack, sizes(state), strict=True), 1):
        (k,), (d,) = window.kernel_size, window.dilation
        seen = {offset + t * d * jump for offset in seen for t in range(k)}
        field = receptive_field(stack[:n])
        jump = field.jump[0]
        found.append({"left": left, "size": field.size[0], "jump": jump, "start": field.start[0], "seen": len(seen)})
    return found
