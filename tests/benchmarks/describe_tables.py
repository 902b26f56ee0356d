"""What the tables hold: each optimizer's best, the noise of seeds, where the portfolio stands.

    python tests/benchmarks/describe_tables.py tests/benchmarks/tables/*.jsonl

A score is the best validation accuracy of a training's epochs, in points (hundredths).
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
from collections import defaultdict
from pathlib import Path
from typing import Any

Row = dict[str, Any]


def score(row: Row) -> float:
    """Points of accuracy at the best epoch."""
    return 100 * float(max(accuracy for accuracy, _ in row["val"]))


def by_seeds(rows: list[Row]) -> list[list[float]]:
    """The scores of each configuration that was trained with several seeds."""
    scores = defaultdict(list)
    for row in rows:
        scores[json.dumps(row["params"], sort_keys=True)].append(score(row))
    return [several for several in scores.values() if len(several) > 1]


def true_best(rows: list[Row]) -> float:
    """The best mean over the fresh seeds: the first seed chose, so it does not count."""
    return max(statistics.mean(several[1:]) for several in by_seeds(rows))


def noise(rows: list[Row]) -> float:
    """The standard deviation over seeds, pooled over configurations."""
    return math.sqrt(statistics.mean(statistics.variance(several) for several in by_seeds(rows)))


def percentile(row: Row, others: list[Row]) -> float:
    """The share of the others that score no better, in percent."""
    better = sum(score(other) > score(row) for other in others)
    return 100 * (1 - better / len(others))


def optimizers(rows: list[Row]) -> list[str]:
    """A line for each optimizer."""
    lines = [
        "| optimizer | random | best | mean of its best | sd of seeds | within a point of it |",
        "|---|---|---|---|---|---|",
    ]
    for name in dict.fromkeys(row["params"]["optimizer"] for row in rows):
        mine = [row for row in rows if row["params"]["optimizer"] == name]
        drawn = [row for row in mine if row["from"] == "random"]
        best = true_best(mine)
        near = 100 * statistics.mean(score(row) >= best - 1 for row in drawn)
        top = max(score(row) for row in mine)
        lines.append(
            f"| {name} | {len(drawn)} | {top:.2f} | {best:.2f} | {noise(mine):.2f} | {near:.0f} % |"
        )
    return lines


def known(rows: list[Row]) -> list[str]:
    """A line for each row of the portfolio."""
    lines = [
        "| row | score | percentile of all | of its optimizer |",
        "|---|---|---|---|",
    ]
    drawn = [row for row in rows if row["from"] == "random"]
    for row in rows:
        if row["from"] not in ("random", "again"):
            name = row["params"]["optimizer"]
            same = [other for other in drawn if other["params"]["optimizer"] == name]
            where = f"{percentile(row, drawn):.0f} | {percentile(row, same):.0f}"
            lines.append(f"| {row['from']} | {score(row):.2f} | {where} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tables", nargs="+", type=Path)
    for path in parser.parse_args().tables:
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        minutes = sum(row["seconds"] for row in rows) / 60
        print(f"\n## {path.stem}: {len(rows)} trainings, {minutes:.0f} minutes\n")
        print("\n".join([*optimizers(rows), "", *known(rows)]))


if __name__ == "__main__":
    main()
