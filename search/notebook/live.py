"""The view of a run in a notebook: one output that is drawn anew in its place, at most once a
second, and what the run says below it. It stays as the run has left it."""

import contextlib
import time
from collections import deque
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

import optuna

from search.dashboard import pieces, sections
from search.dashboard import seen as seeing
from search.dashboard.seen import Seen
from search.errors import OptsearchError
from search.notebook import frame
from search.record import results
from search.record.listener import Listener
from search.record.progress import Standing
from search.record.study import CONFIRMS
from search.terminal import panel

LEAST_S, MOST_S, SHARE = 1.0, 10.0, 9  # between two drawings: so many times what one took
LINES, CHARS = 8, 240  # the last that were said, and how much of each
ABOVE, CHARTS, BELOW = ("state", "answer", "ranking"), ("history", "curves"), ("running",)


class InNotebook(Listener):
    """Listens to one run. Warnings stay, all of them, above what is said."""

    is_visual = True

    def __init__(self) -> None:
        self._handle: Any = None  # of IPython's, once something is shown
        self._study: optuna.Study | None = None
        self._warned: list[str] = []
        self._said: deque[str] = deque(maxlen=LINES)
        self._due = 0.0  # a `time.monotonic()` moment

    def say(self, study: str, message: str) -> None:
        self._said.append(message)
        self._draw()

    def warn(self, study: str, message: str) -> None:
        self._warned.append(message)
        self._draw()

    def printed(self, study: str, trial: int | None, line: str) -> None:
        self._said.append(panel.printed(trial, line).plain)

    def ended(self, study: str, trial: optuna.trial.FrozenTrial, is_best: bool) -> None:
        if error := results.error_line(trial):
            self._said.append(f"trial {trial.number} failed: {error}")

    def show(self, standing: Standing) -> None:
        if self._study is None and standing.study is not None:
            self._study = _searched(standing.study)
        if time.monotonic() > self._due:
            self._draw()

    def close(self) -> None:
        with contextlib.suppress(KeyError, OptsearchError):  # what ended it is raised already
            self._draw()

    def answered(self, study: optuna.Study, file: Path | None) -> None:
        self._draw()

    def _draw(self) -> None:
        began = time.monotonic()
        seen = None if self._study is None else seeing.see(self._study)
        shown = {"text/html": html(seen, self._said, self._warned), "text/plain": text(seen)}
        if self._handle is None:
            import IPython.display

            display: Any = IPython.display.display
            self._handle = display(shown, raw=True, display_id=True)
        else:
            self._handle.update(shown, raw=True)
        now = time.monotonic()
        self._due = now + min(MOST_S, max(LEAST_S, SHARE * (now - began)))


def _searched(study: optuna.Study) -> optuna.Study:
    """The study itself, also where the runs that confirm it are looked at."""
    name = study.user_attrs.get(CONFIRMS)
    return optuna.load_study(study_name=name, storage=study._storage) if name else study


def html(seen: Seen | None, said: Sequence[str], warned: Sequence[str] = ()) -> str:
    """The sections of the live page that fit below a cell."""
    parts = [] if seen is None else [f"<h3>{escape(seen.title)}</h3>", *_parts(seen)]
    parts += [f'<p class="warning">{pieces.words(line)}</p>' for line in warned]
    if said:
        lines = "\n".join(escape(line[:CHARS]) for line in said)
        parts.append(f"<pre>{lines}</pre>")
    return frame.framed("".join(parts).replace("h2>", "h4>"))


def _parts(seen: Seen) -> list[str]:
    made = {n: "".join(sections.SECTIONS[n](seen)) for n in (*ABOVE, *CHARTS, *BELOW)}
    made["answer"] = f'<div class="card">{made["answer"]}</div>'
    charts = "".join(f"<div>{made[n]}</div>" for n in CHARTS if made[n])
    above, below = ("".join(made[n] for n in names) for names in (ABOVE, BELOW))
    return [above, f'<div class="charts">{charts}</div>' if charts else "", below]


def text(seen: Seen | None) -> str:
    """One line, where HTML is not shown."""
    if seen is None:
        return "optsearch"
    counts = ", ".join(f"{n} {state}" for state, n in results.counts(seen.trials).items() if n)
    best = results.ranking(seen.study)
    shown = f"; best {results.metric(seen.study)} {best[0].value:.4f}" if best else ""
    return f"{seen.study.study_name}: {counts or 'no trial yet'}{shown}"
