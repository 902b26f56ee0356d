"""`run --dashboard`: the live page of a study, served for as long as its run lasts."""

import contextlib
from collections.abc import Iterator

import optuna

from search.record.listener import Listener


@contextlib.contextmanager
def served(study: optuna.Study, url: str, listener: Listener, *, is_wanted: bool) -> Iterator[None]:
    """Serve the dashboard of a storage beside what is done in here, and tell where the study is.

    Raises:
        UsageError: its password in the environment is none.
    """
    if not is_wanted:
        yield
        return
    from search.dashboard import serve  # optuna-dashboard takes a second to import

    with serve.beside(url) as address:
        place = f"{address}live/{study._study_id}"
        listener.warn(study.study_name, f"live page, until this run ends: {place}")
        yield
