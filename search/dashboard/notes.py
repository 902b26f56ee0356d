"""Notes for people, in Markdown: a study's question and answer, how a trial ended, what to type.

They are made when somebody looks; a note that a person wrote stands in their place.
"""

import re
from collections.abc import Mapping, Sequence

from optuna.study._frozen import FrozenStudy
from optuna.trial import FrozenTrial, TrialState

from search.dashboard import onward
from search.database import storage
from search.record import budget, chains, results
from search.record import study as studies
from search.studyfile import commands

CURVE = "c0de-"  # artifact ids are hexadecimal digits and dashes; ours carry the trial's id
_METRICS = "study:metric_names"  # Optuna's system attribute
_ENDED = {
    "all_epochs": "All of its epochs were run.",
    "plateau": "It stopped improving, and ended with its best score.",
    "hopeless": "It fell behind the others and was ended early.",
    "diverged": "Its loss was no finite number any more.",
    "out_of_memory": "It did not fit into memory; the sampler avoids its like.",
    "by_hand": "A person has ended it.",
    "deadline": "It had used up the time that one trial may take.",
    "exception": "The objective raised an exception:",
    "crashed": "Its process died, or its host fell silent.",
    "preempted": "It was interrupted, to go on in another row.",
}
_STATES = {
    TrialState.COMPLETE: "It has completed.",
    TrialState.PRUNED: "It was ended early.",
    TrialState.FAIL: "It has failed.",
    TrialState.RUNNING: "It is running.",
    TrialState.WAITING: "It waits for its turn.",
}
_SPECIAL = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>~&$:])")


def of_study(study: FrozenStudy, trials: Sequence[FrozenTrial], url: str) -> str:
    """The question, the answer so far, how trials ended, and the commands.

    Args:
        url: the storage; it is part of the commands where it is not the default and tells nothing.
    """
    if confirmed := study.user_attrs.get(studies.CONFIRMS):
        about = f"The runs that confirm the best of study {_code(str(confirmed))} on fresh seeds."
        return f"{about}\n\n{_counts(trials)}"
    question, best = _question(study), _best(study, trials)
    told = study.user_attrs.get(results.CONFIRMED)
    winner = _winner(told, trials)
    parts = [f"**{_plain(question)}**" if question else "", _live(study)]
    parts += [*_baselines(told), _confirmed(told)]
    if winner is None:
        parts.append(
            f"Best so far: {_score(study, best)}." if best else "No trial has completed yet."
        )
    elif best is not None and best.number != winner.number:
        parts.append(
            f"In the search, with one seed, another had shown more: {_score(study, best)}."
        )
    answer = winner or best
    if answer and answer.params:
        parts.append(_params(answer))
    parts.append(_counts(trials))
    if isinstance(spec := study.user_attrs.get("spec"), dict):
        parts.append(_plain(onward.found_enough(study, spec, trials, _metric(study))))
    return "\n\n".join(filter(None, [*parts, *_commands(study, answer, trials, url)]))


def _live(study: FrozenStudy) -> str:
    return f"[Live: the answer so far, what runs, learning curves](/live/{study._study_id})"


def _winner(told: object, trials: Sequence[FrozenTrial]) -> FrozenTrial | None:
    """The trial that fresh seeds have confirmed: the answer, and what `export` writes."""
    number = told.get("trial") if isinstance(told, dict) else None
    return next((t for t in trials if t.number == number), None)


def _baselines(told: object) -> list[str]:
    """What the answer is worth beside the baselines (leads.py)."""
    lines = told.get("baselines", ()) if isinstance(told, dict) else ()
    return [_plain(str(line)) for line in lines]


def _confirmed(told: object) -> str:
    """The answer on fresh seeds, as `confirm.publish` leaves it with the study; "" without."""
    if not isinstance(told, dict):
        return ""
    scores = [f"{_plain(k)} {_interval(v)}" for k, v in told.items() if _is_score(k, v)]
    ties = ", ".join(map(str, told.get("ties", ())))
    tied = f" Tied with {ties}: the difference may be chance." if ties else ""
    return f"**Confirmed on fresh seeds: trial {told.get('trial')}**, {', '.join(scores)}.{tied}"


def _is_score(name: str, value: object) -> bool:
    return name != "optimism" and isinstance(value, dict) and "mean" in value


def _interval(about: Mapping[str, float]) -> str:
    if "low" not in about:
        return f"{about['mean']:.4f} with one seed"
    return f"{about['mean']:.4f} ({about['low']:.4f} to {about['high']:.4f})"


def of_trial(study: FrozenStudy, trial: FrozenTrial, url: str) -> str:
    """What it scored, why it ended, and whose retry it is. How to get the study's answer again
    stands on the study's page: `export` writes that one, not this trial."""
    reason = str(chains.reason_of(trial)) if trial.state.is_finished() else ""
    pause = _pause(trial)
    parts = [f"{_score(study, trial).capitalize()}."] if trial.value is not None else []
    parts.append(pause or _ENDED.get(reason, _STATES[trial.state]))
    if error := results.error_line(trial):
        parts.append(_code(error))
    if name := trial.user_attrs.get("configuration"):
        parts.append(f"Configuration {_code(str(name))} of the study file.")
    if (first := chains.of(trial)) != trial.number:
        parts.append(f"It goes on with what trial {first} began.")
    if trial.intermediate_values:
        parts.append(_curve(study, trial))
    return "\n\n".join(parts)


def _pause(trial: FrozenTrial) -> str:
    """Where and why it paused; "" where it did not, or has gone on since."""
    told = trial.user_attrs.get(budget.PAUSED_WORDS)
    if chains.PAUSED not in trial.user_attrs or not isinstance(told, str):
        return ""
    then = "It may go on." if chains.is_paused(trial) else "It was not worth going on with."
    return f"It paused {_plain(told)}. {then}"


def curve_id(trial: FrozenTrial) -> str:
    """The learning curve's id as an artifact."""
    return f"{CURVE}{trial._trial_id:x}"


def _curve(study: FrozenStudy, trial: FrozenTrial) -> str:
    """A picture whose address changes with every epoch, or an open page would keep the old one."""
    place = f"/artifacts/{study._study_id}/{trial._trial_id}/{curve_id(trial)}"
    return f"![learning curve]({place}?epochs={results.epochs_run(trial)})"


def _question(study: FrozenStudy) -> str:
    spec = study.user_attrs.get("spec")  # a study of somebody else may call anything a spec
    return str(spec.get("question") or "") if isinstance(spec, dict) else ""


def _best(study: FrozenStudy, trials: Sequence[FrozenTrial]) -> FrozenTrial | None:
    """As `results.ranking` has it."""
    return next(iter(results.ranked(trials, study.directions[0])), None)


def _metric(study: FrozenStudy) -> str:
    return str((study.system_attrs.get(_METRICS) or ["value"])[0])


def _score(study: FrozenStudy, trial: FrozenTrial) -> str:
    words = f"trial {trial.number}, {_plain(_metric(study))} {trial.value:.5g}"
    best, epochs = trial.user_attrs.get("best_epoch"), results.epochs_run(trial)
    return f"{words} in epoch {best + 1} of {epochs}" if isinstance(best, int) else words


def _params(trial: FrozenTrial) -> str:
    cells = {_code(str(k)): _code(_value(v)) for k, v in trial.params.items()}
    rows = (f"| {_cell(k)} | {_cell(v)} |" for k, v in cells.items())
    return "\n".join(["| parameter | value |", "|---|---|", *rows])


def _value(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _counts(trials: Sequence[FrozenTrial]) -> str:
    """`40 trials: 14 complete (plateau 9, all_epochs 5), 26 pruned (hopeless 26).`"""
    superseded = chains.superseded(trials)
    found: dict[str, dict[str, int]] = {state: {} for state in results.STATES}
    for trial in trials:
        reasons = found[results.state_of(trial, superseded)]
        reason = str(chains.reason_of(trial) or "")
        reasons[reason] = reasons.get(reason, 0) + 1
    words = []
    for state, reasons in found.items():
        told = ", ".join(f"{_plain(r)} {n}" for r, n in reasons.items() if r)
        if reasons:
            words.append(f"{sum(reasons.values())} {state}" + (f" ({told})" if told else ""))
    return f"{chains.started(trials)} trials: {', '.join(words) or 'none yet'}."


def _commands(
    study: FrozenStudy, answer: FrozenTrial | None, trials: Sequence[FrozenTrial], url: str
) -> list[str]:
    """Train the answer again, search on: for studies that have a study file."""
    spec = study.user_attrs.get("spec")
    if not isinstance(spec, dict):
        return []
    place = "" if url == storage.DEFAULT_URL or storage.redacted(url) != url else url
    export = commands.line("export", study=study.study_name, storage=place or None)
    replay = f"    {export}\n    {commands.line('train', 'best.yaml')}"
    told = [f"Train the answer again:\n\n{replay}"] if answer is not None else []
    words, command = onward.search_on(study, spec, trials, _metric(study), place or None)
    return [*told, *[f"{words}:\n\n    {command}"] * bool(command)]


def _plain(text: str) -> str:
    """Text that Markdown leaves as it is."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _code(text: str) -> str:
    """Text in a monospaced font, whatever is in it."""
    text = " ".join(text.split()) or " "
    ticks = "`" * (max(map(len, re.findall("`+", text)), default=0) + 1)
    return f"{ticks}{text}{ticks}" if len(ticks) == 1 else f"{ticks} {text} {ticks}"
