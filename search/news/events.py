"""What happened, for who does not look on: a sentence, and the same facts as `--log json` has."""

import hashlib
from pathlib import Path
from typing import Any

import optuna

from search.answers import evidence
from search.record import results
from search.record import study as studies
from search.record.listener import Event
from search.record.progress import params_words
from search.studyfile.spec import StudySpec


def of_answer(study: optuna.Study, spec: StudySpec, file: Path | None) -> Event:
    """A run has ended, and this is its answer."""
    text = f"study '{study.study_name}' has an answer: {_answer(study)}"
    facts = _facts(study, spec) | {"file": _path(file)}
    return Event("answer", study.study_name, text, facts, made_of(study), study)


def made_of(study: optuna.Study) -> str:
    """The answer, and how many trials of search and confirming have ended for it: a run that finds
    nothing to do comes to the same."""
    both = (study, *studies.siblings(study))
    ended = [sum(t.state.is_finished() for t in one.get_trials(deepcopy=False)) for one in both]
    return hashlib.sha256(f"{ended} {_answer(study)}".encode()).hexdigest()[:16]


def of_failure(name: str, why: str) -> Event:
    """A run has ended without what it was for."""
    text = f"the run of study '{name}' has failed: {why.strip().splitlines()[-1]}"
    return Event("failure", name, text, {"error": why.strip()})


def of_stall(study: optuna.Study, spec: StudySpec, why: str) -> Event:
    """A search gains nothing any more."""
    text = f"study '{study.study_name}' has {why}"
    return Event("stalled", study.study_name, text, _facts(study, spec))


def _facts(study: optuna.Study, spec: StudySpec) -> dict[str, Any]:
    return results.summary(study, spec.trials)


def _path(file: Path | None) -> str | None:
    return None if file is None else str(file.absolute())


def _answer(study: optuna.Study) -> str:
    """`trial 12, val_accuracy 0.9912 (0.985 to 0.996) on 5 fresh seeds, adam lr=0.001`."""
    known = evidence.of(study)
    if known is not None and known.winner is not None and known.winner.interval is not None:
        winner, seeds = known.winner, len(known.winner.scores)
        shown = f"{known.metric} {winner.interval} on {seeds} fresh seeds"
        return f"trial {winner.number}, {shown}, {params_words(dict(winner.params))}"
    best = results.ranking(study)[0]
    shown = f"{results.metric(study)} {best.value:.5g} with one seed"
    return f"trial {best.number}, {shown}, {params_words(best.params)}"
