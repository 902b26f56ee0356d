"""The answer of a study in a few sentences."""

import optuna

from search.answers import candidates, compare, confirm, evidence, leads, words
from search.record import chains, next_step, results
from search.record.progress import params_words


def answer(study: optuna.Study) -> list[str]:
    """The answer in a few sentences, with its interval, and what may not be concluded."""
    best, known = confirm.answer(study), evidence.of(study)
    if best is None:
        return ["No trial is complete yet, so there is no answer. Below is what there is."]
    lines = leads.of_study(study)
    lines += [f"The best that was found: {params_words(best.params) or f'trial {best.number}'}."]
    if told := words.of_majority(results.metric(study), study.user_attrs.get("data", {})):
        lines.append(told)
    if candidates.asked_by(study) and results.ranking(study):
        found = compare.compare([study])
        lines.insert(0, f"By {found.by}: {found.sentences[0]}.")
    if known is not None and known.winner is not None:
        begun = chains.started(study.get_trials(deepcopy=False))
        again = next_step.of(study, "confirm")
        data = study.user_attrs.get("data", {})
        lines += words.of_useless(known, known.winner, data)
        return [*lines, *words.of_evidence(known, begun, again)]
    score = f"Trial {best.number}, {results.metric(study)} {best.value:.4f} with one seed"
    lines.append(f"{score}: how much of it is luck is not known.")
    return lines
