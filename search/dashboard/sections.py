"""What the live page shows of a study, section by section, as HTML: made anew for every look."""

import math
import time
from collections.abc import Callable, Iterator
from html import escape

import optuna
from optuna.trial import FrozenTrial, TrialState

from search.answers import candidates, compare, effort, evidence, leads, words
from search.dashboard import boards, curves, pieces, standing
from search.dashboard.seen import Seen
from search.record import chains, enough, results
from search.record.progress import duration, params_words

RECENT = 8  # trials that have ended, or are paused
COUNTS = ("complete", "pruned", "failed", "running", "paused", "waiting")


def sections(seen: Seen) -> dict[str, str]:
    """The content of each section by its id; "" where there is nothing to show."""
    return {name: "".join(make(seen)) for name, make in SECTIONS.items()}


def _state(seen: Seen) -> Iterator[str]:
    counts = results.counts(seen.trials)
    told = [f"{counts[state]} {state}" for state in COUNTS if counts[state]]
    at_work = "running" if seen.running else "nothing is running"
    if seen.running and all(study is seen.runs for study, _ in seen.running):
        at_work = "confirming on fresh seeds"
    yield f"<p><strong>{at_work}</strong>: {', '.join(told) or 'no trial yet'}</p>"
    for done, most, unit in _budgets(seen):
        yield (
            f'<p class="budget"><progress max="{most}" value="{min(done, most)}" '
            f'aria-label="{unit} of the budget"></progress> {done} of {most} {unit}</p>'
        )
    if line := enough.why(seen.trials, seen.limits.enough):
        yield f"<p>{pieces.words(line)}</p>"


def _budgets(seen: Seen) -> Iterator[tuple[int, int, str]]:
    if seen.limits.trials:
        yield chains.started(seen.trials), seen.limits.trials, "trials"
    most = seen.spec.budget.epochs if seen.spec else None
    if most:
        yield enough.spent(seen.trials) + enough.spent(seen.confirming), most, "epochs"


def _answer(seen: Seen) -> Iterator[str]:
    known = evidence.of(seen.study) if seen.runs else None
    metric = results.metric(seen.study)
    ranked = results.ranking(seen.study)
    if known is not None and known.winner is not None and known.winner.interval is not None:
        winner = known.winner
        assert winner.interval is not None
        test = f", {escape(known.test_metric)} <b>{winner.test}</b>" if winner.test else ""
        yield (
            f"<p>{pieces.link(seen.study, winner.number)}: {escape(metric)} "
            f"<b>{winner.interval}</b>{test} on {len(winner.scores)} fresh seeds</p>"
            f"{pieces.params(winner.params)}"
        )
        if known.ties:
            ties = ", ".join(pieces.link(seen.study, c.number) for c in known.ties)
            yield f"<p>Tied with {ties}: the difference may be chance.</p>"
        yield from (f"<p>{escape(line)}</p>" for line in words.of_pending(known))
    elif ranked:
        best = ranked[0]
        yield (
            f"<p>So far {pieces.link(seen.study, best.number)}: {escape(metric)} "
            f"<b>{best.value:.4f}</b>, with one seed</p>{pieces.params(best.params)}"
        )
    elif leader := _leader(seen):
        shown = seen.sign * effort.shown(leader, seen.sign)
        yield (
            f"<p>No trial has completed yet. {pieces.link(seen.study, leader.number)} has shown "
            f"{escape(metric)} <b>{shown:.4f}</b>.</p>{pieces.params(leader.params)}"
        )
    else:
        yield "<p>No trial has shown a score yet.</p>"
    if seen.spec:
        yield from (f"<p>{pieces.words(line)}</p>" for line in leads.of_study(seen.study))


def _leader(seen: Seen) -> FrozenTrial | None:
    shown = [t for t in seen.last if math.isfinite(effort.shown(t, seen.sign))]
    return max(shown, key=lambda t: effort.shown(t, seen.sign), default=None)


def _ranking(seen: Seen) -> Iterator[str]:
    if seen.spec is None:  # of somebody else, whose attributes may be anything
        return
    by, is_ranked = candidates.asked_by(seen.study), bool(results.ranking(seen.study))
    if not (is_ranked or (by and _leader(seen))):
        return
    if by is None:
        yield f"<h2>The best trials</h2>{boards.of_best(seen.study)}"
        return
    found = compare.compare([seen.study], target=None if is_ranked else 0.0)
    found = standing.of(found, seen.study, seen.sign)
    yield f"<h2>Which {escape(by)}?</h2>{boards.of_values(seen.study, found)}"
    yield from (f"<p>{pieces.words(line)}</p>" for line in found.conclusions)


def _confirming(seen: Seen) -> Iterator[str]:
    known = evidence.at_work(seen.study) if seen.runs else None
    if known is None:
        return
    going = [t for t in seen.confirming if t.state == TrialState.RUNNING]
    yield f"<h2>On fresh seeds</h2><p>{known.runs} runs have ended, {len(going)} are running.</p>"
    yield boards.of_candidates(seen.study, known)


def _running(seen: Seen) -> Iterator[str]:
    if both := seen.running:
        yield f"<h2>Running now ({len(both)})</h2>"
        heads = ["trial", "epochs", "last score", "for", "where", "parameters"]
        heads += ["by hand"] * seen.may_end
        yield pieces.table("Trials that run", heads, [_running_row(seen, *pair) for pair in both])


def _running_row(seen: Seen, study: optuna.Study, trial: FrozenTrial) -> list[str]:
    epochs, planned = results.epochs_run(trial), trial.user_attrs.get("epochs_planned")
    last = results.by_epoch(trial).get(epochs - 1)
    began = trial.datetime_start
    lease = trial.user_attrs.get(chains.LEASE, {})
    pid = f"process {lease['pid']}" if "pid" in lease else ""  # tells those of one host apart
    where = (lease.get("host"), pid, trial.user_attrs.get("device"))
    confirms = trial.user_attrs.get(chains.CANDIDATE)
    told = "" if confirms is None else f" confirms {pieces.of(seen.study, confirms)}"
    button = pieces.ending(trial.number) if confirms is None else "-"
    return [
        pieces.of(study, trial.number) + told,
        f"{epochs} of {planned}" if planned else str(epochs),
        "-" if last is None else f"{last:.4f}",
        "-" if began is None else duration(max(0.0, time.time() - began.timestamp())),
        escape(", ".join(filter(None, where)) or "-"),
        escape(params_words(trial.params)),
        *([button] * seen.may_end),
    ]


def _paused(seen: Seen) -> Iterator[str]:
    paused = [t for t in seen.trials if chains.is_paused(t)]
    if not paused:
        return
    paused.sort(key=lambda t: -effort.shown(t, seen.sign))
    yield f"<h2>Paused ({len(paused)}), the best first</h2>"
    shown = paused if seen.may_end else paused[:RECENT]
    cells = [
        [
            pieces.of(seen.study, t.number),
            str(results.epochs_run(t)),
            f"{seen.sign * effort.shown(t, seen.sign):.4f}",
            escape(str(t.user_attrs.get("paused", ""))),
            escape(params_words(t.params)),
            *([pieces.ending(t.number)] * seen.may_end),
        ]
        for t in shown
    ]
    heads = ["trial", "epochs", "best shown", "why", "parameters"]
    heads += ["by hand"] * seen.may_end
    yield pieces.table("Trials that wait, and may go on", heads, cells)
    if more := len(paused) - len(shown):
        yield f'<p class="soft">{more} more, of less, are listed in optuna-dashboard.</p>'


def _ended(seen: Seen) -> Iterator[str]:
    done = [t for t in seen.last if t.state.is_finished()]
    done.sort(key=lambda t: results.moment(t.datetime_complete), reverse=True)
    if not done:
        return
    yield "<h2>Lately ended</h2>"
    cells = [
        [
            pieces.of(seen.study, t.number),
            results.state_of(t, set()),
            escape(chains.reason_of(t) or "-"),
            "-" if t.value is None else f"{t.value:.4f}",
            str(results.epochs_run(t)),
            escape(params_words(t.params)),
        ]
        for t in done[:RECENT]
    ]
    heads = ["trial", "state", "reason", "score", "epochs", "parameters"]
    yield pieces.table("Trials that ended last", heads, cells)


SECTIONS: dict[str, Callable[[Seen], Iterator[str]]] = {
    "state": _state,
    "answer": _answer,
    "ranking": _ranking,
    "history": curves.history,
    "curves": curves.curves,
    "running": _running,
    "confirming": _confirming,
    "paused": _paused,
    "ended": _ended,
}
