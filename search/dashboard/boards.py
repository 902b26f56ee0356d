"""Tables of an answer as HTML: the values that are asked about, the candidates, the best trials."""

from html import escape

import optuna

from search.answers import brief, columns, confirm, evidence
from search.answers.compare import Comparison
from search.answers.evidence import Evidence
from search.dashboard import pieces
from search.record import results
from search.record.progress import params_words

BEST = 5  # trials


def of_values(study: optuna.Study, found: Comparison) -> str:
    """A row a value, best first, with the trial that speaks for it."""
    rows = columns.cells(found, brief.WITHOUT)
    cells = [
        [*map(escape, named.values()), pieces.of(study, row.number)]
        for row, named in zip(found.rows, rows, strict=True)
    ]
    return pieces.table(f"The values of {found.by}, best first", [*rows[0], "trial"], cells)


def of_candidates(study: optuna.Study, known: Evidence) -> str:
    """A row a candidate: its intervals on fresh seeds, its verdict."""
    cells = [
        [
            pieces.of(study, c.number),
            escape(c.interval.short) if c.interval else "-",
            escape(c.test.short) if c.test else "-",
            str(len(c.scores)),
            escape(c.state),
        ]
        for c in known.candidates
    ]
    heads = ["trial", known.metric, known.test_metric, "seeds", "verdict"]
    return pieces.table("Candidates on fresh seeds: mean and 95 % interval", heads, cells)


def of_best(study: optuna.Study) -> str:
    """A row a trial, with its one seed in the search; once fresh seeds have given an answer as they
    order them, with what they have shown."""
    known = evidence.at_work(study)
    fresh = {c.number: c.interval for c in known.candidates} if known else {}
    has_fresh = any(fresh.values())
    cells = [
        [
            pieces.of(study, t.number),
            "-" if t.value is None else f"{t.value:.4f}",
            *([escape(about.short) if (about := fresh.get(t.number)) else "-"] * has_fresh),
            *([str(results.epochs_run(t))] * (not has_fresh)),
            escape(params_words(t.params)),
        ]
        for t in confirm.ranking(study)[:BEST]
    ]
    named = ["one seed", "fresh seeds"] if has_fresh else [results.metric(study), "epochs"]
    return pieces.table("The best trials", ["trial", *named, "parameters"], cells)
