"""How a study looks on a terminal: a line about each trial that ended, and a panel of those that
run. Made for 80 columns; narrower ones lose columns, and short ones lose workers."""

import math
import platform
from collections.abc import Sequence
from datetime import datetime, timedelta

from optuna.trial import FrozenTrial
from rich.console import Group, JustifyMethod, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from search.answers import effort
from search.record import chains, results
from search.record.progress import Standing, duration, params_words, state_word

WIDE = 64  # columns, from which on there is room for time and device
AROUND = 16  # lines of a terminal that are not workers': the panel's own, and the last events
PLACE = 16  # characters of host and device
BAR = 24  # columns of the bar, where there is room
LONG_S = 600.0  # from so many seconds on the clock time of the end is told
COLUMNS: Sequence[JustifyMethod] = ("left", "left", "right", "right", "right", "left")
STYLES = {"complete": "green", "pruned": "yellow", "paused": "blue"}
STYLES |= {"queued": "cyan", "failed": "red"}


HEAD = f"{'#':>4} {'state':<9}{'score':>9}     {'epochs':>6} {'why':<11} parameters"


def event(trial: FrozenTrial, is_best: bool = False) -> Text:
    """One line about a trial that ended or paused, whether it is the best so far, and what an
    exception said: `  12 complete    0.8130 best 14 ep plateau     sgd lr=0.012`."""
    state = state_word(trial)
    reports = trial.intermediate_values
    score = reports.get(max(reports, default=-1)) if state == "paused" else trial.value
    value = "-" if score is None else f"{score:.4f}"
    epochs = results.epochs_run(trial)
    text = Text.assemble(
        f"{trial.number:>4} ",
        (f"{state:<9}", STYLES[state]),
        (f"{value:>9}{' best' if is_best else '     '}", "bold green" if is_best else ""),
        f"{epochs:>3} ep " if epochs else " " * 7,
        (f"{_why(trial):<11} ", "dim"),
        (_elsewhere(trial), "dim"),
        params_words(trial.params),
    )
    if error := results.error_line(trial):
        text.append(f"\n     {error}", style="red")
    if not_saved := trial.user_attrs.get("not_saved"):
        text.append(f"\n     {not_saved}", style="yellow")
    return text


def _why(trial: FrozenTrial) -> str:
    """The reason; of a trial that is queued again, too, whether what it has done is for nothing."""
    reason = chains.reason_of(trial) or ""
    anew = reason == "preempted" and trial.user_attrs.get(chains.ANEW_ONLY)
    return f"{reason}, begins anew" if anew else reason


def _elsewhere(trial: FrozenTrial) -> str:
    """The host, where it is another one than this."""
    host = _host(trial)
    return f"on {host}: " if host not in ("", platform.node()) else ""


def printed(trial: int | None, line: str) -> Text:
    """A line of what an objective prints, in its own colours: `  12 | epoch 3 done`."""
    number = "" if trial is None else str(trial)
    return Text.assemble((f"{number:>4} | ", "dim"), Text.from_ansi(line))


def panel(standing: Standing, width: int = 80, height: int = 24) -> RenderableType:
    """Budget bar, counts, a line a worker, and the best so far."""
    lines: list[RenderableType] = [Text(""), *_budget(standing, width), _counts(standing)]
    running, forecast = standing.running, _forecast(standing)
    ahead = _ahead(standing)
    shown = max(1, height - AROUND - len(forecast) - len(ahead))
    shown = len(running) if len(running) <= shown + 1 else shown
    lines.append(_workers(running[:shown], width))
    if hidden := len(running) - shown:
        lines.append(Text(f"  ... and {hidden} more", style="dim"))
    lines += [] if standing.best is None else _best(standing.best, standing.metric)
    lines += ahead
    lines += [] if standing.best is None else forecast
    return Group(*lines)


def _budget(standing: Standing, width: int) -> list[RenderableType]:
    """Name, bar and time; of trials and epochs the one that is used up first."""
    done, limit, unit = standing.ended, standing.most, "trials"
    epochs = standing.limits.epochs
    if epochs and (not limit or standing.epochs / epochs > done / limit):
        done, limit, unit = standing.epochs, epochs, "epochs"
    left = standing.seconds_left
    time_words = f"{duration(standing.seconds)} so far" if left is None else _left(left)
    count = f"{done}/{limit or '?'} {unit}"
    bar = Table.grid(padding=(0, 1))
    name = Text(standing.name, style="bold", no_wrap=True, overflow="ellipsis")
    room = width - BAR - len(count) - len(time_words) - 4
    name.truncate(max(8, width - 60 if width < WIDE else min(24, room)), overflow="ellipsis")
    bar.add_row(
        name,
        ProgressBar(
            total=limit, completed=done, width=BAR if width >= WIDE else 8, pulse=not limit
        ),
        Text(count, no_wrap=True),
        *([] if width < WIDE else [Text(time_words, no_wrap=True)]),
    )
    return [bar, *([Text(f"  {time_words}")] if width < WIDE else [])]


def _left(seconds: float) -> str:
    """`3 min 20 s left`; of long times also when that is, as the clock here shows it."""
    if seconds < LONG_S:
        return f"{duration(seconds)} left"
    end = datetime.now() + timedelta(seconds=seconds)
    day = "" if end.date() == datetime.now().date() else f"{end:%a} "
    return f"{duration(seconds)} left, {day}{end:%H:%M}"


def _forecast(standing: Standing) -> list[RenderableType]:
    """What as many trials again may gain, where the sampler draws them: a strategy that pauses most
    of them shows its own reasons, and what its few complete ones gained says little."""
    last = chains.last_links(standing.trials)
    if standing.limits.steps or len(last) < 8:
        return []
    from search.answers import advisor  # with SciPy, which no earlier look needs

    gain = advisor.gain_of(advisor.final_scores(last, standing.is_high_good))
    if gain is None:
        return []
    return [_cut(f"  as many trials again may gain about {gain:.2g} at most", "dim")]


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
            "" if last is None else f"{last:.4f}",
        ]
        if width >= WIDE:
            device = str(trial.user_attrs.get("device", "")).removeprefix("NVIDIA ")
            place = f"{_host(trial)} {device}" if len(hosts) > 1 else device
            cells += [_pace(trial), place[:PLACE]]
        table.add_row(*cells, Text(params_words(trial.params) or "begins", style="dim"))
    return table


def _pace(trial: FrozenTrial) -> str:
    """`3.2 s/ep`, of the last epochs."""
    seconds = results.seconds_an_epoch(trial)
    return "" if seconds is None else f"{duration(seconds)}/ep"


def _host(trial: FrozenTrial) -> str:
    return str(trial.user_attrs.get(chains.LEASE, {}).get("host", ""))


def _best(trial: FrozenTrial, metric: str) -> list[RenderableType]:
    line = Text.assemble(
        ("  best ", "bold green"), (f"{metric} {trial.value:.4f}", "bold"), f" trial {trial.number}"
    )
    return [line, _cut("       " + params_words(trial.params))]


def _ahead(standing: Standing) -> list[RenderableType]:
    """A trial that has not ended, but has shown more than the best of those that have."""
    sign = 1 if standing.is_high_good else -1
    still_open = [t for t in standing.trials if not t.state.is_finished()]
    top = max(still_open, key=lambda t: effort.shown(t, sign), default=None)
    if top is None or not math.isfinite(shown := effort.shown(top, sign)):
        return []
    if standing.best is not None and shown <= effort.shown(standing.best, sign):
        return []
    words = f"  open {standing.metric} {sign * shown:.4f} trial {top.number}, which has not ended"
    return [Text(words, style="dim")]


def _cut(words: str, style: str = "") -> Text:
    """A line that ends with the terminal's."""
    return Text(words, style=style, no_wrap=True, overflow="ellipsis")
