"""`track` of a study file: trials as runs in TensorBoard, MLflow or Weights & Biases.

All of it happens in the process of `run`, from what the database holds: workers know nothing of it,
and trials that other machines train are told, too. Each tracker has a thread of its own, so that
one that is slow, hangs or fails costs no trial: it is left out from then on, and a line says so.
"""

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from search import plots
from search.answers import evidence, report
from search.news import events, trackers
from search.news.ledger import Chain
from search.news.line import Line
from search.news.trackers import Run
from search.record import chains, results
from search.record import study as studies
from search.record.listener import Both, Listener
from search.studyfile.parts import Track


@contextlib.contextmanager
def tracking(
    study: optuna.Study, wanted: Sequence[Track], folder: Path, listener: Listener
) -> Iterator[Listener]:
    """A listener that also tells the trackers of the study file; it waits at its end for them.

    Args:
        folder: below which they keep what they keep here.
    """
    if not wanted:
        yield listener
        return
    told = Tracking(study, wanted, folder, listener)
    try:
        yield Both(listener, told)
    finally:
        told.close()


class Tracking(Listener):
    """Hands on to each tracker what is new to it, also of what ended before it was asked for."""

    def __init__(
        self, study: optuna.Study, wanted: Sequence[Track], folder: Path, listener: Listener
    ) -> None:
        asked = studies.stored_spec(study)
        self._retries = asked.budget.retries if asked else 0
        self._over: set[Chain] = set()  # of which each tracker has been told all
        uid, name = str(study.user_attrs.get("uid", "")), study.study_name
        built = {one: trackers.TRACKERS[one](folder, name, uid) for one in dict.fromkeys(wanted)}
        self._lines = [Line(one, tracker, study, listener) for one, tracker in built.items()]
        for one in (study, *studies.siblings(study)):
            self.saw(one.study_name, one.get_trials(deepcopy=False))

    def saw(self, study: str, trials: Sequence[FrozenTrial]) -> None:
        found = {(study, number): links for number, links in chains.grouped(trials).items()}
        new = {chain: links for chain, links in found.items() if chain not in self._over}
        begun = {chain: [t for t in links if _has_begun(t)] for chain, links in new.items()}
        over = {chain for chain, links in new.items() if self._is_over(links)}
        told = (c for c, links in begun.items() if links and (c in over or _goes_on(new[c][-1])))
        at_work = {chain: chain in over for chain in told}
        for line in self._lines:
            line.consider(at_work)
            for chain, links in begun.items():
                line.look_at(chain, links, is_over=chain in over)
            line.settle()
        self._over |= over

    def _is_over(self, links: Sequence[FrozenTrial]) -> bool:
        """Whether the chain has ended, and no retry follows."""
        is_retried = chains.reason_of(links[-1]) in chains.RETRIED
        is_open = is_retried and chains.goes_on(links, self._retries)
        return links[-1].state.is_finished() and not is_open

    def answered(self, study: optuna.Study, file: Path | None) -> None:
        """The answer as a run of its own, with its file and the report as they are now; of nothing
        new it is not told again."""
        made_of = events.made_of(study)
        known, best = evidence.of(study), results.ranking(study)[:1]
        run = Run(study.study_name, "answer", "answer", _answer(study, known), {})
        winner = known.winner if known else None
        values = {} if winner is None else _measured(known, winner)
        values |= {} if winner or not best else {results.metric(study): float(best[0].value or 0)}
        number = winner.number if winner else (best[0].number if best else None)
        told: dict[str, Any] = {"trial": number, "confirmed": winner is not None}
        told |= {"score": next(iter(values.values()))} if values else {}
        with tempfile.TemporaryDirectory(prefix="optsearch-") as folder:
            html = Path(folder, "report.html")
            html.write_text(report.html(study, plots.drawn(study)), encoding="utf-8")
            files = [one for one in (file, html) if one is not None and one.exists()]
            calls = (
                lambda t: t.begin(run),
                lambda t: t.point(run, 0, values),
                lambda t: t.end(run, told, files),
            )
            for line in self._lines:  # the files are there until then
                line.answer(made_of, calls)

    def close(self) -> None:
        """Until each tracker has all, or has had CLOSE_S."""
        for line in self._lines:
            line.send(lambda t: t.close())
        for line in self._lines:
            line.wait()
            line.leave()


def _has_begun(trial: FrozenTrial) -> bool:
    """Whether there is anything to tell of it: an epoch, by which its parameters have been drawn,
    or its end. TensorBoard takes what a run began with once and for all."""
    waits = trial.state == TrialState.WAITING and not chains.is_paused(trial)
    return not waits and bool(trial.intermediate_values or trial.state.is_finished())


def _goes_on(trial: FrozenTrial) -> bool:
    """Whether it is at work; a chain that waits for its retry is told when that has begun."""
    return trial.state == TrialState.RUNNING or chains.is_paused(trial)


def _answer(study: optuna.Study, known: evidence.Evidence | None) -> dict[str, Any]:
    if known is not None and known.winner is not None:
        return dict(known.winner.params)
    best = results.ranking(study)
    return dict(best[0].params) if best else {}


def _measured(known: Any, winner: Any) -> dict[str, float]:
    """Means and ends of the intervals, by name."""
    found: dict[str, float] = {}
    for name, about in ((known.metric, winner.interval), (known.test_metric, winner.test)):
        ends = {} if about is None else {"mean": about.mean, "low": about.low, "high": about.high}
        found |= {f"{name}_{k}": float(v) for k, v in ends.items() if v is not None}
    return found
