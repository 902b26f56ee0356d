"""What one training leaves in its folder: metrics, and pictures."""

import dataclasses
import hashlib
import json
import math
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from search.answers import classes, figures, pictures
from search.answers.agreement import Machine
from search.errors import OutputError
from search.record import results

METRICS = "metrics.json"
CURVE, CONFUSION = "learning-curve.svg", "confusion.svg"
WORK = "work"  # checkpoints, until the training has ended


def check_folder(out: Path, question: dict[str, Any]) -> None:
    """Raise OutputError where `out` holds the result of another question.

    Args:
        question: all that makes a result what it is: configuration, seed, where it began.
    """
    try:
        held = json.loads((out / METRICS).read_text(encoding="utf-8"))["question"]
    except FileNotFoundError:
        return
    except (ValueError, KeyError, TypeError):
        raise OutputError(
            f"--out {out}: {METRICS} there is none of ours, and would be lost; name another one"
        ) from None
    asked = _plain(question)
    if other := [key for key in {**asked, **held} if held.get(key) != asked.get(key)]:
        raise OutputError(
            f"--out {out}: holds a result with another {', '.join(other)}; "
            "name another one, or remove it"
        )


def workdir(out: Path, question: dict[str, Any]) -> Path:
    """Where the checkpoints of a question are kept: no other one finds them."""
    asked = json.dumps(_plain(question), sort_keys=True).encode()
    return out / WORK / hashlib.sha256(asked).hexdigest()[:16]


def metrics(
    done: dict[str, Any], found: dict[str, Any], metric: str, machine: Machine
) -> dict[str, Any]:
    """Scores and where they come from, for programs to read."""
    attrs = done["attrs"]
    about = {key: attrs[key] for key in ("best_epoch", "stop_epoch") if key in attrs}
    trial = as_trial(done)
    return {
        "score": {metric: done["value"], "reason": done["reason"], **about},
        **{split: found[split] for split in ("validation", "test") if found.get(split)},
        "confusion": {"split": found.get("split"), "classes": found.get("classes")}
        | {"matrix": found.get("confusion"), "by_class": by_class(found)},
        "history": results.history(trial),
        "machine": dataclasses.asdict(machine),
    }


def by_class(found: dict[str, Any]) -> list[dict[str, Any]]:
    """Precision, recall and F1 of each class; [] where there is no confusion matrix."""
    return classes.of(found["confusion"], found["classes"]) if found.get("confusion") else []


def words(metrics: dict[str, Any]) -> str:
    """The score in a few words: `val_accuracy 0.9926 (plateau)`."""
    (metric, value), (_, reason), *_rest = metrics["score"].items()
    told = "no score" if value is None else f"{metric} {value:.4f}"
    return f"{told} ({reason})" if reason else told


def as_trial(done: dict[str, Any]) -> FrozenTrial:
    """The training as Optuna's record of a trial, which figures and tables read."""
    complete = done["value"] is not None
    return optuna.trial.create_trial(
        state=TrialState.COMPLETE if complete else TrialState.PRUNED,
        value=done["value"],
        user_attrs=done["attrs"],
        intermediate_values=done["reports"],
    )


def write(
    out: Path, title: str, metrics: dict[str, Any], done: dict[str, Any], found: dict[str, Any]
) -> list[Path]:
    """Write metrics and pictures into the folder, each whole or not at all; their paths.

    Args:
        done: what `requests.replay` answered.
        found: what `requests.measure` answered, with `classes`; {} where the training broke off.
    """
    files: dict[str, bytes] = {METRICS: _json(metrics)}
    trial = as_trial(done)
    if trial.intermediate_values:
        files[CURVE] = figures.learning_curve(trial, title)
    if found.get("confusion"):
        files[CONFUSION] = pictures.confusion(
            found["confusion"], found["classes"], f"{title}, {found['split']} images"
        )
        files[classes.FILE] = classes.as_csv(by_class(found))
    for name in (CURVE, CONFUSION, classes.FILE):
        (out / name).unlink(missing_ok=True)  # of an earlier training
    return [_write(out / name, content) for name, content in files.items()]


def _json(value: Any) -> bytes:
    return (json.dumps(_plain(value), indent=2, allow_nan=False) + "\n").encode()


def _plain(value: Any) -> Any:
    """As JSON gives it back; what is no number is null."""
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _write(file: Path, content: bytes) -> Path:
    part = file.with_name(f".{file.name}.part")
    try:
        part.write_bytes(content)
        part.replace(file)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise OutputError(f"--out {file}: cannot be written: {error.strerror or error}") from error
    return file
