"""How good are the answers of a search, and after how many epochs? Ours against Optuna's.

    python tests/benchmarks/search_quality.py --table lcbench_tasks.json --seeds 10 --epochs 2500 \
        --json out.jsonl
    python tests/benchmarks/search_quality.py --table digits.jsonl --epochs 600 --workers 4

Nothing is trained: tables of learning curves stand for training (`quality_tables`), with the noise
of seeds put back; the searching is the product's own code. One object a line goes to --json:
{"task", "searcher", "seed", "workers", "curve": [[epochs spent, score], ...]}, the score being the
true one of the configuration that the search would answer with then. Ours pays for its confirm
stage (`quality_runs.Answer.total`); the portfolios of LCBench and TaskSet are textbook rows. A
summary in Markdown goes to the terminal; --with adds the lines of earlier runs to it.
"""

import argparse
import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import quality_arms
import quality_runs
import quality_summary
import quality_tables
from quality_own import own

from search.strategy.points import Points

SEARCHERS = ("default", "optuna", "hyperband", "asha", "random")


def tables(paths: list[Path], lcbench: Path | None) -> list[quality_tables.Task]:
    """The tasks of every --table."""
    tasks: list[quality_tables.Task] = []
    for path in paths:
        if path.suffix == ".json":
            tasks += quality_tables.lcbench(path, lcbench)
        elif path.suffix == ".npz":
            tasks += quality_tables.taskset(path)
        elif path.suffix == ".jsonl":
            tasks.append(own(path))
        else:
            raise SystemExit(f"--table {path}: .json, .npz or .jsonl is needed")
    return tasks


def tops(task: quality_tables.Task) -> dict[str, float]:
    """The true best of each arm, of 1,500 random configurations and the portfolio."""
    found: dict[str, float] = {}
    points = Points(task.space)
    places = points.draw(np.random.default_rng(0), 1500 * bool(task.by))
    for params in [*map(points.params, places), *(task.portfolio if task.by else [])]:
        name = str(params[task.by])
        found[name] = max(found.get(name, 0.0), task.true(params))
    return found


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--table", type=Path, action="append", default=[])
    parser.add_argument("--lcbench", type=Path, help="lcbench.onnx, where it is not beside a list")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--epochs", type=int, default=2500)
    parser.add_argument("--workers", type=int, default=1, help="1, 4, 16: asynchronous")
    parser.add_argument("--searchers", default=",".join(SEARCHERS))
    parser.add_argument("--no-portfolio", action="store_true", help="as `portfolio: false`")
    parser.add_argument("--json", type=Path, help="write a line a search")
    parser.add_argument("--with", type=Path, action="append", default=[], dest="earlier")
    return parser.parse_args()


def main() -> None:
    asked = options()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    lines = quality_summary.read(asked.earlier)
    for task in tables(asked.table, asked.lcbench):
        best = tops(task)
        for searcher in asked.searchers.split(","):
            for seed in range(asked.seeds):
                line = search(task, searcher, seed, asked, best)
                lines.append(line)
                if asked.json:
                    with asked.json.open("a") as out:
                        out.write(json.dumps(line) + "\n")
    print(quality_summary.markdown(lines))


def search(
    task: quality_tables.Task,
    searcher: str,
    seed: int,
    asked: argparse.Namespace,
    best: dict[str, float],
) -> dict[str, Any]:
    """The line of one simulated search."""
    if searcher == "default":
        curve, runs = quality_runs.ours(
            task, seed, asked.epochs, asked.workers, portfolio=not asked.no_portfolio
        )
    elif searcher in SEARCHERS:
        curve, runs = quality_runs.optunas(searcher, task, seed, asked.epochs, asked.workers)
    else:
        raise SystemExit(f"--searchers: one of {', '.join(SEARCHERS)}, got {searcher}")
    line = {"task": task.name, "searcher": searcher, "seed": seed, "workers": asked.workers}
    line |= {"epochs": asked.epochs, "longest": task.longest, "portfolio": not asked.no_portfolio}
    line |= {"curve": curve}
    line["arms"] = quality_arms.told(task, runs, best, confirms=searcher == "default")
    if task.by and searcher == "default":
        kept = asked.epochs - sum(len(run.scores) for run in runs)
        for name, verdict in quality_arms.confirmed(task, runs, kept, seed).items():
            line["arms"][name]["verdict"] = verdict
    return line


if __name__ == "__main__":
    main()
