"""What a study has found, as tables, figures and a configuration."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from search.api import warned, words
from search.api.run import Answer

if TYPE_CHECKING:
    import optuna
    import pandas
    import plotly.graph_objects as go  # type: ignore[import-untyped]

    from search.answers.verdicts import Row

_SCORES = ("score", "low", "high", "test", "test_low", "test_high", "p", "p_best")
COMPARED = (*_SCORES, "target_epochs", "target_seconds")  # numbers that may not be known: NaN
NUMBERS = ("number", "value", "best_epoch", "stop_epoch", "epochs", "seconds", "seed")


@words.spoken()
def load_results(
    study: str | Answer, storage: str | None = None, *, history: bool = False
) -> "pandas.DataFrame":
    """A study as a table: a row per trial, its parameters as columns `params.NAME`.

    Numbers are numbers; what is missing is NaN.

    Args:
        study: what `run_study` has returned, or a name in the storage.
        storage: its URL; by default of OPTSEARCH_STORAGE, else sqlite:///runs/optsearch.db.
        history: a row per epoch instead, with `number` (of the trial) and `epoch` (from 0).

    Raises:
        OptsearchError: there is no such study.
    """
    import pandas as pd

    from search.record import results

    loaded = load(study, storage)
    if history:
        rows = results.epoch_rows(loaded)
        return pd.DataFrame(rows, columns=None if rows else ["number", "epoch"])
    rows = [results.flat(row) for row in results.rows(loaded)]
    columns = dict.fromkeys([*results.TRIAL_COLUMNS, *(key for row in rows for key in row)])
    table = pd.DataFrame(rows, columns=list(columns))
    for column in NUMBERS:
        table[column] = pd.to_numeric(table[column])
    return table


@words.spoken()
def best_config(study: str | Answer, storage: str | None = None) -> dict[str, Any]:
    """The configuration of the best trial, every default filled in, as `export` writes it.

    An objective that cannot tell its defaults gives its settings and parameters.

    Args:
        study, storage: as of `load_results`.

    Raises:
        RunFailedError: no trial has completed yet.
    """
    from search.answers import confirm, export
    from search.errors import RunFailedError
    from search.record import study as studies
    from search.workers import process

    loaded = load(study, storage)
    spec = studies.require_spec(loaded)
    best = confirm.answer(loaded)
    if best is None:
        raise RunFailedError(f"study '{spec.name}' has no complete trial yet; run it further first")
    process.warm_up(spec.objective, spec.folder)
    with process.Process() as asked:
        resolved = asked.ask("resolve", study=spec, **export.identity(best))
    return dict(resolved or {**spec.settings, **best.params})


@words.spoken()
def figures(study: str | Answer, storage: str | None = None) -> "dict[str, go.Figure]":
    """The report's figures by name, as plotly objects: a notebook shows them as they are.

    Args:
        study, storage: as of `load_results`.
    """
    from search import plots

    drawn = plots.drawn(load(study, storage))
    for line in plots.left_out(drawn):
        warned.warn(line)
    return {name: one.figure for name, one in drawn.items() if one.figure is not None}


@words.spoken()
def compare(
    study: str | Answer | Sequence[str | Answer],
    by: str | None = None,
    storage: str | None = None,
    *,
    target: float | None = None,
    allow_different_data: bool = False,
) -> "pandas.DataFrame":
    """Which value of a parameter is best: a row a value, best first, by its best configuration.

    `score` is the mean on the fresh seeds of the `seeds` column, `low` and `high` its 95 %
    interval; `test` likewise; `verdict` is best, tied, worse, not compared, one seed or no score,
    `p` that of the leader's lead, corrected, `p_best` how likely the value is the best. `attrs` has
    the answer in words (`sentences`), `by`, `metric` and `target`.

    Args:
        study, storage: as of `load_results`; several studies as a list.
        by: optimizer, schedule or any other parameter; `configuration`; `study`. By default what
            the study asks for, else its first choice.
        target: the score that `target_epochs` and `target_seconds` are counted to.
        allow_different_data: also where data, splits or epochs are not the same.

    Raises:
        OptsearchError: nobody has such a parameter, or the studies measure different things.
    """
    import pandas as pd

    from search.answers import compare as compares
    from search.record import study as studies

    named = [study] if isinstance(study, str | Answer) else list(study)
    loaded = [load(one, storage) for one in named]
    for one in loaded:
        studies.refuse_confirming(one)
    found = compares.compare(loaded, by, target=target, allow_different_data=allow_different_data)
    for line in found.warnings:
        warned.warn(line)
    index = pd.Index([row.value for row in found.rows], name=found.by)
    table = pd.DataFrame([_compared(row) for row in found.rows], index=index)
    table = table.astype(dict.fromkeys(COMPARED, float))
    table = table if len(loaded) > 1 else table.drop(columns="study")
    table.attrs = {"by": found.by, "metric": found.metric, "target": found.target}
    table.attrs["sentences"] = [words.python(line) for line in found.sentences]
    return table


def _compared(row: "Row") -> dict[str, Any]:
    """A value's row; a number that is not known is NaN."""
    score, test = row.score, row.test
    return {
        "study": row.study,
        "verdict": row.verdict,
        "score": score and score.mean,
        "low": score and score.low,
        "high": score and score.high,
        "seeds": row.seeds,
        "test": test and test.mean,
        "test_low": test and test.low,
        "test_high": test and test.high,
        "p": row.p,
        "p_best": row.p_best,
        "configurations": row.configurations,
        "epochs": row.epochs_spent,
        "target_epochs": row.epochs,
        "target_seconds": row.seconds,
        "trial": row.number,
        **{f"params.{name}": value for name, value in row.params.items()},
    }


def load(study: str | Answer, storage: str | None) -> "optuna.Study":
    """The Optuna study of an answer, or of a name in the storage."""
    from search.database import storage as storages
    from search.record import study as studies

    name = study
    if isinstance(study, Answer):
        name, storage = study.study, storage or study.storage
    return studies.load_study(str(name), storages.resolve_url(storage), create=False)
