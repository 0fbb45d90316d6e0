"""How an implementation is run, whoever wrote it.

Each function here prepares everything that is not to be measured, and returns a function without arguments that does
the work once and returns its results as a tuple: the output, the gradient, or both.
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature

import numpy as np
import torch

from benchmarks.work import Row
from poolref.regions import Running

Run = Callable[[], tuple]


def numpy_run(forward: Callable, backward: Callable, row: Row, x: np.ndarray, g: np.ndarray) -> Run:
    """Run a NumPy forward and its backward, which takes the indices of the forward if that can give them.

    A backward may return the gradients of parameters too.  They are not compared: peers differentiate the input alone.
    """

    # A scan finds the cells again in less time than it takes to write an index for each.
    gives_indices = "return_indices" in signature(forward).parameters and not isinstance(row.regions, Running)

    def gradient(*indices: np.ndarray) -> np.ndarray:
        gradients = backward(g, x, row.regions, *indices)
        return gradients[0] if isinstance(gradients, tuple) else gradients

    def training() -> tuple:
        y, indices = forward(x, row.regions, return_indices=True)
        return y, gradient(indices)

    def plain_training() -> tuple:
        return forward(x, row.regions), gradient()

    return {
        "forward": lambda: (forward(x, row.regions),),
        "backward": lambda: (gradient(),),
        "training": training if gives_indices else plain_training,
    }[row.direction]


def torch_run(pool: Callable, row: Row, x: np.ndarray, g: np.ndarray) -> Run:
    """Run a function or module of torch tensors, with autograd for its gradient."""
    memory_format = torch.channels_last if row.layout == "channels_last" else torch.contiguous_format
    x, g = (torch.from_numpy(a).contiguous(memory_format=memory_format) if a.ndim == 4 else torch.from_numpy(a)
            for a in (x, g))  # fmt: skip
    if row.direction == "forward":
        return lambda: (pool(x),)
    x = x.detach().requires_grad_()
    if row.direction == "backward":
        y = pool(x)
        return lambda: torch.autograd.grad(y, x, g, retain_graph=True)

    def training() -> tuple:
        y = pool(x)
        return y.detach(), *torch.autograd.grad(y, x, g)

    return training


def onnxruntime_run(operator: str, attributes: dict, row: Row, x: np.ndarray, g: np.ndarray) -> Run:
    """Run one ONNX operator in ONNX Runtime, which has no gradients."""
    import onnxruntime
    from onnx import TensorProto, helper

    if row.direction != "forward":
        raise ValueError(f'direction must be "forward" for the peer onnxruntime, got {row.direction!r}')
    graph = helper.make_graph(
        [helper.make_node(operator, ["x"], ["y"], **attributes)],
        operator,
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, x.shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, g.shape)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return lambda: tuple(session.run(None, {"x": x}))
