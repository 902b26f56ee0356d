"""Checkpoints: whole or not at all, and nothing in them is ever run."""

import hashlib
import io
import multiprocessing
import os
import signal
import time

import pytest
import torch

from objectives import checkpoint

STATE = {"identity": {"seed": 1}, "run": {"weights": torch.arange(3.0), "history": [{"loss": 0.5}]}}


def numbered(number, size=1000):
    """A state whose every part tells which one it is."""
    return {"identity": {"seed": 1}, "number": number, "weights": torch.full((size,), number)}


def number(path):
    """Which state is loaded; 0 for none. Its parts must belong together."""
    state = checkpoint.load(path, {"seed": 1})
    if state is None:
        return 0
    assert (state["weights"] == state["number"]).all()
    return state["number"]


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_what_was_saved_is_loaded(tmp_path):
    """Tensors bit for bit; the folder is made."""
    checkpoint.save(tmp_path / "new" / "c.pt", STATE)
    state = checkpoint.load(tmp_path / "new" / "c.pt", {"seed": 1})
    assert torch.equal(state["run"]["weights"], torch.arange(3.0))
    assert state["run"]["history"] == [{"loss": 0.5}]


def test_torch_reads_the_file_as_it_is(tmp_path):
    """The checksum at its end is in nobody's way."""
    checkpoint.save(tmp_path / "c.pt", STATE)
    assert torch.load(tmp_path / "c.pt", weights_only=True)["identity"] == {"seed": 1}


def test_another_runs_checkpoint_is_not_taken(tmp_path):
    """Another configuration, seed or torch starts anew."""
    checkpoint.save(tmp_path / "c.pt", STATE)
    assert checkpoint.load(tmp_path / "c.pt", {"seed": 2}) is None
    assert checkpoint.load(tmp_path / "missing.pt") is None


def test_a_truncated_file_counts_as_none(tmp_path):
    """Wherever it ends. A run then starts from its beginning, instead of failing."""
    file = tmp_path / "c.pt"
    checkpoint.save(file, STATE)
    whole = file.read_bytes()
    for cut in (*range(0, len(whole), 97), *range(len(whole) - 40, len(whole))):
        file.write_bytes(whole[:cut])
        assert checkpoint.load(file) is None, cut
    file.write_bytes(whole)
    assert checkpoint.load(file) is not None


def test_a_flipped_bit_counts_as_none(tmp_path):
    """In a weight, where torch itself would not notice it, as in a header or the checksum."""
    file = tmp_path / "c.pt"
    checkpoint.save(file, STATE)
    whole = file.read_bytes()
    for at in (*range(0, len(whole), 41), len(whole) - 1):
        file.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        assert checkpoint.load(file) is None, at


def test_the_one_before_stands_in_for_a_torn_one(tmp_path):
    """The newest whole one counts; only where both are torn there is none."""
    file = tmp_path / "c.pt"
    for one in (1, 2, 3):
        checkpoint.save(file, numbered(one))
    assert names(tmp_path) == ["c.old.pt", "c.pt"]
    assert number(file) == 3
    file.write_bytes(file.read_bytes()[:-1])
    assert number(file) == 2
    checkpoint.previous(file).write_bytes(b"")
    assert number(file) == 0


def test_a_torn_one_never_pushes_out_a_whole_one(tmp_path):
    """The next save drops the torn one, and keeps the whole one before it."""
    file = tmp_path / "c.pt"
    for one in (1, 2):
        checkpoint.save(file, numbered(one))
    file.write_bytes(b"torn")
    checkpoint.save(file, numbered(3))
    assert number(file) == 3
    file.unlink()
    assert number(file) == 1


def test_a_kill_between_the_two_renames_loses_nothing(tmp_path):
    """The newest has been set aside, its successor has not yet its name."""
    file = tmp_path / "c.pt"
    checkpoint.save(file, numbered(1))
    file.replace(checkpoint.previous(file))
    assert number(file) == 1


def save_for_ever(file, told):
    torch.set_num_threads(1)
    for one in range(1, 10**6):
        checkpoint.save(file, numbered(one, size=200_000))
        os.write(told, b".")


@pytest.mark.soak
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_process_killed_while_it_saves_leaves_a_whole_state(tmp_path):
    """kill -9 at ten moments: the last state whose saving had returned, or one after it."""
    file, between = tmp_path / "c.pt", 0
    for round_ in range(10):
        listen, tell = os.pipe()
        child = multiprocessing.get_context("fork").Process(target=save_for_ever, args=(file, tell))
        child.start()
        os.close(tell)
        os.read(listen, 1)  # it has saved once
        time.sleep(0.013 * round_)
        os.kill(child.pid, signal.SIGKILL)
        child.join(30)
        with os.fdopen(listen, "rb") as pipe:
            returned = 1 + len(pipe.read())
        assert returned <= number(file) <= returned + 1
        between += len(names(tmp_path)) > 2 or number(file) > returned
        checkpoint.save(file, numbered(1))  # over whatever the kill left
        assert names(tmp_path) == ["c.old.pt", "c.pt"]
    assert between, "no kill fell into a save: the test has seen nothing"


def test_a_full_disk_leaves_the_old_files_and_no_litter(small_disk):
    """A real one of 1 MiB: the error names the cause, the next save works again."""
    file = small_disk / "run" / "c.pt"
    checkpoint.save(file, numbered(1))
    with pytest.raises(OSError, match="No space left on device"):
        checkpoint.save(file, numbered(2, size=500_000))
    assert names(file.parent) == ["c.pt"]
    assert number(file) == 1
    checkpoint.save(file, numbered(3))
    assert number(file) == 3


class Harmful:
    def __reduce__(self):
        return exec, ("raise SystemExit('ran')",)


def test_code_in_a_file_is_not_run(tmp_path):
    """A pickle with a payload counts as no checkpoint, its checksum notwithstanding."""
    content = io.BytesIO()
    torch.save({"identity": Harmful()}, content)
    whole = content.getvalue() + hashlib.sha256(content.getvalue()).digest()
    (tmp_path / "c.pt").write_bytes(whole)
    assert checkpoint.load(tmp_path / "c.pt") is None
    with pytest.raises(SystemExit):  # the payload works
        torch.load(tmp_path / "c.pt", weights_only=False)
