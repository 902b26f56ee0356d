"""The best few are trained again on fresh seeds, raced, and only then tested.

The runs are trials of a sibling study, `NAME:confirm`, done by the same workers: crashes, resumes
and other machines are theirs to bear. `evidence.py` reads it back.
"""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from search.answers import evidence, fresh, leads, plans, rounds, sizes, testset
from search.answers.candidates import FEWEST, asked_by, baselines, candidates, leaders
from search.answers.plans import CANDIDATE, CHOICE, PLAN, SEED_INDEX, Plan
from search.database import storage
from search.errors import StorageError
from search.record import chains, pauses, results
from search.record.study import CONFIRMS, SUFFIX
from search.studyfile.parts import Budget
from search.studyfile.spec import OPTUNA, Component, Confirm, StudySpec

RANKED = ("winner", "tied", "worse")  # states of candidates that fresh seeds have ordered
STARTUP_S = 10.0  # until workers are at it
WILL = "optsearch:will_confirm"  # study attribute: how many seeds its run is going to confirm with
_COPIED = ("spec_version", "settings", "data", "longest", "code", "versions")


def begin(
    study: optuna.Study,
    spec: StudySpec,
    confirm: Confirm,
    *,
    grow: bool = False,
    epochs: int | None = None,
) -> optuna.Study | None:
    """Fix what is to be confirmed, or find what an earlier command has fixed; None where no trial
    is complete, or the epochs do not pay two seeds of two candidates. A search that has gone on
    since is planned anew: runs that exist are not repeated.

    Args:
        grow: keep the larger `top` and `seeds` of an earlier command.
        epochs: that all runs together may take at most; None for no limit.

    Returns:
        The sibling study whose trials are the runs.
    """
    ranked = results.ranking(study)
    if not ranked:
        return None
    confirming = _sibling(study, spec)
    with storage.exclusive(confirming):
        now = plans.plan_of(confirming)
        if grow and now is not None:
            larger = {"top": max(now.top, confirm.top), "seeds": max(now.seeds, confirm.seeds)}
            if now.splits or confirm.is_split:
                larger["splits"] = larger["seeds"]
            confirm = confirm.model_copy(update=larger)
        wanted = _plan(study, spec, confirm, ranked[0], epochs)
        if len(wanted.candidates) < 1:
            return None
        if now is not None and dataclasses.replace(now, trials=wanted.trials) == wanted:
            confirming.set_user_attr(PLAN, dataclasses.asdict(wanted))  # nothing better was found
            return confirming
        if now is not None and (choice := confirming.user_attrs.get(CHOICE)):
            so_far = {
                plans.TESTED: len(testset.scores(confirming)),
                plans.BEGUN: len(confirming.get_trials(deepcopy=False)),
            }
            earlier = {"plan": dataclasses.asdict(now), **choice, **so_far}
            before = confirming.user_attrs.get(plans.EARLIER, [])
            confirming.set_user_attr(plans.EARLIER, [*before, earlier])  # the answer until then
        confirming.set_user_attr(CHOICE, None)
        confirming.set_user_attr(PLAN, dataclasses.asdict(wanted))
    return confirming


def _plan(
    study: optuna.Study, spec: StudySpec, confirm: Confirm, best: FrozenTrial, epochs: int | None
) -> Plan:
    chosen = [t.number for t in candidates(study, confirm.top)]
    named = baselines(study)
    if best.number not in chosen:
        chosen[-1] = best.number
    chosen += [n for n in named.values() if n not in chosen]
    if epochs is not None:  # fewer candidates, rather than seeds that tell nothing
        affordable = int(epochs / (_usual(study) * min(FEWEST, confirm.seeds)))
        first = dict.fromkeys([best.number, *named.values(), *leaders(study), *chosen])
        chosen = [n for n in first if n in chosen][:affordable]
        named = {name: n for name, n in named.items() if n in chosen}
    begun = chains.started(study.get_trials(deepcopy=False))
    races, by = not spec.configurations, asked_by(study)
    score, seeds = float(best.value or 0.0), confirm.seeds
    plan = Plan(chosen, best.number, score, seeds, confirm.top, begun, races, by, epochs, named)
    if races and spec.prefer != sizes.SCORE:
        plan = dataclasses.replace(plan, prefer=spec.prefer)
    if not confirm.is_split:
        return plan
    return dataclasses.replace(plan, splits=True, overlap=rounds.overlap(study))


def _usual(study: optuna.Study) -> float:
    """Epochs that a run to its end takes on average: patience makes it shorter than it might be."""
    ended = [results.epochs_run(t) for t in results.ranking(study)]
    return max(1.0, sum(ended) / len(ended))


def _sibling(study: optuna.Study, spec: StudySpec) -> optuna.Study:
    """Make the study of the runs, with all that a worker on any machine needs to know."""
    confirming = optuna.create_study(
        study_name=study.study_name + SUFFIX,
        storage=study._storage,
        direction=study.direction,
        load_if_exists=True,
    )
    known, stored = confirming.user_attrs, study.user_attrs
    taken = known or confirming.get_trials(deepcopy=False)
    if taken and known.get(CONFIRMS) != study.study_name:
        raise StorageError(
            f"study '{confirming.study_name}' is in the way: the runs that confirm "
            f"'{study.study_name}' go under that name; copy and delete it, or use --no-confirm"
        )
    asked = spec_of_runs(spec)
    record = {
        CONFIRMS: study.study_name,  # first: by it a half-made one is known as ours
        "uid": known.get("uid", f"{stored['uid']}c"),
        **{key: stored[key] for key in _COPIED if key in stored},
        "spec": asked.model_dump(mode="json", by_alias=True),
    }
    for key, value in record.items():
        if known.get(key) != value:
            confirming.set_user_attr(key, value)
    if study.metric_names:
        confirming._storage.set_study_system_attr(
            confirming._study_id, "study:metric_names", study.metric_names
        )
    return confirming


def spec_of_runs(spec: StudySpec) -> StudySpec:
    """The same question for the sibling: nothing is sampled or pruned, only what is queued runs."""
    limits = Budget(trial_timeout=spec.budget.trial_timeout, retries=spec.budget.retries)
    changes: dict[str, Any] = {"name": spec.name + SUFFIX, "baselines": [], "budget": limits}
    changes |= {"sampler": Component(name="random"), "pruner": Component(name="none")}
    changes |= {"strategy": Component(name=OPTUNA)}
    return spec.model_copy(update={**changes, "confirm": Confirm(seeds=0)})


def advance(confirming: optuna.Study, study: optuna.Study, places: int) -> bool:
    """Queue the runs that are needed next, and others ahead for places that would be free.

    Safe to call at any time, by any number of processes. Returns whether the race goes on.
    """
    plan = plans.require_plan(confirming)
    if not (wanted := _free(confirming, plan, places)):
        return not evidence.standing(confirming, plan).over
    trials = {t.number: t for t in study.get_trials(deepcopy=False)}
    with storage.exclusive(confirming):
        wanted = _free(confirming, plan, places)
        for number, index in wanted:
            _queue(confirming, trials[number], index, splits=plan.splits)
    return True


def _free(confirming: optuna.Study, plan: Plan, places: int) -> list[tuple[int, int]]:
    """Runs that are wanted, nobody has queued, and there is a place for."""
    begun = {
        (t.user_attrs.get(CANDIDATE), t.user_attrs.get(SEED_INDEX)): t
        for t in confirming.get_trials(deepcopy=False)
        if plan.has(t)
    }
    now = evidence.standing(confirming, plan)
    wanted = [run for run in now.wanted if run not in begun]
    open_ = sum(1 for t in begun.values() if not t.state.is_finished())
    free = max(0, places - open_ - len(wanted))
    return wanted + [run for run in now.ahead if run not in begun][:free]


def _queue(confirming: optuna.Study, trial: FrozenTrial, index: int, *, splits: bool) -> None:
    spec = confirming.user_attrs["spec"]
    attrs = {
        CANDIDATE: trial.number,
        SEED_INDEX: index,
        "seed": rounds.fresh_seed(spec["seed"], index),
        "configuration": trial.user_attrs.get("configuration"),
        chains.SPLIT: rounds.fresh_split(spec["settings"], index) if splits else None,
    }
    confirming.enqueue_trial(
        trial.params, user_attrs={k: v for k, v in attrs.items() if v is not None}
    )


def choose(confirming: optuna.Study) -> bool:
    """Name the winner and its ties, once and for all; False while the race is open."""
    plan = plans.require_plan(confirming)
    with storage.exclusive(confirming):
        if confirming.user_attrs.get(CHOICE):
            return True
        now = evidence.standing(confirming, plan)
        if not now.over:
            return False
        runs = evidence.runs_of(confirming, plan)
        failed = [
            n
            for n, ran in runs.items()
            if any(r.state.is_finished() and not evidence.is_scored(r) for r in ran.values())
        ]
        sign = 1 if confirming.direction == StudyDirection.MAXIMIZE else -1
        winner, ties = sizes.chosen(plan.prefer, now, runs, sign)
        choice = {"winner": winner, "ties": ties, "failed": failed}
        confirming.set_user_attr(CHOICE, {**choice, "dropped": now.dropped})
    return True


def test(
    confirming: optuna.Study,
    workdir: Path,
    evaluate: Callable[[str], dict[str, Any] | None],
) -> None:
    """Read the test set for every model of the plan, each once. The choice must have been made."""
    plan = plans.require_plan(confirming)
    assert confirming.user_attrs.get(CHOICE)
    runs = [r for ran in evidence.runs_of(confirming, plan).values() for r in ran.values()]
    complete = [run for run in runs if evidence.is_scored(run)]
    testset.read_once(confirming, complete, workdir, evaluate)


def seconds_needed(study: optuna.Study, confirm: Confirm, workers: int) -> float:
    """About how long the stage takes: as long as those that it would confirm took."""
    best = [t for t in candidates(study, confirm.top) if t.state == TrialState.COMPLETE]
    took = [s for t in best if (s := results.seconds(t)) is not None]
    if not took:
        return 0.0
    more = len(set(baselines(study).values()) - {t.number for t in best})
    rounds = -(-(len(took) + more) * confirm.seeds // max(1, workers))
    return STARTUP_S + 1.1 * rounds * sum(took) / len(took)


def answer(study: optuna.Study) -> FrozenTrial | None:
    """The trial that is the answer: the confirmed winner, else the search's best."""
    order = ranking(study)
    return order[0] if order else None


def ranking(study: optuna.Study) -> list[FrozenTrial]:
    """Trials best first: confirmed ones as the evidence orders them, then the rest."""
    known = evidence.of(study)
    ranked = results.ranking(study)
    if known is None or known.winner is None:
        return ranked
    trials = {t.number: pauses.as_ended(t) for t in study.get_trials(deepcopy=False)}
    first = [c.number for c in known.candidates if c.state in RANKED]
    return [trials[n] for n in first] + [t for t in ranked if t.number not in first]


def as_dict(known: evidence.Evidence, number: int) -> dict[str, Any]:
    """What the evidence says about one trial, for files; {} where it was not confirmed."""
    found = known.of(number)
    if found is None or found.interval is None:
        return {}
    about: dict[str, Any] = {
        known.metric: {**found.interval.as_dict(), "seeds": dict(found.scores)},
    }
    if found.splits:
        about[known.metric]["splits"] = dict(found.splits)
    about[known.metric] |= found.epochs
    if found.test is not None:
        about[known.test_metric] = {**found.test.as_dict(), "seeds": dict(found.tests)}
    if known.optimism is not None:
        about["optimism"] = known.optimism.as_dict()
        about["search_best"] = known.plan.best
    return about | {"ties": [c.number for c in known.ties]}


def publish(study: optuna.Study) -> None:
    """Put what is known into an attribute of the study itself, for whoever reads only that."""
    known = evidence.of(study)
    if known is None or known.winner is None:
        return
    about = {"baselines": lines} if (lines := leads.of_study(study)) else {}
    told = {"trial": known.winner.number, **as_dict(known, known.winner.number), **about}
    for measured in (told[known.metric], told.get(known.test_metric, {})):
        for by_seed in measured.keys() & {"seeds", "splits", *fresh.EPOCHS}:
            measured[by_seed] = {str(k): v for k, v in measured[by_seed].items()}
    if study.user_attrs.get(results.CONFIRMED) != told:
        study.set_user_attr(results.CONFIRMED, told)
