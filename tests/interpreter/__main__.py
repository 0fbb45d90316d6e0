"""Run one file of this folder, the check of one kind of Triton kernels, in Triton's interpreter.

`python tests/interpreter max` prints one line for each difference, then how many comparisons there were.  The
interpreter has to be chosen before Triton is imported, so the tests start this as a program of its own.  With `cuda` as
a second argument the same kernels run on a GPU, without the interpreter.
"""

import os
import sys
from importlib import import_module
from pathlib import Path

os.environ["TRITON_INTERPRET"] = str(int(sys.argv[2:] != ["cuda"]))
sys.path.append(str(Path(__file__).parents[1]))  # for the table of cases

import harness
import torch
from torch.overrides import TorchFunctionMode
from triton import language
from triton.runtime import interpreter

file, device = (*sys.argv[1:], "cpu")[:2]


class OnDevice(TorchFunctionMode):
    """Tensors made of arrays lie on the device, and so are read from there to make arrays of them."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if function in (torch.Tensor.numpy, torch.Tensor.__array__):
            args = (args[0].cpu(), *args[1:])
        result = function(*args, **(kwargs or {}))
        return result.to(device) if function is torch.from_numpy else result


prepare = interpreter._patch_lang


def prepare_once(function):
    """The interpreter prepares Triton's language at every call of a helper, too: a third of its time, for nothing."""
    seen = [lang for lang in function.__globals__.values() if lang in (language, language.core)]
    if any(language.core.is_builtin(lang.load) for lang in seen):
        return prepare(function)
    return interpreter._LangPatchScope()


interpreter._patch_lang = prepare_once
harness.least = 1e-4 if device == "cuda" else 0.0
torch.set_num_threads(1)
with torch.device(device), OnDevice():
    import_module(file).main()
print(*harness.failures, f"{harness.count} comparisons, {len(harness.failures)} differences", sep="\n")
sys.exit(bool(harness.failures))
