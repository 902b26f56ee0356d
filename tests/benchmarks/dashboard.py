"""How long a browser waits for a study of ten thousand trials: optuna-dashboard and optsearch.

    python tests/benchmarks/dashboard.py --trials 10000 --rounds 3

Trials of 20 epochs and six parameters each, in SQLite. Each side serves in a process of its own and
is asked over HTTP: the study while nothing has been read (cold), then, in turn, the study's whole
data and the list of studies, as a browser asks for them (gzip where the server has it). optsearch
reads the study by itself after its start (warm-up, asked for at once it takes as long). Resident
memory is the most that the server's process had.
"""

import argparse
import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from datetime import date
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SIDES = {
    "optuna-dashboard": """
import sys, wsgiref.simple_server as simple
from optuna_dashboard import wsgi
server = simple.make_server("127.0.0.1", 0, wsgi(sys.argv[1]))
print(server.server_port, flush=True)
server.serve_forever()
""",
    "optsearch": """
import sys
from search.dashboard import serve
server = serve.create_server(sys.argv[1], 0)
print(server.effective_port, flush=True)
server.run()
""",
}


@contextlib.contextmanager
def serving(side: str, url: str) -> Iterator[tuple[str, int]]:
    """The address and the process of a server."""
    command = [sys.executable, "-c", SIDES[side], url]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=ROOT, text=True
    ) as process:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}", process.pid
        process.terminate()


def get(address: str) -> tuple[float, int]:
    """Seconds until the whole answer is there, and its size in bytes."""
    asked = urllib.request.Request(address, headers={"Accept-Encoding": "gzip"})
    started = time.perf_counter()
    with urllib.request.urlopen(asked, timeout=600) as answer:
        size = len(answer.read())
    return time.perf_counter() - started, size


def peak_mib(pid: int) -> int:
    """The most resident memory that a process had (Linux)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) // 1024
    return 0


def row(side: str, url: str, rounds: int) -> str:
    with serving(side, url) as (address, pid):
        cold, size = get(f"{address}/api/studies/1?after=0")
        study = [get(f"{address}/api/studies/1?after=0")[0] for _ in range(rounds)]
        poll = [get(f"{address}/api/studies/1?after=10000000")[0] for _ in range(rounds)]
        studies = [get(f"{address}/api/studies")[0] for _ in range(rounds)]
        seconds = [cold, *(statistics.median(s) for s in (study, poll, studies))]
        cells = [side, *(f"{s:.2f}" for s in seconds), f"{size / 1e6:.1f}", str(peak_mib(pid))]
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    from tests.benchmarks.overhead import fill

    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/a.db"
        fill(url, options.trials)
        print(f"{date.today()}, {len(os.sched_getaffinity(0))} cores, {options.trials} trials\n")
        heads = ["server", "cold, s", "study, s", "poll, s", "list, s", "MB sent", "MiB resident"]
        print("| " + " | ".join(heads) + " |\n" + "|---" * len(heads) + "|")
        for side in SIDES:
            print(row(side, url, options.rounds), flush=True)


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main()
