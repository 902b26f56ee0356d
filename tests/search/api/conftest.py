"""What tests of the Python side share."""

import tempfile
from pathlib import Path

import pytest


@pytest.fixture
def ready(
    folder: Path,
    fork_server: None,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A folder with a study of its own, and one for temporary files."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path_factory.mktemp("temporary")))
