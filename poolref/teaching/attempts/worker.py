"""The process in which an attempt runs: it is handed a function, then answers calls of it.

It knows no expected answer and imports nothing of poolref, so that it can be run where neither may be seen. What it
is sent is pickled, for the sender is trusted. What it sends back is JSON, because the attempt is not: it may return or
do anything. `running.py` is the other side.
"""

import base64
import contextlib
import copy
import ctypes
import faulthandler
import io
import json
import os
import pickle
import signal
import struct
import sys
import traceback
import warnings

import numpy as np

PR_SET_PDEATHSIG = 1  # <sys/prctl.h>: the signal that this process gets when its parent dies
MOST_PRINTED = 2000  # characters of what one call prints
MOST_RETURNED = 1_000_000  # cells, or entries of lists
ORPHANED = 60.0  # seconds without a request after which this process ends, should nobody else end it


# ------------------------------------------------------------------------------------------------------- one call


def answer(attempt, arguments, tell):
    """Call `attempt` on copies of the arguments; return how it ended, as data for JSON.

    `tell` is called with each piece of text that is printed meanwhile, up to a limit.
    """
    given = copy.deepcopy(arguments)
    printed = Printed(tell)
    before = sys.stdin
    sys.stdin = NoKeyboard()
    try:
        with (
            contextlib.redirect_stdout(printed),
            contextlib.redirect_stderr(printed),
            warnings.catch_warnings(),
            np.errstate(all="ignore"),
        ):
            warnings.simplefilter("ignore")
            value = attempt(*given)
            changed = [i for i, (old, new) in enumerate(zip(arguments, given, strict=True)) if not same(old, new)]
            return {"kind": "returned", "value": packed(value), "changed": changed[0] if changed else None}
    except BaseException as error:  # SystemExit and what else an attempt may think of
        return {"kind": "crashed", **described(error)}
    finally:
        sys.stdin = before


class Printed(io.TextIOBase):
    """Where an attempt's `print` goes: told at once, since the attempt may never end, and not without limit."""

    def __init__(self, tell):
        self.tell, self.left = tell, MOST_PRINTED

    def write(self, text):
        if self.left > 0 and text:
            self.tell(text[: self.left] + (" …" if len(text) > self.left else ""))
        self.left -= len(text)
        return len(text)


class NoKeyboard(io.TextIOBase):
    def readline(self, size=-1):
        raise EOFError("nobody is there to answer `input()`; the arguments hold all that is needed")


def described(error):
    """An exception in words: its type, its message, and the line of the attempt in which it arose."""
    places = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename != __file__]
    try:
        message = str(error)
    except Exception:
        message = ""
    place = (places[0].filename, places[0].lineno) if places else None
    return {"error": type(error).__name__, "message": message[:MOST_PRINTED], "place": place}


def same(a, b):
    if isinstance(a, np.ndarray):
        return isinstance(b, np.ndarray) and np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
    return a is b or a == b or (a != a and b != b)


# ----------------------------------------------------------------------------------- values that may come from anyone


class Other:
    """Stands for a returned value that is not made of numbers, texts and lists: only its type's name is kept."""

    def __init__(self, name):
        self.name = name

    def __repr__(self):
        return f"<{self.name}>"


def packed(value):
    """Return a value as data for JSON; what is not made of numbers, texts, lists and arrays as its type's name."""
    if value is None or type(value) in (bool, str, float) or (type(value) is int and abs(value) < 1 << 4000):
        return value if type(value) is not str else value[:MOST_PRINTED]
    if type(value) in (list, tuple) and len(value) <= MOST_RETURNED:
        return {type(value).__name__: [packed(part) for part in value]}
    if hasattr(value, "__array__") or isinstance(value, np.generic):
        array = np.asarray(value.detach() if hasattr(value, "detach") else value)  # a tensor that requires a gradient
        if array.dtype.kind not in "biufc":
            return {"other": f"values of type {array.dtype}"}
        if array.size <= MOST_RETURNED:
            data = base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()
            return {"array": [array.dtype.str, list(array.shape), data, isinstance(value, np.generic)]}
        return {"other": f"an array of {array.size} cells"}
    return {"other": type(value).__name__}


def unpacked(data):
    """Return what `packed` packed."""
    if not isinstance(data, dict):
        return data
    ((kind, content),) = data.items()
    if kind == "array":
        dtype, shape, text, scalar = content
        array = np.frombuffer(base64.b64decode(text), dtype).reshape(shape).copy()
        return array[()] if scalar else array
    if kind == "other":
        return Other(content)
    return {"list": list, "tuple": tuple}[kind](unpacked(part) for part in content)


# ---------------------------------------------------------------------------------------------------- the process


def send(stream, data):
    stream.write(struct.pack(">Q", len(data)) + data)
    stream.flush()


def receive(stream, most=1 << 62):
    """Return the next message; None at the end, or where one is longer than `most` bytes."""
    header = stream.read(8)
    length = struct.unpack(">Q", header)[0] if len(header) == 8 else most + 1
    data = stream.read(length) if length <= most else b""
    return data if len(data) == length else None


def end_with_parent(nowhere):
    """End this process when the one that started it is gone: on Linux at once, everywhere ORPHANED seconds later.

    The clock is never stopped, only set anew by each request. Both work while an endless loop in C holds the
    interpreter, while the attempt is still being loaded, and where another process has kept the pipe open.
    """
    faulthandler.dump_traceback_later(ORPHANED, exit=True, file=nowhere)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def main():
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):  # for what is read and written beside sys.stdin and sys.stdout
        os.dup2(nowhere, stream)
    end_with_parent(nowhere)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # stopping a cell is the other side's business

    def reply(data):
        send(replies, json.dumps(data).encode())

    try:
        sys.path[:] = pickle.loads(receive(requests))
        attempt = pickle.loads(receive(requests))
    except BaseException as error:
        return reply({"kind": "crashed", **described(error)})
    reply({"kind": "ready"})
    while (request := receive(requests)) is not None:
        arguments = pickle.loads(request)
        faulthandler.dump_traceback_later(ORPHANED, exit=True, file=nowhere)
        reply(answer(attempt, arguments, lambda text: reply({"printed": text})))


if __name__ == "__main__":
    try:
        main()
    finally:
        os._exit(0)  # without waiting for threads that an attempt has left behind
