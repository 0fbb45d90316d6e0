"""Calling a reader's attempt in a process of its own, which can be stopped whatever it does.

An attempt may loop without end inside NumPy, wait for the keyboard, print without end, end Python, or leave threads
behind. A signal or a tracing function reaches none of these in C code, signals exist on no Windows, and a fork of a
kernel with threads may hang or crash (OpenMP, macOS). So the attempt is sent, with the globals and closures it uses
(cloudpickle), to a new Python that answers calls and is killed when it takes too long or the check is done. It costs
a third of a second a check, and an attempt cannot change the notebook.
"""

import json
import linecache
import os
import queue
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from poolref.teaching.attempts import worker
from poolref.teaching.extras import need

SECONDS = 3.0  # for one call
LOADING = 60.0  # for the new Python to start, and to import what the attempt needs
LONGEST = 64 << 20  # bytes of a reply

WORKER = Path(worker.__file__)


class Outcome(NamedTuple):
    """How one call ended.

    Args:
        kind: "returned", "crashed" (an exception), "endless" (stopped after SECONDS) or "ended" (Python is gone).
        value: what was returned.
        words: what happened, in words, unless it returned.
        error: the type of the exception, and its message.
        printed: what was printed meanwhile.
        changed: the number of an argument that was changed; None if none was.
    """

    kind: str
    value: Any = None
    words: str = ""
    error: str = ""
    printed: str = ""
    changed: int | None = None


class Process:
    """An attempt in a process of its own: `with Process(attempt) as call: outcome = call(arguments)`."""

    def __init__(self, attempt):
        self.attempt, self.process, self.failure = attempt, None, None

    def __enter__(self):
        return self

    def __exit__(self, *error):
        if self.process:
            self.process.kill()
            self.process.wait()
            with suppress(OSError):
                self.process.stdin.close()
            self.process = None

    def __call__(self, arguments):
        if self.failure is None and self.process is None:
            self.failure = self._start()
        return self.failure or self._ask(self._pickle(arguments), SECONDS)

    def _start(self):
        """Start the process and hand it the attempt; return an Outcome if that fails."""
        try:
            attempt = self._pickle(self.attempt)
        except Exception as error:
            words = f"It uses something that cannot be handed to the process in which it is checked: {error}"
            return Outcome("crashed", words=words, error=f"{type(error).__name__}: {error}")
        environment = os.environ | {"MPLBACKEND": "agg", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            [sys.executable, str(WORKER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
        self.replies = queue.SimpleQueue()
        threading.Thread(target=self._listen, args=(self.process.stdout, self.replies), daemon=True).start()
        self._send(self._pickle(sys.path))
        outcome = self._ask(attempt, LOADING)
        return None if outcome.kind == "ready" else outcome

    @staticmethod
    def _pickle(thing):
        cloudpickle = need("cloudpickle")
        if exercises := sys.modules.get("poolref.teaching.exercises"):
            # Some hand functions to an attempt, for which the other process should not have to import poolref.
            cloudpickle.register_pickle_by_value(exercises)
        return cloudpickle.dumps(thing)

    @staticmethod
    def _listen(stream, replies):
        with stream:
            while (reply := worker.receive(stream, LONGEST)) is not None:
                replies.put(reply)
        replies.put(None)

    def _send(self, data):
        with suppress(OSError):  # it is gone: the missing reply will tell
            worker.send(self.process.stdin, data)

    def _ask(self, request, seconds):
        self._send(request)
        printed, deadline = "", time.monotonic() + seconds
        while True:
            try:
                data = self.replies.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                self.__exit__()
                words = f"It did not come to an end within {seconds:g} seconds."
                return Outcome("endless", words=words, printed=printed)
            if data is None:
                self.__exit__()
                return Outcome("ended", words="It ended Python itself.", printed=printed)
            reply = json.loads(data)
            if "printed" not in reply:
                return outcome(reply, printed)
            printed += reply["printed"]


class Here:
    """An attempt in this process: nothing stops it. For attempts that are trusted, and where there are no processes."""

    def __init__(self, attempt):
        self.attempt = attempt

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def __call__(self, arguments):
        printed = []
        reply = worker.answer(self.attempt, arguments, printed.append)
        return outcome(reply, "".join(printed))


def runner():
    """Return the way to run a reader's attempt on this machine."""
    return Here if sys.platform in ("emscripten", "wasi") or not sys.executable else Process


def outcome(reply, printed):
    """Return a worker's reply as an Outcome."""
    if reply["kind"] == "crashed":
        error = f"{reply['error']}: {reply['message']}"
        return Outcome("crashed", words=in_words(**reply), error=error, printed=printed)
    return Outcome(reply["kind"], worker.unpacked(reply.get("value")), printed=printed, changed=reply.get("changed"))


def in_words(kind, error, message, place):
    where = ""
    if place:
        source = linecache.getline(*place).strip()
        where = f", in line {place[1]}" + (f", `{source}`" if source and "`" not in source else "")
    if error == "RecursionError":
        return f"It called itself without end{where}."
    if error == "SystemExit":
        return f"It ended with `sys.exit`{where}; a function gives its answer with `return`."
    return f"It stopped with {error}{where}: {message}"
