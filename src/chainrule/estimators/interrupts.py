"""Ctrl-C while several threads work."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def ctrl_c_sets(stop: threading.Event) -> Iterator[None]:
    """Let a first Ctrl-C set an event where it would raise KeyboardInterrupt; a second one raises it.

    The exception comes wherever the main thread is. Inside `threading.Thread.start` the thread may run
    already, but nobody has it in hand yet to wait for what it will have found.

    Parameters
    ----------
    stop : threading.Event
        What is set. Where Ctrl-C means something else, or in another thread than the main one, nothing is
        changed.
    """
    ours = threading.current_thread() is threading.main_thread()
    if not ours or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return

    def on_ctrl_c(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 (as signal calls it)
        stop.set()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    signal.signal(signal.SIGINT, on_ctrl_c)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
