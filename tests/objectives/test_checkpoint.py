"""Checkpoints: whole or not at all, and nothing in them is ever run."""

import pickle

import pytest
import torch

from objectives import checkpoint

STATE = {"identity": {"seed": 1}, "run": {"weights": torch.arange(3.0), "history": [{"loss": 0.5}]}}


def test_what_was_saved_is_loaded(tmp_path):
    """Tensors bit for bit; the folder is made."""
    checkpoint.save(tmp_path / "new" / "c.pt", STATE)
    state = checkpoint.load(tmp_path / "new" / "c.pt", {"seed": 1})
    assert torch.equal(state["run"]["weights"], torch.arange(3.0))
    assert state["run"]["history"] == [{"loss": 0.5}]


def test_another_runs_checkpoint_is_not_taken(tmp_path):
    """Another configuration, seed or torch starts anew."""
    checkpoint.save(tmp_path / "c.pt", STATE)
    assert checkpoint.load(tmp_path / "c.pt", {"seed": 2}) is None


@pytest.mark.parametrize("cut", [0, 1, 100, -1])
def test_a_truncated_file_counts_as_none(cut, tmp_path):
    """A run then starts from its beginning, instead of failing."""
    checkpoint.save(tmp_path / "c.pt", STATE)
    (tmp_path / "c.pt").write_bytes((tmp_path / "c.pt").read_bytes()[:cut])
    assert checkpoint.load(tmp_path / "c.pt") is None
    assert checkpoint.load(tmp_path / "missing.pt") is None


def test_a_failed_save_leaves_the_old_file_and_no_litter(tmp_path):
    """The new one is written beside it first."""
    checkpoint.save(tmp_path / "c.pt", STATE)
    with pytest.raises((AttributeError, pickle.PicklingError)):
        checkpoint.save(tmp_path / "c.pt", {"identity": lambda: None})
    assert checkpoint.load(tmp_path / "c.pt", {"seed": 1}) is not None
    assert [path.name for path in tmp_path.iterdir()] == ["c.pt"]


class Harmful:
    def __reduce__(self):
        return exec, ("raise SystemExit('ran')",)


def test_code_in_a_file_is_not_run(tmp_path):
    """A pickle with a payload counts as no checkpoint."""
    torch.save({"identity": Harmful()}, tmp_path / "c.pt")
    assert checkpoint.load(tmp_path / "c.pt") is None
