"""The live view of a run: a panel on a terminal, plain lines elsewhere.

Everything shown is read from the database, so that any process that can reach it sees the same.
"""

import time
from collections.abc import Mapping
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from search import chains, results

MIN_INTERVAL_S = 0.5  # between two reads of the database


class Progress:
    """Shows a study while it runs. Use as a context manager and call `update` often."""

    def __init__(
        self, study: optuna.Study, limit: int | None, deadline: float | None, console: Console
    ) -> None:
        """`deadline` is a `time.monotonic()` moment."""
        self._study, self._limit, self._deadline, self._console = study, limit, deadline, console
        self._started = self._read_at = time.monotonic()
        self._trials = study.get_trials(deepcopy=False)
        self._at_start = chains.started(self._trials)
        self._waits = 0
        self._anew: set[int] = set()
        self._told = {t.number for t in self._trials if t.state.is_finished()}
        self._live = (
            Live(console=console, refresh_per_second=4, transient=True)
            if console.is_terminal
            else None
        )

    def __enter__(self) -> "Progress":
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.update(force=True)
        if self._live:
            self._live.stop()

    def update(self, force: bool = False) -> None:
        """Read the database, at most every MIN_INTERVAL_S, and show what is new."""
        if not force and time.monotonic() - self._read_at < MIN_INTERVAL_S:
            return
        self._trials = self._study.get_trials(deepcopy=False)
        for trial in self._trials:
            if trial.state.is_finished() and trial.number not in self._told:
                self._told.add(trial.number)
                self._tell(event(trial, self._study))
        self._tell_lost_epochs()
        if self._live:
            self._live.update(self._panel(), refresh=True)
        self._read_at = time.monotonic()

    def _tell_lost_epochs(self) -> None:
        """Say once of a retry that it begins anew, far from the checkpoint of its chain."""
        for links in chains.grouped(self._trials).values():
            last, lost = links[-1], chains.lost_epochs(links)
            if lost and last.number not in self._anew:
                self._anew.add(last.number)
                host = last.user_attrs.get(chains.LEASE, {}).get("host", "its machine")
                self.say(
                    f"trial {last.number} begins anew with its seed: the checkpoint of {lost} "
                    f"epochs is not in the workdir of {host}"
                )

    def _tell(self, line: Text) -> None:
        """A line of its own: cut to the terminal's width there, whole in a log."""
        if self._live:
            self._console.print(line, highlight=False, no_wrap=True, overflow="ellipsis")
        else:
            self._console.print(line, highlight=False, soft_wrap=True)

    def waits(self, others: int) -> None:
        """Say once that only other machines have trials left."""
        if others and not self._waits:
            self.say(
                f"waiting for {others} trial(s) of other machines; Ctrl-C ends here without them"
            )
        self._waits = others

    def say(self, message: str) -> None:
        self._console.print(message, highlight=False)

    def _panel(self) -> RenderableType:
        """Budget bar, counts, the running trials and the best so far, within 80 columns."""
        counts = results.counts(self._trials)
        done = sum(counts[s] for s in ("complete", "pruned", "failed"))
        words = [
            f"{counts[s]} {s}" for s in ("complete", "pruned", "failed", "retried") if counts[s]
        ]
        bar = Table.grid(padding=(0, 1))
        bar.add_row(
            Text(self._study.study_name, style="bold"),
            ProgressBar(total=self._limit, completed=done, width=24, pulse=self._limit is None),
            f"{done}/{self._limit or '?'} trials",
            self._time_left(done),
        )
        lines: list[RenderableType] = [bar, Text("  " + " · ".join(words), style="dim")]
        lines += [_running(t) for t in self._trials if t.state == TrialState.RUNNING]
        if ranked := results.ranking(self._study):
            lines.append(_best(ranked[0], results.metric(self._study)))
        return Group(Text(""), *lines)

    def _time_left(self, done: int) -> str:
        """By the pace of this run so far, and not beyond the deadline."""
        elapsed = time.monotonic() - self._started
        here = done - self._at_start
        guesses = []
        if self._limit and here > 0:
            guesses.append(elapsed / here * (self._limit - done))
        if self._deadline is not None:
            guesses.append(max(0.0, self._deadline - time.monotonic()))
        return f"{duration(min(guesses))} left" if guesses else f"{duration(elapsed)} so far"


def event(trial: FrozenTrial, study: optuna.Study) -> Text:
    """One line about a finished trial, a star at the best so far, and what an exception said:
    `  12 complete    0.8130* 14 ep plateau     sgd lr=0.012`."""
    reason = chains.reason_of(trial) or ""
    state = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed"}[trial.state.name]
    if reason == "preempted":
        state = "queued"  # its retry is
    style = {"complete": "green", "pruned": "yellow", "queued": "cyan", "failed": "red"}[state]
    value = "-" if trial.value is None else f"{trial.value:.4f}"
    ranked = results.ranking(study) if state == "complete" else []
    is_best = bool(ranked) and ranked[0].number == trial.number
    epochs = results.epochs_run(trial)
    text = Text.assemble(
        f"{trial.number:>4} ",
        (f"{state:<9}", style),
        (f"{value:>9}{'*' if is_best else ' '}", "bold green" if is_best else ""),
        f"{epochs:>3} ep " if epochs else " " * 7,
        (f"{reason:<11} ", "dim"),
        params_words(trial.params),
    )
    if error := results.error_line(trial):
        text.append(f"\n     {error}", style="red")
    if not_saved := trial.user_attrs.get("not_saved"):
        text.append(f"\n     {not_saved}", style="yellow")
    return text


def params_words(params: Mapping[str, Any]) -> str:
    """`sgd lr=0.012 momentum=0.9`: parameters in the fewest words."""
    return " ".join(
        str(v) if isinstance(v, str) else f"{k}={f'{v:.3g}' if isinstance(v, float) else v}"
        for k, v in params.items()
    )


def duration(seconds: float) -> str:
    """`0.17 s`, `45 s`, `3 min 20 s`, `2 h 05 min`."""
    if seconds < 9.95:
        return f"{seconds:.2g} s"
    total = round(seconds)
    if total < 60:
        return f"{total} s"
    if total < 3600:
        return f"{total // 60} min {total % 60:02d} s"
    return f"{total // 3600} h {total % 3600 // 60:02d} min"


def _running(trial: FrozenTrial) -> RenderableType:
    epochs = results.epochs_run(trial)
    planned = trial.user_attrs.get("epochs_planned")
    last = trial.intermediate_values.get(epochs - 1)
    row = Table.grid(padding=(0, 1))
    row.add_row(
        f"  trial {trial.number}",
        ProgressBar(total=planned or 1, completed=epochs, width=12),
        f"epoch {epochs}" + (f"/{planned}" if planned else ""),
        "" if last is None else f"{last:.4f}",
        Text(params_words(trial.params), style="dim", overflow="ellipsis", no_wrap=True),
    )
    return row


def _best(trial: FrozenTrial, metric: str) -> Text:
    line = Text.assemble(
        ("  best ", "bold green"),
        (f"{metric} {trial.value:.4f}", "bold"),
        f" (trial {trial.number}) {params_words(trial.params)}",
    )
    line.no_wrap, line.overflow = True, "ellipsis"
    return line
