"""Where a run from Python keeps what it writes: nothing in the current folder unless asked."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from search.database import storage as storages
from search.errors import StorageError


class Places(NamedTuple):
    """The URL of the database, the folder of checkpoints and models, the file of the answer."""

    storage: str
    workdir: Path
    out: Path | None

    @property
    def told(self) -> str:
        """The URL as it may be shown."""
        return storages.redacted(self.storage)


@contextlib.contextmanager
def of(
    storage: str | None, workdir: str | Path | None, out: str | Path | None, *, keep: bool
) -> Iterator[Places]:
    """Where nothing is named, a temporary folder of this run's own; it stays, as a killed run is
    resumed from it. Checkpoints lie beside the file of a named SQLite database.

    Args:
        keep: whether the run writes anything that anybody will read.
    """
    url = (storage or os.environ.get("OPTSEARCH_STORAGE", "")).strip()
    file = storages.file(url) if url else None
    beside = file.parent if file else None
    folder = None
    if not url or (workdir is None and beside is None):
        folder = Path(tempfile.mkdtemp(prefix="optsearch-"))
    url = url or f"sqlite:///{folder}/optsearch.db"
    work = Path(workdir) if workdir is not None else (beside or folder or Path()) / "work"
    try:
        yield Places(url, work, None if out is None else Path(out))
    except BaseException:
        keep = keep and _has_begun(url)
        raise
    finally:
        if folder is not None and not keep:
            shutil.rmtree(folder, ignore_errors=True)


def _has_begun(url: str) -> bool:
    """Whether there is a study; what failed before has left nothing to go on with."""
    file = storages.file(url)
    if file is not None and not file.exists():
        return False
    try:
        return bool(storages.open_storage(url, create=False).get_all_studies())
    except StorageError:  # it cannot be read, now: nothing of it is removed
        return True
