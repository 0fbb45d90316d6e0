"""What torch asks of every operator: that its schema is true, and that its fake kernel and its gradients agree."""

import harness
import torch
from column import BOXES, POOLS
from torch.utils._python_dispatch import TorchDispatchMode

import poolref.torch._engine.dispatch as cuda
from poolref.regions import Window
from poolref.torch.functional import expected_pool2d, median_pool2d, roi_pool
from poolref.torch.max import swept_max

WITHOUT_KERNELS = (
    lambda x: roi_pool(x, BOXES, 2),
    lambda x: expected_pool2d(x.abs(), 2),
    lambda x: median_pool2d(x, 2),
    lambda x: swept_max(x, Window(2)),
)


class Recorder(TorchDispatchMode):
    """Notes what each operator of ours was last called with."""

    def __init__(self):
        super().__init__()
        self.calls = {}

    def __torch_dispatch__(self, op, types, args=(), kwargs=None):
        if op.namespace == "poolref":
            self.calls[op] = [a.detach() if isinstance(a, torch.Tensor) else a for a in args]
        return op(*args, **(kwargs or {}))


def main():
    """opcheck of every operator, forward and backward, with kernels wherever there are any."""
    recorder = Recorder()
    for on_gpu in (False, True):
        cuda.on_gpu = lambda x, answer=on_gpu: answer
        for pool in (*POOLS.values(), *WITHOUT_KERNELS):
            x = torch.randn((1, 1, 3, 4), requires_grad=True)
            with recorder:
                pool(x).sum().backward()
    for op, arguments in recorder.calls.items():
        harness.count += len(torch.library.opcheck(op, arguments))
    known = {name for name in torch._C._dispatch_get_all_op_names() if name.startswith("poolref::")}
    checked = {op._schema.name for op in recorder.calls}
    assert checked == known, f"operators that no check calls: {known - checked}"
