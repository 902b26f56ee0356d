"""What fresh seeds say, in plain sentences."""

from collections.abc import Mapping
from typing import Any

from search.answers.evidence import Candidate, Evidence


def of_majority(metric: str, data: Mapping[str, Any]) -> str:
    """What always giving the same answer would score; "" where that is not known, or no accuracy.

    Args:
        data: the facts of a study's data, as its objective told them.
    """
    most = data.get("majority")
    if not most or not metric.endswith("accuracy"):
        return ""
    return f"Always saying '{most['class']}' gives {most['share']:.4f} on the validation images."


def of_evidence(known: Evidence, begun: int, again: str) -> list[str]:
    """The answer in plain sentences, with what may not be concluded.

    Args:
        again: the command that confirms once more.
        begun: trials of the search that have begun by now.
    """
    lines = []
    winner = known.winner
    if winner is None:
        lines.append(
            "No candidate came through its fresh seeds: there is no confirmed answer."
            if known.over
            else f"Not confirmed yet, after {known.runs} runs: the same command goes on."
        )
    else:
        lines.append(_winner_words(known, winner))
    if (optimism := known.optimism) is not None and known.plan.race:
        lines.append(
            f"Optimism: the search's best (trial {known.plan.best}) had shown "
            f"{known.plan.score:.4f}, which is better by {optimism} than its mean on fresh seeds."
        )
    if begun > known.plan.trials:
        lines.append(
            f"The search has gone on since, from {known.plan.trials} to {begun} trials: "
            f"`{again}` looks at what is best now."
        )
    if winner is not None and 0 < len(winner.tests) < len(winner.scores):
        lines.append(
            f"Tested: {len(winner.tests)} of the winner's {len(winner.scores)} models; the others "
            "are not in this --workdir."
        )
    if known.earlier:
        lines.append(
            f"The test set was read for {known.earlier} models of earlier confirmations, too."
        )
    return lines


def _winner_words(known: Evidence, winner: Candidate) -> str:
    assert winner.interval is not None
    parts = [f"{known.metric} {winner.interval}"]
    if winner.test is not None:
        fewer = winner.test.n < winner.interval.n
        parts.append(f"{known.test_metric} {winner.test}" + f" of {winner.test.n} models" * fewer)
    told = f"Winner: trial {winner.number}, {', '.join(parts)} over {winner.interval.n} seeds"
    if winner.interval.n < 2:
        return f"{told[:-1]}; one seed tells nothing about the spread."
    if ties := ", ".join(str(c.number) for c in known.ties):
        told += f"; tied with {ties}: the difference may be chance"
    if not known.plan.race:
        return f"{told}."
    tested = "; the test set was read once, afterwards" if winner.test else ""
    chosen = "It was chosen by its validation scores, so these look a little better than they are"
    return f"{told}. {chosen}{tested}."
