"""What a confusion matrix says of each class: precision, recall, F1."""

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import optuna

COLUMNS = ("class", "images", "precision", "recall", "f1")
FILE = "classes.csv"  # beside a model
KEPT = "by_class"  # study attribute: of the winner's model, on the test images
MOST = 50  # classes that are all shown; of more the weakest


def of(matrix: Sequence[Sequence[int]], names: Sequence[str]) -> list[dict[str, Any]]:
    """A row a class with COLUMNS, scikit-learn's values; None for a share of nothing.

    Args:
        matrix: images of each class (rows), by what they were taken for.
    """
    given = [sum(column) for column in zip(*matrix, strict=True)]
    rows = []
    for i, name in enumerate(names):
        right, images = matrix[i][i], sum(matrix[i])
        shares = (
            _share(right, given[i]),
            _share(right, images),
            _share(2 * right, given[i] + images),
        )
        rows.append(dict(zip(COLUMNS, (name, images, *shares), strict=True)))
    return rows


def names(out: Path, files: Sequence[str] | None, matrix: Sequence[Any]) -> list[str]:
    """What the objective called its classes where it saved a description; else their numbers."""
    for file in files or ():
        if file.endswith(".json"):
            found = json.loads((out / file).read_text(encoding="utf-8")).get("classes", [])
            if len(found) == len(matrix):
                return [str(name) for name in found]
    return [str(i) for i in range(len(matrix))]


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def weakest(rows: Sequence[dict[str, Any]]) -> str:
    """The class of the lowest F1 in a line; "" where there is none.

    `weakest class: 'cat', F1 0.7912 (precision 0.8100, recall 0.7732), 100 images`
    """
    known = [row for row in rows if row["f1"] is not None]
    if not known:
        return ""
    row = min(known, key=lambda row: row["f1"])
    shares = [
        f"{name} {'of nothing' if row[name] is None else format(row[name], '.4f')}"
        for name in ("precision", "recall")
    ]
    return (
        f"weakest class: '{row['class']}', F1 {row['f1']:.4f} ({', '.join(shares)}), "
        f"{row['images']} images"
    )


def as_csv(rows: Sequence[dict[str, Any]]) -> bytes:
    """A line a class, an empty cell for a share of nothing."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def keep(study: optuna.Study, number: int, seed: int, rows: Sequence[dict[str, Any]]) -> None:
    """Put the rows of a winner's model into the study, for its report."""
    digits = [[_short(row[name]) for name in COLUMNS] for row in rows]
    study.set_user_attr(KEPT, {"trial": number, "seed": seed, "rows": digits})


def _short(value: Any) -> Any:
    return round(value, 4) if isinstance(value, float) else value


def kept(study: optuna.Study, number: int) -> tuple[int, list[dict[str, Any]]]:
    """The seed of the winner's model, and its rows; none where another trial won since."""
    about = study.user_attrs.get(KEPT) or {}
    if about.get("trial") != number:
        return 0, []
    return about["seed"], [dict(zip(COLUMNS, row, strict=True)) for row in about["rows"]]


def cells(rows: Sequence[dict[str, Any]]) -> list[dict[str, str]]:
    """For tables; of more than MOST classes the weakest, by F1, first."""
    if len(rows) > MOST:
        rows = sorted(rows, key=lambda row: row["f1"] or 0.0)[:MOST]
    return [{name: _cell(row[name]) for name in COLUMNS} for row in rows]


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4f}"
    return "-" if value is None else f"{value:,}" if isinstance(value, int) else str(value)
