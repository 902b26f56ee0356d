"""The answer to be read in ten seconds, as values: what `run` prints at its end, and what a card in
a notebook shows."""

from collections.abc import Sequence
from typing import NamedTuple

import optuna

from search.answers import advisor, candidates, compare, counts, evidence, leads, verdicts, words
from search.answers.compare import Comparison
from search.answers.evidence import Evidence
from search.record import chains, enough, next_step, results
from search.record import study as studies
from search.studyfile.spec import StudySpec

WITHOUT = ("P(best)", "to target", "time")  # columns of a comparison that only `show` has


class Brief(NamedTuple):
    """`comparison` is there where the study asks for the values of a parameter and has scores,
    `known` where runs on fresh seeds have ended; `concluded` are sentences about both, `cost` is
    one, `forecast` what more would gain, and `enough` and `errors` tell why the search ended early
    and what failed."""

    question: str
    leads: Sequence[str]
    comparison: Comparison | None
    known: Evidence | None
    concluded: Sequence[str]
    cost: str
    forecast: str
    enough: str
    errors: Sequence[str]

    @property
    def is_confirmed(self) -> bool:
        return self.known is not None and self.known.winner is not None


def of(study: optuna.Study, spec: StudySpec) -> Brief:
    """What is known of a study now."""
    trials, known = study.get_trials(deepcopy=False), evidence.of(study)
    found, concluded, runs = None, list[str](), evidence.sibling(study)
    if candidates.asked_by(study) and results.ranking(study):
        found = compare.compare([study])
        concluded += verdicts.in_brief(found.rows)
    if known is not None and known.winner is not None:
        concluded += words.in_brief(known, known.winner, study.user_attrs.get("data", {}))
    elif known is not None and (known.over or known.runs):
        again = next_step.of(study, "confirm")
        concluded += words.of_evidence(known, chains.started(trials), again)
    elif results.ranking(study) and found is None:
        concluded.append("Not confirmed: one seed each, so which is better may be chance.")
    return Brief(
        spec.question,
        leads.of_study(study),
        found,
        known,
        concluded,
        counts.cost(trials, runs.get_trials(deepcopy=False) if runs else ()),
        "" if spec.is_stepwise else advisor.in_brief(study),  # its few complete ones say little
        enough.why(trials, studies.limits(study, spec).enough),
        counts.errors(trials),
    )
