"""cuDNN's own pooling, which torch does not call, as a peer: maxima and means of 2-d windows, without autograd."""

from __future__ import annotations

import ctypes
from functools import cache

import torch
from torch import Tensor

from poolref.regions import Window

MODES = {"max": 0, "average": 1}  # of means, the one that counts padding
TYPES = {torch.float32: 0, torch.float16: 2, torch.bfloat16: 9}
ONE, ZERO = ctypes.byref(ctypes.c_float(1)), ctypes.byref(ctypes.c_float(0))


@cache
def library() -> ctypes.CDLL:
    """The library that comes with torch."""
    found = ctypes.CDLL("libcudnn.so.9")
    found.cudnnGetErrorString.restype = ctypes.c_char_p
    return found


def call(name: str, *arguments: object) -> None:
    """Call a function, and raise what it reports."""
    if status := getattr(library(), name)(*arguments):
        raise RuntimeError(f"{name}: {library().cudnnGetErrorString(status).decode()}")


def new(name: str) -> ctypes.c_void_p:
    """What a function that makes something makes."""
    made = ctypes.c_void_p()
    call(name, ctypes.byref(made))
    return made


@cache
def handle() -> ctypes.c_void_p:
    """cuDNN on the GPU, and on the stream that torch works on."""
    made = new("cudnnCreate")
    call("cudnnSetStream", made, ctypes.c_void_p(torch.cuda.current_stream().cuda_stream))
    return made


def window_of(window: Window, operator: str) -> ctypes.c_void_p:
    """cuDNN's name for a window."""
    made = new("cudnnCreatePoolingDescriptor")
    nan_wins = 1
    sizes = (*window.kernel_size, *window.padding, *window.stride)
    call("cudnnSetPooling2dDescriptor", made, MODES[operator], nan_wins, *sizes)
    return made


def tensor(x: Tensor) -> tuple[ctypes.c_void_p, ctypes.c_void_p]:
    """How a tensor lies in memory, and where, as cuDNN wants to know it."""
    made = new("cudnnCreateTensorDescriptor")
    call("cudnnSetTensor4dDescriptorEx", made, TYPES[x.dtype], *x.shape, *x.stride())
    return made, ctypes.c_void_p(x.data_ptr())


class Pooling:
    """Forward and backward over one window."""

    def __init__(self, window: Window, operator: str):
        self.window = window_of(window, operator)

    def forward(self, x: Tensor, like: Tensor) -> Tensor:
        """The output, laid out like `like`."""
        y = torch.empty_like(like)
        call("cudnnPoolingForward", handle(), self.window, ONE, *tensor(x), ZERO, *tensor(y))
        return y

    def backward(self, x: Tensor, y: Tensor, grad: Tensor) -> Tensor:
        """The gradient of the map."""
        x_grad = torch.empty_like(x)
        of_y = (*tensor(y), *tensor(grad))
        call("cudnnPoolingBackward", handle(), self.window, ONE, *of_y, *tensor(x), ZERO, *tensor(x_grad))
        return x_grad
