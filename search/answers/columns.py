"""What a table shows of a comparison: the same columns in the terminal and in the report."""

import math
from collections.abc import Collection

from search.answers.compare import Comparison
from search.answers.verdicts import Row


def cells(found: Comparison, without: Collection[str] = ()) -> list[dict[str, str]]:
    """What a table shows of each row, by column; columns that nobody fills are left out, and those
    that are named."""
    rows = [_cells(found, row) for row in found.rows]
    empty = {k for k in rows[0] if all(r[k] in ("", "-") for r in rows)} if rows else set()
    return [{k: v for k, v in row.items() if k not in {*empty, *without}} for row in rows]


def test(found: Comparison) -> str:
    """The column of scores on the test set."""
    return "test_" + found.metric.removeprefix("val_")


def _cells(found: Comparison, row: Row) -> dict[str, str]:
    return {
        found.by: row.value,
        "study": row.study,
        "verdict": row.verdict,  # so early that a phone shows it
        found.metric: row.score.short if row.score else "-",
        "seeds": str(row.seeds) if row.seeds else "-",
        test(found): row.test.short if row.test else "-",
        "P(best)": "-" if row.p_best is None else f"{row.p_best:.0%}",
        "tried": _tried(row),
        "to target": _count(row.epochs, "{:.0f} ep"),
        "time": _count(row.seconds, "{:.1f} s"),
        "data": row.data,
    }


def _tried(row: Row) -> str:
    """`6 in 38 ep`: how many configurations, and what they took where epochs were reported."""
    epochs = f" in {row.epochs_spent} ep" if row.epochs_spent else ""
    return f"{row.configurations}{epochs}"


def _count(value: float | None, form: str) -> str:
    if value is None:
        return "-"
    return "never" if value == math.inf else form.format(value)
