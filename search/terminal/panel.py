"""How a study looks on a terminal: a line about each trial that ended, and a panel of those that
run. Made for 80 columns; narrower ones lose columns, and short ones lose workers."""

import time
from collections.abc import Sequence

from optuna.trial import FrozenTrial
from rich.console import Group, JustifyMethod, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from search.record import chains, results
from search.record.progress import Standing, duration, params_words, state_word

WIDE = 64  # columns, from which on there is room for time and device
AROUND = 16  # lines of a terminal that are not workers': the panel's own, and the last events
PLACE = 16  # characters of host and device
RECENT = 5  # epochs that tell how long one takes
COLUMNS: Sequence[JustifyMethod] = ("left", "left", "right", "right", "right", "left")
STYLES = {"complete": "green", "pruned": "yellow", "queued": "cyan", "failed": "red"}


def event(trial: FrozenTrial, is_best: bool = False) -> Text:
    """One line about a finished trial, whether it is the best so far, and what an exception said:
    `  12 complete    0.8130 best 14 ep plateau     sgd lr=0.012`."""
    state = state_word(trial)
    value = "-" if trial.value is None else f"{trial.value:.4f}"
    epochs = results.epochs_run(trial)
    text = Text.assemble(
        f"{trial.number:>4} ",
        (f"{state:<9}", STYLES[state]),
        (f"{value:>9}{' best' if is_best else '     '}", "bold green" if is_best else ""),
        f"{epochs:>3} ep " if epochs else " " * 7,
        (f"{chains.reason_of(trial) or '':<11} ", "dim"),
        params_words(trial.params),
    )
    if error := results.error_line(trial):
        text.append(f"\n     {error}", style="red")
    if not_saved := trial.user_attrs.get("not_saved"):
        text.append(f"\n     {not_saved}", style="yellow")
    return text


def printed(trial: int | None, line: str) -> Text:
    """A line of what an objective prints, in its own colours: `  12 | epoch 3 done`."""
    number = "" if trial is None else str(trial)
    return Text.assemble((f"{number:>4} | ", "dim"), Text.from_ansi(line))


def panel(standing: Standing, width: int = 80, height: int = 24) -> RenderableType:
    """Budget bar, counts, a line a worker, and the best so far."""
    lines: list[RenderableType] = [Text(""), *_budget(standing, width), _counts(standing)]
    running = standing.running
    shown = max(1, height - AROUND)
    shown = len(running) if len(running) <= shown + 1 else shown
    lines.append(_workers(running[:shown], width))
    if hidden := len(running) - shown:
        lines.append(Text(f"  ... and {hidden} more", style="dim"))
    if standing.best is not None:
        lines += _best(standing.best, standing.metric)
    return Group(*lines)


def _budget(standing: Standing, width: int) -> list[RenderableType]:
    """Name, bar and time; of trials and epochs the one that is used up first."""
    done, limit, unit = standing.ended, standing.most, "trials"
    epochs = standing.limits.epochs
    if epochs and (not limit or standing.epochs / epochs > done / limit):
        done, limit, unit = standing.epochs, epochs, "epochs"
    left = standing.seconds_left
    time_words = (
        f"{duration(standing.seconds)} so far" if left is None else f"{duration(left)} left"
    )
    bar = Table.grid(padding=(0, 1))
    name = Text(standing.name, style="bold", no_wrap=True, overflow="ellipsis")
    name.truncate(max(8, width - 60) if width < WIDE else 24, overflow="ellipsis")
    bar.add_row(
        name,
        ProgressBar(total=limit, completed=done, width=24 if width >= WIDE else 8, pulse=not limit),
        Text(f"{done}/{limit or '?'} {unit}", no_wrap=True),
        *([] if width < WIDE else [Text(time_words, no_wrap=True)]),
    )
    return [bar, *([Text(f"  {time_words}")] if width < WIDE else [])]


def _counts(standing: Standing) -> Text:
    counts = results.counts(standing.trials)
    words = [f"{number} {state}" for state, number in counts.items() if number]
    return _cut("  " + (" · ".join(words) or "no trial yet"), "dim")


def _workers(running: Sequence[FrozenTrial], width: int) -> Table:
    """A line each: trial, epochs as a bar, last score, seconds an epoch, device, parameters."""
    table = Table.grid(padding=(0, 1), expand=True)
    for column in COLUMNS[: 4 if width < WIDE else 6]:
        table.add_column(no_wrap=True, justify=column)
    table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    hosts = {_host(t) for t in running}
    for trial in running:
        epochs, planned = results.epochs_run(trial), trial.user_attrs.get("epochs_planned")
        last = results.by_epoch(trial).get(epochs - 1)
        cells: list[RenderableType] = [
            f"  {trial.number:>4}",
            ProgressBar(total=planned or 1, completed=epochs if planned else 0, width=8),
            f"{epochs}/{planned}" if planned else f"{epochs} ep",
            "-" if last is None else f"{last:.4f}",
        ]
        if width >= WIDE:
            device = str(trial.user_attrs.get("device", "")).removeprefix("NVIDIA ")
            place = f"{_host(trial)} {device}" if len(hosts) > 1 else device
            cells += [_pace(trial), place[:PLACE]]
        table.add_row(*cells, Text(params_words(trial.params), style="dim"))
    return table


def _pace(trial: FrozenTrial) -> str:
    """`3.2 s/ep`, of the last epochs."""
    took = results.history(trial).get("seconds", [])[-RECENT:]
    if took:
        return f"{duration(sum(took) / len(took))}/ep"
    epochs = results.epochs_run(trial) - trial.user_attrs.get(chains.RESUMED, 0)
    if epochs < 1 or trial.datetime_start is None:
        return "-"
    return f"{duration((time.time() - trial.datetime_start.timestamp()) / epochs)}/ep"


def _host(trial: FrozenTrial) -> str:
    return str(trial.user_attrs.get(chains.LEASE, {}).get("host", ""))


def _best(trial: FrozenTrial, metric: str) -> list[RenderableType]:
    line = Text.assemble(
        ("  best ", "bold green"), (f"{metric} {trial.value:.4f}", "bold"), f" trial {trial.number}"
    )
    return [line, _cut("       " + params_words(trial.params))]


def _cut(words: str, style: str = "") -> Text:
    """A line that ends with the terminal's."""
    return Text(words, style=style, no_wrap=True, overflow="ellipsis")
