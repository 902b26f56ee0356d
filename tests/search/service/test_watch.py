"""watch.py: what a signal becomes while workers are watched."""

import os
import signal
from collections.abc import Iterator
from signal import Signals

import pytest

from search.service import watch


@pytest.fixture(autouse=True)
def own_handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in watch.TERMINATING}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", watch.TERMINATING)
def test_a_dropped_connection_is_answered_as_a_scheduler_is(number: Signals) -> None:
    """At once, and the command ends with the code of the signal that it got."""
    asked = watch.Interrupts()
    try:
        with watch.terminable():
            os.kill(os.getpid(), number)
            signal.pause()
    except watch.Terminated as error:
        asked.heard(error)
    assert (asked.count, asked.signal) == (2, number)
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_DFL


def test_under_nohup_it_means_nothing() -> None:
    """Whoever typed that wants the command to go on."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with watch.terminable():
        os.kill(os.getpid(), signal.SIGHUP)
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


def test_nothing_is_written_to_a_terminal_that_is_gone() -> None:
    """To write there is an error, and the answer is still to be written to its file."""
    ours, terminal = os.openpty()
    kept = os.dup(2)
    os.dup2(terminal, 2)
    try:
        with pytest.raises(watch.Terminated):
            hang_up(ours)
        assert os.write(2, b"the answer\n") == 11
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(terminal)


def hang_up(side: int) -> None:
    """Close the other side of a terminal while a command is at work."""
    with watch.terminable():
        os.close(side)
        os.kill(os.getpid(), signal.SIGHUP)
        signal.pause()
