"""objectives/paths.py: a path with a ~ is somebody's home, or one line says that it is not."""

from collections.abc import Callable
from pathlib import Path

import pytest

from objectives import borrowed, folder, paths, store

NOBODY = "~nobody-of-that-name"


def test_a_tilde_is_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Anything else stays as it is."""
    monkeypatch.setenv("HOME", str(tmp_path))
    assert paths.expanded("~/a", "x") == tmp_path / "a"
    assert paths.expanded("b/~/a", "x") == Path("b/~/a")


@pytest.mark.parametrize(
    ("use", "place"),
    [
        (lambda: store.folders(f"{NOBODY}/d"), "settings.data_dir"),
        (lambda: borrowed.user_function(f"{NOBODY}/n.py:build"), "network"),
        (lambda: borrowed._state("resnet9", f"{NOBODY}/w.pt"), "resnet9: weights"),
        (lambda: folder._root(f"{NOBODY}/x"), "folder:"),
    ],
)
def test_the_home_of_nobody_is_told_in_a_line(use: Callable[[], object], place: str) -> None:
    """Wherever a path is written: the place and the path."""
    with pytest.raises(ValueError, match=f"^{place} ?{NOBODY}/.*; write the") as caught:
        use()
    assert "\n" not in str(caught.value)


def test_where_data_goes_without_a_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that is named is enough; without one the line says what may be set."""
    monkeypatch.setenv("OPTSEARCH_DATA", f"{NOBODY}/cache")
    assert store.folders(tmp_path) == [tmp_path]
    with pytest.raises(ValueError, match=r"^OPTSEARCH_DATA ~.*set OPTSEARCH_DATA or settings\."):
        store.folders(None)
    monkeypatch.setenv("OPTSEARCH_DATA", f" {tmp_path}\n")
    assert store.folders(None) == [tmp_path]
