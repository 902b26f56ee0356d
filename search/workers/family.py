"""A worker process and those that its objective starts: loader workers, pools, other programs.

They begin as under plain Python, hear no Ctrl-C of the terminal, and do not outlive the worker.
"""

import contextlib
import multiprocessing
import os
import signal


def found() -> None:
    """Make this process the head of a family of its own.

    Ctrl-C goes to the terminal's process group: it would end loader workers, and with them the
    trial that is to finish its epoch. The command, which hears it, tells the worker alone.
    """
    with contextlib.suppress(PermissionError):  # it heads a session, so a group too
        os.setpgid(0, 0)
    # A process inherits the start method of the one that started it: here a fork server, which
    # would import torch anew for every loader worker, and cannot pickle what a plain fork has.
    multiprocessing.set_start_method(None, force=True)
    os.register_at_fork(after_in_child=_forget_signals)


def _forget_signals() -> None:
    """A fork has our handlers and our ear for signals: its own end would be taken for ours."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGALRM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # by nohup
            signal.signal(number, signal.SIG_DFL)


def signal_all(head: int, number: int) -> None:
    """Signal a worker and all that it has started, as far as they live."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(head, number)


def exit_words(code: int | None) -> str:
    """How a process ended, from its exit code."""
    if code is not None and code < 0:
        return f"killed by {signal.Signals(-code).name}"
    return f"exit code {code}"
