"""Trackers by name: what a run of a study becomes in each. A new one is a class and a row.

Each is used from one thread. Where a tracker keeps things is its own to say, in its own variables
of the environment; else below the folder that holds `runs/work`.
"""

import hashlib
import importlib.util
import logging
import math
import os
import platform
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol


class Run(NamedTuple):
    """A run as a tracker has it: of a `group` (the study), `kind` is trial, confirm or answer."""

    group: str
    name: str
    kind: str
    params: Mapping[str, Any]
    about: Mapping[str, Any]


class Tracker(Protocol):
    """Keeps runs. `point` is told an epoch from 0 with values by name, in any order of names.

    `place` tells one store from others, on whichever host; `is_empty` where none of it is there.
    """

    place: str

    def is_empty(self) -> bool: ...
    def begin(self, run: Run) -> None: ...
    def point(self, run: Run, epoch: int, values: Mapping[str, float]) -> None: ...
    def end(self, run: Run, outcome: Mapping[str, Any], files: Sequence[Path]) -> None: ...
    def close(self) -> None: ...  # runs that have not ended may go on in a later command


class TensorBoard:
    """Event files in FOLDER/tensorboard/STUDY/RUN, for `tensorboard --logdir`."""

    def __init__(self, folder: Path, study: str, uid: str) -> None:
        self._folder = folder / "tensorboard" / _file_name(study, uid)
        self.place = _here(self._folder)
        self._writers: dict[str, Any] = {}

    def is_empty(self) -> bool:
        return not self._folder.is_dir()

    def begin(self, run: Run) -> None:
        from tensorboard.compat.proto.event_pb2 import Event, SessionLog
        from tensorboard.plugins.hparams import summary_v2
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        self._writers[run.name] = EventFileWriter(str(self._folder / run.name), flush_secs=5)
        restart = SessionLog(
            status=SessionLog.START
        )  # of an earlier command's file, nothing is left
        self._writers[run.name].add_event(Event(wall_time=time.time(), step=0, session_log=restart))
        params = {k: v if isinstance(v, bool | int | float) else str(v)
                  for k, v in run.params.items()}  # fmt: skip
        self._write(run, 0, summary_v2.hparams_pb(params, trial_id=run.name))

    def point(self, run: Run, epoch: int, values: Mapping[str, float]) -> None:
        from tensorboard.compat.proto.summary_pb2 import Summary

        named = [Summary.Value(tag=k, simple_value=v) for k, v in values.items()]
        self._write(run, epoch, Summary(value=named))

    def end(self, run: Run, outcome: Mapping[str, Any], files: Sequence[Path]) -> None:
        from tensorboard.plugins.text import summary_v2

        if math.isfinite(outcome.get("score", math.nan)):  # a column of HParams
            self.point(run, 0, {"score": outcome["score"]})
        told = ", ".join(f"{k}: {v}" for k, v in outcome.items() if v is not None)
        self._write(run, 0, summary_v2.text_pb("outcome", told))
        for file in files:
            if file.suffix == ".yaml":
                text = "".join(f"    {line}\n" for line in file.read_text("utf-8").splitlines())
                self._write(run, 0, summary_v2.text_pb(file.name, text))
        self._writers.pop(run.name).close()

    def close(self) -> None:
        for writer in self._writers.values():
            writer.close()

    def _write(self, run: Run, step: int, summary: Any) -> None:
        from tensorboard.compat.proto.event_pb2 import Event

        event = Event(wall_time=time.time(), step=step, summary=summary)
        self._writers[run.name].add_event(event)


class MLflow:
    """Runs of an experiment that is called as the study; in MLFLOW_TRACKING_URI, else in
    FOLDER/mlflow.db."""

    def __init__(self, folder: Path, study: str, uid: str) -> None:
        self._folder, self._study, self._uid = folder, study, uid
        self._told = os.environ.get("MLFLOW_TRACKING_URI")
        self.place = self._told or _here(folder)
        self._client: Any = None
        self._ids: dict[str, str] = {}
        self._had: dict[tuple[str, str], int] = {}  # epochs that an earlier command has told

    def is_empty(self) -> bool:
        return self._told is None and not Path(self._folder, "mlflow.db").exists()

    def begin(self, run: Run) -> None:
        tags = {"optsearch.uid": self._uid, "optsearch.run": run.name, "optsearch.kind": run.kind}
        client, experiment = self._open()
        same = " and ".join(f"tags.`{key}` = '{value}'" for key, value in tags.items())
        found = client.search_runs([experiment], same, max_results=1)
        told = found[0] if found else client.create_run(experiment, run_name=run.name, tags=tags)
        number = self._ids[run.name] = told.info.run_id
        client.update_run(number, status="RUNNING")
        for name in found[0].data.metrics if found else ():
            steps = [one.step for one in client.get_metric_history(number, name)]
            self._had[run.name, name] = max(steps, default=-1)
        for name, value in {**run.params, **run.about}.items() if not found else ():
            client.log_param(number, name, value)

    def point(self, run: Run, epoch: int, values: Mapping[str, float]) -> None:
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        new = [
            Metric(name, value, now, epoch)
            for name, value in values.items()
            if run.kind == "answer" or epoch > self._had.get((run.name, name), -1)
        ]
        if new:
            self._client.log_batch(self._ids[run.name], metrics=new)

    def end(self, run: Run, outcome: Mapping[str, Any], files: Sequence[Path]) -> None:
        number = self._ids[run.name]
        for name, value in outcome.items():
            if name == "score" and math.isfinite(value):
                self._client.log_metric(number, name, value)
            elif value is not None:
                self._client.set_tag(number, f"optsearch.{name}", str(value))
        for file in files:
            self._client.log_artifact(number, str(file))
        state = "FAILED" if outcome.get("state") == "fail" else "FINISHED"
        self._client.set_terminated(self._ids.pop(run.name), state)

    def close(self) -> None:
        for number in self._ids.values():
            self._client.update_run(number, status="SCHEDULED")

    def _open(self) -> tuple[Any, str]:
        import mlflow

        if self._client is None:
            for name in ("mlflow", "alembic"):  # of the tables that it makes
                logging.getLogger(name).setLevel(logging.WARNING)
            told, here = self._told, self._folder.absolute()
            here.mkdir(parents=True, exist_ok=True)
            self._client = mlflow.MlflowClient(told or f"sqlite:///{here}/mlflow.db")
            if self._client.get_experiment_by_name(self._study) is None:
                place = None if told else (here / "mlflow-artifacts").as_uri()
                self._client.create_experiment(self._study, artifact_location=place)
        return self._client, self._client.get_experiment_by_name(self._study).experiment_id


class WandB:
    """Runs of a group that is called as the study, in the project WANDB_PROJECT, else optsearch;
    with WANDB_MODE=offline in FOLDER/wandb."""

    def __init__(self, folder: Path, study: str, uid: str) -> None:
        self._folder, self._uid = folder, uid
        self._project = os.environ.get("WANDB_PROJECT", "optsearch")
        self._is_here = os.environ.get("WANDB_MODE") == "offline"
        told = " ".join(os.environ.get(f"WANDB_{name}", "") for name in ("BASE_URL", "ENTITY"))
        self.place = f"{self._project} {_here(folder) if self._is_here else told}"
        self._runs: dict[str, Any] = {}
        self._had: dict[str, int] = {}  # epochs that an earlier command has told

    def is_empty(self) -> bool:
        return self._is_here and not Path(self._folder, "wandb").is_dir()

    def begin(self, run: Run) -> None:
        import wandb

        self._folder.mkdir(parents=True, exist_ok=True)
        known = hashlib.sha256(f"{self._uid}/{run.name}".encode()).hexdigest()[:16]
        self._runs[run.name] = opened = wandb.init(
            project=self._project,
            group=run.group,
            name=run.name,
            id=known,
            job_type=run.kind,
            config={**run.params, "optsearch": dict(run.about)},
            dir=str(self._folder),
            resume="allow",
            reinit="create_new",
            settings=wandb.Settings(silent=True, console="off", x_disable_stats=True),
        )
        opened.define_metric("*", step_metric="epoch")
        had = opened.summary.get("epoch") if opened.resumed else None
        self._had[run.name] = -1 if had is None or run.kind == "answer" else int(had)

    def point(self, run: Run, epoch: int, values: Mapping[str, float]) -> None:
        if epoch > self._had[run.name]:
            self._runs[run.name].log({"epoch": epoch, **values})

    def end(self, run: Run, outcome: Mapping[str, Any], files: Sequence[Path]) -> None:
        import wandb

        opened = self._runs.pop(run.name)
        opened.summary.update({k: v for k, v in outcome.items() if v is not None})
        if files:
            kept = wandb.Artifact(_file_name(run.group, run.name), "answer")
            for file in files:
                kept.add_file(str(file))
            opened.log_artifact(kept)
        opened.finish(exit_code=int(outcome.get("state") == "fail"))

    def close(self) -> None:
        for opened in self._runs.values():
            opened.finish()


TRACKERS: dict[str, Callable[[Path, str, str], Tracker]] = {
    "tensorboard": TensorBoard,
    "mlflow": MLflow,
    "wandb": WandB,
}


def missing(names: Sequence[str]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Those whose package is not here."""
    for i, name in enumerate(names):
        if importlib.util.find_spec(name) is None:
            told = f"{name} is not installed here; pip install 'optsearch[{name}]', or drop it"
            yield ("track", i), told


def _here(folder: Path) -> str:
    """A folder of this host."""
    return f"{platform.node()} {folder.absolute()}"


def _file_name(*words: str) -> str:
    return re.sub(r"[^\w.-]", "_", "-".join(words))
