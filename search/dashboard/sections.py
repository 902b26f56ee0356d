"""What the live page shows of a study, section by section, as HTML: made anew for every look."""

import math
import time
from collections.abc import Callable, Iterator
from html import escape

import optuna
from optuna.trial import FrozenTrial, TrialState

from search.answers import candidates, compare, effort, evidence, leads, words
from search.dashboard import boards, curves, pieces, standing, state
from search.dashboard.seen import Seen
from search.record import chains, results
from search.record.progress import duration, params_words

RECENT = 8  # trials that have ended, or are paused


def sections(seen: Seen) -> dict[str, str]:
    """The content of each section by its id; "" where there is nothing to show."""
    return {name: "".join(make(seen)) for name, make in SECTIONS.items()}


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
        by = ", by the search," if seen.plan else ""
        yield (
            f"<p>So far{by} {pieces.link(seen.study, best.number)}: {escape(metric)} "
            f"<b>{best.value:.4f}</b>, with one seed</p>{pieces.params(best.params)}"
        )
        yield from _at_work(seen)
    elif leader := _leader(seen):
        shown = seen.sign * effort.shown(leader, seen.sign)
        yield (
            f"<p>No trial has completed yet. {pieces.link(seen.study, leader.number)} has shown "
            f"{escape(metric)} <b>{shown:.4f}</b>.</p>{pieces.params(leader.params)}"
        )
    else:
        yield "<p>No trial has shown a score yet.</p>"
    if seen.spec:
        lines = leads.of_study(seen.study, is_open=not seen.is_quiet)
        yield from (f"<p>{pieces.words(line)}</p>" for line in lines)


def _at_work(seen: Seen) -> Iterator[str]:
    """That the best is being confirmed, and who leads by what fresh seeds have shown."""
    known = evidence.at_work(seen.study) if seen.runs else None
    if known is None or (plan := seen.plan) is None:
        return
    now = "Being confirmed now" if seen.running else "Not confirmed yet"
    who = f"{len(plan.candidates)} candidates" if len(plan.candidates) > 1 else "1 candidate"
    on = f"on up to {plan.seeds} fresh seeds each"
    yield f"<p>{now}: {who} {on}, {known.runs} runs have ended.</p>"
    first = next((c for c in known.candidates if c.interval is not None), None)
    if first is not None and first.interval is not None:
        seeds = f"{first.interval.n} fresh seed" + "s" * (first.interval.n > 1)
        yield (
            f"<p>By fresh seeds so far: {pieces.link(seen.study, first.number)}, mean "
            f"<b>{first.interval.mean:.4f}</b> of {seeds}.</p>"
        )


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
        metric = escape(results.metric(seen.study))
        yield f"<h2>The best trials by {metric}</h2>{boards.of_best(seen.study)}"
        return
    found = compare.compare([seen.study], target=None if is_ranked else 0.0)
    found = standing.of(found, seen.study, seen.sign)
    found = standing.while_confirming(found) if seen.plan else found
    yield f"<h2>Which {escape(by)}?</h2>{boards.of_values(seen.study, found)}"
    yield from (f"<p>{pieces.words(line)}</p>" for line in found.conclusions)


def _confirming(seen: Seen) -> Iterator[str]:
    known = evidence.at_work(seen.study) if seen.runs else None
    if known is None:
        return
    going = [t for t in seen.confirming if t.state == TrialState.RUNNING]
    ended = f"{known.runs} run{'s have' if known.runs != 1 else ' has'} ended"
    going_on = f", {len(going)} {'are' if len(going) > 1 else 'is'} running" if going else ""
    yield f"<h2>On fresh seeds</h2><p>{ended}{going_on}.</p>"
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
    which = pieces.of(study, trial.number)
    if confirms is not None:  # numbers of two studies: each with a word that tells of which
        seed = int(trial.user_attrs.get(chains.SEED_INDEX, 0)) + 1
        run = pieces.link(study, trial.number, f"run {trial.number}")
        which = f"{run}: fresh seed {seed} of {pieces.link(seen.study, confirms)}"
    button = pieces.ending(trial.number) if confirms is None else "-"
    return [
        which,
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
    yield f"<h2>Lately ended{' in the search' if seen.confirming else ''}</h2>"
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
    "state": state.state,
    "answer": _answer,
    "ranking": _ranking,
    "history": curves.history,
    "curves": curves.curves,
    "running": _running,
    "confirming": _confirming,
    "paused": _paused,
    "ended": _ended,
}
