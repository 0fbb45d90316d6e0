"""Run one file of this folder, the check of one kind of Triton kernels, in Triton's interpreter.

`python tests/interpreter max` prints one line for each difference, then how many comparisons there were.  The
interpreter has to be chosen before Triton is imported, so the tests start this as a program of its own.
"""

import os
import sys
from importlib import import_module
from pathlib import Path

os.environ["TRITON_INTERPRET"] = "1"
sys.path.append(str(Path(__file__).parents[1]))  # for the table of cases

import harness
import torch

torch.set_num_threads(1)
import_module(sys.argv[1]).main()
print(*harness.failures, f"{harness.count} comparisons, {len(harness.failures)} differences", sep="\n")
sys.exit(bool(harness.failures))
