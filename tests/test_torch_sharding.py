"""Maps that are spread over processes, and models in which only the parameters are: 2 and 4 processes equal one."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

SCRIPT = Path(__file__).with_name("sharded.py")


@pytest.mark.skipif(not torch.distributed.is_available(), reason="this build of torch has no torch.distributed")
@pytest.mark.parametrize("processes", [2, 4])
def test_spread_over_processes(processes, tmp_path):
    """Batch and channels stay spread, nothing is sent, and values and gradients are those of one process."""
    command = [sys.executable, SCRIPT]
    started = [
        subprocess.Popen(
            [*command, str(rank), str(processes), str(tmp_path / "meet")],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(processes)
    ]
    try:
        said = [process.communicate(timeout=300)[0] for process in started]
    finally:
        for process in started:
            process.kill()
    assert [process.returncode for process in started] == [0] * processes, "\n".join(said)[-6000:]
