"""`optsearch doctor`: each finding names what was found and the next step."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from objectives import survey
from search.doctor import asking, gpus, host, nvidia, places, sharing
from search.workers import mps
from tests.search import mps_program

Cli = Callable[..., Any]
TWO = """\
0, NVIDIA A100-SXM4-40GB, 535.183.01, 40960, 40441, Default, Disabled
1, NVIDIA GeForce RTX 3090, 535.183.01, 24576, 120, Exclusive_Process, [N/A]
"""
MIG = "0, NVIDIA H100 80GB HBM3, 580.65.06, 81559, [N/A], Default, Enabled\n"
LISTED = """\
GPU 0: NVIDIA H100 80GB HBM3 (UUID: GPU-5d5ba0d6-d33d-2b2c-524d-9e3d8d2b8a77)
  MIG 3g.40gb     Device  0: (UUID: MIG-c6d4f1ef-42e4-5de3-91c7-45d71c87eb3f)
  MIG 3g.40gb     Device  1: (UUID: MIG-cba663e8-9bed-5b25-b243-5985ef7c9beb)
GPU 1: NVIDIA H100 80GB HBM3 (UUID: GPU-1d5ba0d6-d33d-2b2c-524d-9e3d8d2b8a77)
"""
BLIND: dict[str, Any] = {
    "version": "2.11.0+cu130",
    "cuda": "13.0",
    "hip": None,
    "architectures": [],
    "mps": False,
    "devices": [],
    "said": [],
    "torchvision": None,
}


def test_the_rows_of_nvidia_smi_are_read() -> None:
    """What a card does not tell is None; a line that is no row is passed over."""
    first, second = nvidia.cards(f"Warning: something\n{TWO}")
    assert (first.name, first.driver) == ("NVIDIA A100-SXM4-40GB", "535.183.01")
    assert first.free_bytes == 40441 * 2**20
    assert (second.compute_mode, second.has_mig) == ("Exclusive_Process", False)
    (divided,) = nvidia.cards(MIG)
    assert divided.has_mig
    assert divided.free_bytes is None
    assert nvidia.cards("No devices were found\n") == []
    assert [len(names) for names in nvidia.instances(LISTED).values()] == [2, 0]


@pytest.mark.parametrize(
    ("known", "driver", "environment", "state", "words"),
    [
        ({}, gpus.Driver(True, "", nvidia.cards(TWO)), {}, "error", "535.183.01 is too old"),
        ({"cuda": None}, gpus.Driver(True, "", nvidia.cards(TWO)), {}, "warning", "the CPU alone"),
        (
            {},
            gpus.Driver(True, "", nvidia.cards(MIG)),
            {"CUDA_VISIBLE_DEVICES": "-1"},
            "warning",
            "hides 1 GPU",
        ),
        (
            {"said": ["CUDA error 802"]},
            gpus.Driver(True, "", nvidia.cards(MIG)),
            {},
            "error",
            "802",
        ),
        ({}, gpus.Driver(True, "Driver/library version mismatch"), {}, "error", "mismatch"),
        ({}, gpus.Driver(False, is_plugged_in=True), {}, "warning", "no driver"),
        ({}, gpus.Driver(False), {}, "fine", "the CPU"),
        ({"mps": True}, gpus.Driver(False), {}, "fine", "Apple MPS"),
    ],
)
def test_why_a_gpu_is_not_used_is_told(
    known: dict[str, Any], driver: gpus.Driver, environment: dict[str, str], state: str, words: str
) -> None:
    """With a next step wherever something is wrong."""
    found = gpus.seen({**BLIND, **known}, driver, environment)
    assert found.state == state
    assert words in found.found
    assert bool(found.next) == (state != "fine")


def test_an_old_driver_is_told_which_one_is_needed() -> None:
    """NVIDIA's table: CUDA 13 from 580 on; 535 runs CUDA 12."""
    found = gpus.seen(BLIND, gpus.Driver(True, "", nvidia.cards(TWO)), {})
    assert "driver 580 or newer" in found.next
    assert "CUDA 12 " in found.next
    assert gpus.seen(BLIND, gpus.Driver(True, "", nvidia.cards(TWO)), {gpus.MASK: "1"}) == found


def test_cards_that_keep_others_out_are_told() -> None:
    """MIG without or with several instances, and a mode for one process."""
    (card,) = nvidia.cards(MIG)
    assert gpus.of_card(card, {})[0].state == "error"
    assert "MIG-cba663e8" in gpus.of_card(card, nvidia.instances(LISTED))[0].next
    assert [one.state for one in gpus.of_card(nvidia.cards(TWO)[1], {})] == ["warning"]


@pytest.mark.parametrize(
    ("capability", "architectures", "expected"),
    [
        ((7, 0), ["sm_75", "sm_80", "compute_120"], False),
        ((8, 6), ["sm_80"], True),
        ((8, 0), ["sm_86"], False),
        ((12, 0), ["sm_80", "compute_90"], True),
    ],
)
def test_kernels_run_on_what_they_were_built_for(
    capability: tuple[int, int], architectures: list[str], expected: bool
) -> None:
    assert gpus.has_kernels(capability, architectures) is expected


def test_a_torch_that_cannot_be_imported_is_a_finding() -> None:
    """Its last words, or the signal that ended it."""
    said = asking.fault(1, "", "Traceback ...\nImportError: libcudart.so.13: no such file\n")
    found = gpus.torch({}, said)
    assert (found.state, "libcudart.so.13" in found.found) == ("error", True)
    assert asking.fault(-4, "", "") == "killed by SIGILL"
    assert asking.fault(0, "x", "a warning") == ""
    assert asking.program(["no-such-program"], 1) is None


def test_memory_is_what_the_container_leaves() -> None:
    assert host.available("MemTotal: 9 kB\nMemAvailable:   2048 kB\n") == 2 * 2**20
    assert host.memory(2**30, 2**35)._replace(next="") == (
        "memory",
        "warning",
        "1.0 GiB free within the container's limit",
        "",
    )
    assert host.memory(None, 2**35).state == "fine"


def test_a_network_file_system_is_told_by_its_mount() -> None:
    """The innermost mount counts; a blank in its path is written as octal."""
    table = (
        "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
        "40 22 0:5 / /home rw shared:1 - nfs4 server:/home rw\n"
        "41 40 8:2 / /home/my\\040disk rw - xfs /dev/sdb rw\n"
    )
    assert places.file_system(Path("/home/me"), table) == "nfs4"
    assert places.file_system(Path("/home/my disk/x"), table) == "xfs"
    assert places.file_system(Path("/homes"), table) == "ext4"


def test_a_folder_that_is_read_only_is_an_error_and_nothing_is_made(tmp_path: Path) -> None:
    inner = tmp_path / "runs" / "work"
    assert places.workdir(inner).state == "fine"
    assert list(tmp_path.iterdir()) == []
    tmp_path.chmod(0o555)
    found = places.workdir(inner)
    tmp_path.chmod(0o755)
    assert (found.state, found.next) == ("error", "name another one: --workdir DIR")


def test_a_file_that_is_no_database_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "a.db"
    assert places.storage(f"sqlite:///{file}").state == "fine"
    assert not file.exists()
    file.write_text("this is no database" * 100)
    found = places.storage(f"sqlite:///{file}")
    assert (found.state, "not a database" in found.found) == ("error", True)


def test_a_server_that_is_away_is_told_without_its_password() -> None:
    found = places.storage("postgresql://me:secret@127.0.0.1:1/optsearch")
    assert found.state == "error"
    assert "secret" not in found.found + found.next
    assert found.next


def test_without_a_home_there_is_no_data_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPTSEARCH_DATA", "~nobody-of-this-name/data")
    assert "there is no such home folder" in survey.host()["data_error"]


def test_a_browser_that_does_not_start_is_a_warning() -> None:
    assert places.picture(None, None).state == "warning"
    assert places.picture("/x", asking.Answer("", "libnss3.so: missing")).state == "warning"
    assert places.picture("/x", asking.Answer("Chromium 150\n")).found == "Chromium 150, /x"


@pytest.mark.soak
def test_the_command_tells_all_as_json_and_ends_with_its_own_code(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """9 where something is an error; nothing is left in the folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.db").write_text("this is no database" * 100)
    before = set(tmp_path.rglob("*"))
    answer = cli("doctor", "--json", "--storage", "sqlite:///a.db")
    found = {one["subject"]: one["state"] for one in json.loads(answer.out)}
    assert answer.code == 9
    assert found["storage"] == "error"
    assert {"python", "torch", "device", "cores", "memory", "workdir", "browser"} <= set(found)
    assert set(tmp_path.rglob("*")) == before


def test_mps_is_told_as_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not installed, installed, or running: asked, not taken for granted from stale pipes."""
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    assert "is not installed: several" in sharing.check({}).found
    log = mps_program.install(tmp_path, monkeypatch)
    assert "a run whose workers sit on one GPU starts it" in sharing.check({}).found
    (mps.USUAL / "control").touch()
    assert sharing.check({}).found.startswith(f"runs, with its pipes in {mps.USUAL}")
    assert log.read_text() == "get_server_list\n"
