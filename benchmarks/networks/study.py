import platform
from datetime import date
from importlib.metadata import version

from benchmarks.report import machine


def made_by(command):
    return {
        "command": command,
        "date": date.today().isoformat(),
        "machine": machine()["name"],
        "versions": {"python": platform.python_version()}
        | {name: version(name) for name in ("numpy", "torch", "scikit-learn", "scikit-image")},
    }
