"""Optuna's PyTorch tutorial, command to answer: optsearch with two workers against plain Python.

    python tests/benchmarks/own_objective.py --data-dir FOLDER_WITH_MNIST --rounds 5

The objective (`pytorch_simple.py`) is what anybody has: it declares no `threads`, no `seed`, no
`workdir`. Both sides start as fresh processes, in turn, with the same sampler, pruner and seed. How
many epochs are pruned is chance, so that the ratio of seconds an epoch is told beside that of
seconds. `--out` keeps the rounds; what it holds is not measured again.
"""

import argparse
import gzip
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
OBJECTIVE = Path(__file__).with_name("pytorch_simple.py")
TABLE = Path(__file__).parent / "tables" / "own_objective.json"
OURS = [sys.executable, "-c", "from search.cli import main; main()"]
STUDY = """\
objective: ./pytorch_simple.py:objective
budget: {{trials: {trials}}}
seed: {seed}
sampler: tpe
pruner: median
confirm: false
"""

Side = dict[str, float]  # `seconds`, `best` accuracy, `epochs` trained


def lay_out(data_dir: Path, folder: Path) -> None:
    """MNIST where torchvision looks for it, and the objective beside it."""
    raw = folder / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for packed in data_dir.glob("*-ubyte.gz"):
        with gzip.open(packed) as source, (raw / packed.stem).open("wb") as target:
            shutil.copyfileobj(source, target)
    shutil.copy(OBJECTIVE, folder)


def plain(folder: Path, trials: int, seed: int) -> Side:
    """`python pytorch_simple.py`."""
    command = [sys.executable, OBJECTIVE.name, str(trials), str(seed)]
    seconds, out = timed(command, folder)
    best, epochs = map(float, out.split())
    return {"seconds": seconds, "best": best, "epochs": epochs}


def ours(folder: Path, trials: int, seed: int, workers: int) -> Side:
    """`optsearch run`, with a study file of six lines."""
    (folder / "tutorial.yaml").write_text(STUDY.format(trials=trials, seed=seed))
    url = ["--storage", f"sqlite:///{folder}/{seed}.db"]
    run = ["run", "--study", "./tutorial.yaml", "--workers", str(workers), "--log", "quiet", *url]
    seconds, _ = timed([*OURS, *run], folder)
    _, out = timed([*OURS, "show", "--study", "tutorial", "--json", *url], folder)
    told = json.loads(out)
    Path(folder, f"{seed}.db").unlink()
    return {"seconds": seconds, "best": told["best"]["value"], "epochs": told["epochs"]}


def timed(command: list[str], folder: Path) -> tuple[float, str]:
    """Seconds of a fresh process, and what it printed."""
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    seen = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
    started = time.perf_counter()
    done = subprocess.run(command, cwd=folder, env=seen, capture_output=True, text=True, check=True)
    return time.perf_counter() - started, done.stdout


def table(rounds: list[dict[str, Any]]) -> str:
    """Markdown: a row a round, and the medians of the ratios."""
    heads = ["seed", "plain, s", "epochs", "accuracy", "optsearch, s", "epochs", "accuracy"]
    heads += ["ratio", "of seconds an epoch"]
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    ratios: list[tuple[float, float]] = []
    for row in rounds:
        a, b = row["plain"], row["optsearch"]
        whole = a["seconds"] / b["seconds"]
        ratios.append((whole, whole * b["epochs"] / a["epochs"]))
        cells = [f"{s['seconds']:.1f} | {s['epochs']:.0f} | {s['best']:.4f}" for s in (a, b)]
        lines.append(f"| {row['seed']} | {' | '.join(cells)} | {whole:.2f} | {ratios[-1][1]:.2f} |")
    medians = " and ".join(
        f"{statistics.median(column):.2f}" for column in zip(*ratios, strict=True)
    )
    return "\n".join([*lines, "", f"median ratios {medians}"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", type=Path, required=True, help="holds MNIST's four *.gz")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, default=TABLE)
    options = parser.parse_args()
    rounds = json.loads(options.out.read_text()) if options.out.exists() else []
    with tempfile.TemporaryDirectory() as name:
        lay_out(options.data_dir, Path(name))
        for seed in range(len(rounds), options.rounds):
            sides = {
                "plain": plain(Path(name), options.trials, seed),
                "optsearch": ours(Path(name), options.trials, seed, options.workers),
            }
            about = {"trials": options.trials, "workers": options.workers, "load": os.getloadavg()}
            rounds.append({"seed": seed, **sides, **about, "date": str(date.today())})
            options.out.write_text(json.dumps(rounds, indent=1) + "\n")
    print(f"{date.today()}, {platform.machine()}, {len(os.sched_getaffinity(0))} cores\n")
    print(table(rounds))


if __name__ == "__main__":
    main()
