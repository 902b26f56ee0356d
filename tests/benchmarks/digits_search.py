"""The 40-trial digits search, command to answer: optsearch against a plain Optuna script.

    python tests/benchmarks/digits_search.py --rounds 5

Both start as fresh processes, in turn. optsearch also writes SQLite, learning curves and YAML;
the script keeps everything in memory.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

HERE = Path(__file__).parent


def plain(seed: int) -> tuple[float, float]:
    """(seconds, best validation accuracy) of the script."""
    command = [sys.executable, str(HERE / "plain_optuna.py"), str(seed)]
    started = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return time.perf_counter() - started, float(done.stdout)


def ours(seed: int) -> tuple[float, float]:
    """(seconds, best validation accuracy) of `optsearch run --study digits`."""
    with tempfile.TemporaryDirectory() as folder:
        command = [str(Path(sys.executable).parent / "optsearch")]
        url = ["--storage", f"sqlite:///{folder}/digits.db"]
        run = [*command, "run", "--no-confirm", "--study", "digits", "--set", f"seed={seed}", *url]
        started = time.perf_counter()
        subprocess.run(run, cwd=folder, capture_output=True, check=True)
        seconds = time.perf_counter() - started
        show = [*command, "show", "--study", "digits", "--json", *url]
        shown = subprocess.run(show, cwd=folder, capture_output=True, text=True, check=True)
        return seconds, float(json.loads(shown.stdout)["best"]["value"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = [(plain(seed), ours(seed)) for seed in range(parser.parse_args().rounds)]
    print(f"{date.today()}, {platform.machine()}, {len(os.sched_getaffinity(0))} cores\n")
    print("| seed | plain script, s | its accuracy | optsearch, s | its accuracy | ratio |")
    print("|---|---|---|---|---|---|")
    for seed, (a, b) in enumerate(rounds):
        print(f"| {seed} | {a[0]:.1f} | {a[1]:.4f} | {b[0]:.1f} | {b[1]:.4f} | {a[0] / b[0]:.2f} |")
    ratios = [a[0] / b[0] for a, b in rounds]
    print(
        f"\nmedian ratio {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
    )


if __name__ == "__main__":
    main()
