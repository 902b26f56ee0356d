"""`--log`: where news of a study go. A panel on a terminal and plain lines elsewhere, unless one
of `plain`, `quiet` (errors and the answer alone) or `json` (an object a line) is asked for."""

import contextlib
import json
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import typer

from search.record.listener import Listener

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial
    from rich.console import Console
    from rich.live import Live

    from search.record.progress import Standing

STDOUT, STDERR = 1, 2  # file descriptors
Facts = Callable[[], dict[str, Any]]


class Log(Listener):
    """A listener of the command line. Warnings go to standard error, whatever the log."""

    def warn(self, study: str, message: str) -> None:
        typer.echo(message, err=True)

    def answer(self, study: str, words: Callable[[], None], facts: Facts) -> None:
        """The end of it all, for people (`words` prints it) or for programs."""


class Quiet(Log):
    """The answer alone."""

    def answer(self, study: str, words: Callable[[], None], facts: Facts) -> None:
        words()


class Plain(Quiet):
    """A line for each trial that pauses or ends, and for each message."""

    def __init__(self, console: "Console | None" = None) -> None:
        from rich.console import Console

        self.console = console or Console(highlight=False, markup=False)
        self._headed = ""  # the study whose trials the last head was printed for

    def began(self, study: str, trial: "FrozenTrial") -> None:
        """Once, that training has begun, which may go on for long before a trial pauses or ends."""
        from search.terminal import panel

        if study != self._headed:
            self._headed = study
            self.console.print(panel.HEAD, style="dim", no_wrap=True, overflow="ellipsis")

    def set_out(self, study: str, message: str) -> None:
        self.say(study, message)

    def say(self, study: str, message: str) -> None:
        self.console.print(message, highlight=False, soft_wrap=True)

    def printed(self, study: str, trial: int | None, line: str) -> None:
        from search.terminal import panel

        self.console.print(panel.printed(trial, line), highlight=False, soft_wrap=True)

    def paused(self, study: str, trial: "FrozenTrial") -> None:
        self.ended(study, trial, is_best=False)

    def ended(self, study: str, trial: "FrozenTrial", is_best: bool) -> None:
        from search.terminal import panel

        self.console.print(panel.event(trial, is_best), highlight=False, soft_wrap=True)


class OnTerminal(Plain):
    """The same lines, cut to the terminal's width, above a panel that shows what is paused."""

    is_visual = True
    _live: "Live | None" = None

    def open(self) -> None:
        from rich.live import Live

        self._live = Live(console=self.console, refresh_per_second=4, transient=True)
        self._live.start()

    def close(self) -> None:
        if self._live:
            self._live.stop()
        self._live = None

    def set_out(self, study: str, message: str) -> None: ...  # the panel shows it

    def say(self, study: str, message: str) -> None:
        self.console.print(message, highlight=False)

    def paused(self, study: str, trial: "FrozenTrial") -> None: ...

    def ended(self, study: str, trial: "FrozenTrial", is_best: bool) -> None:
        from search.terminal import panel

        line = panel.event(trial, is_best)
        self.console.print(line, highlight=False, no_wrap=True, overflow="ellipsis")

    def show(self, standing: "Standing") -> None:
        from search.terminal import panel

        if self._live:
            size = self.console.size
            self._live.update(panel.panel(standing, size.width, size.height), refresh=True)


class Json(Log):
    """An object a line, each with `ts` (UTC), `event` and `study`; standard output has no more.

    `begin`, `pause` and `end` tell of a trial, `print` is a line that its objective printed,
    `message` is for people, `answer` is the last one.

    From its making until `release`, what anybody else prints there (an objective's package as it is
    imported, Ray, a driver), here or in a process that is started, goes to standard error.
    """

    def __init__(self) -> None:
        sys.stdout.flush()
        self._printed, sys.stdout = sys.stdout, sys.stderr
        self._lines = os.fdopen(os.dup(STDOUT), "w", encoding="utf-8")
        os.dup2(STDERR, STDOUT)

    def release(self) -> None:
        """Give standard output back."""
        sys.stdout = self._printed
        os.dup2(self._lines.fileno(), STDOUT)
        with contextlib.suppress(BrokenPipeError):  # has been told
            self._lines.close()

    def say(self, study: str, message: str) -> None:
        self._write("message", study, {"message": message})

    def began(self, study: str, trial: "FrozenTrial") -> None:
        self._write("begin", study, _about(trial) | {"state": "running"})

    def paused(self, study: str, trial: "FrozenTrial") -> None:
        self._write("pause", study, _about(trial) | {"state": "paused"})

    def ended(self, study: str, trial: "FrozenTrial", is_best: bool) -> None:
        from search.record.progress import state_word

        ending = {"state": state_word(trial), "is_best": is_best}
        self._write("end", study, _about(trial) | ending)

    def printed(self, study: str, trial: int | None, line: str) -> None:
        self._write("print", study, {"trial": trial, "line": line})

    def answer(self, study: str, words: Callable[[], None], facts: Facts) -> None:
        self._write("answer", study, facts())

    def _write(self, event: str, study: str, facts: dict[str, Any]) -> None:
        ts = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        self._lines.write(strict({"ts": ts, "event": event, "study": study} | facts) + "\n")
        self._lines.flush()


MODES: dict[str, type[Log]] = {"plain": Plain, "quiet": Quiet, "json": Json}


def parse(mode: str) -> Log:
    """The log of `--log MODE`. Raises typer.BadParameter."""
    if mode not in MODES:
        raise typer.BadParameter(f"{mode!r} is none of {', '.join(MODES)}")
    log = MODES[mode]()
    if isinstance(log, Json):
        _open.append(log)
    return log


_open: list[Json] = []  # that keep standard output to themselves


def release() -> None:
    """Give standard output back, where a log has had it to itself."""
    while _open:
        _open.pop().release()


def offered(incomplete: str) -> list[str]:
    """What the shell offers for `--log`."""
    return [mode for mode in MODES if mode.startswith(incomplete)]


def usual() -> Log:
    """A panel on a terminal, plain lines elsewhere."""
    live = OnTerminal()
    return live if live.console.is_terminal else Plain(live.console)


def strict(content: Any, indent: int | None = None) -> str:
    """As JSON, which knows neither NaN nor infinity: they become null."""
    finite = json.loads(json.dumps(content), parse_constant=lambda _: None)
    return json.dumps(finite, indent=indent, allow_nan=False)


def _about(trial: "FrozenTrial") -> dict[str, Any]:
    """A trial as `show --json` lists it, under the names of an event."""
    from search.record import results

    row = results.trial_row(trial, set())
    return {"trial": row.pop("number"), **row}
