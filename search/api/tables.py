"""What a study has found, as tables, figures and a configuration."""

import warnings
from typing import TYPE_CHECKING, Any

from search.api import words
from search.api.run import Answer

if TYPE_CHECKING:
    import pandas
    import plotly.graph_objects as go  # type: ignore[import-untyped]

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

    loaded = _load(study, storage)
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

    loaded = _load(study, storage)
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

    drawn = plots.drawn(_load(study, storage))
    for line in plots.left_out(drawn):
        warnings.warn(line, stacklevel=3)
    return {name: one.figure for name, one in drawn.items() if one.figure is not None}


def _load(study: str | Answer, storage: str | None) -> Any:
    from search.database import storage as storages
    from search.record import study as studies

    name = study
    if isinstance(study, Answer):
        name, storage = study.study, storage or study.storage
    return studies.load_study(str(name), storages.resolve_url(storage), create=False)
