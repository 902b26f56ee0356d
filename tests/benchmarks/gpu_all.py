"""`make gpu`: all that a rented GPU is to be asked, the most important first, within nine minutes.

    PYTHONPATH=. python tests/benchmarks/gpu_all.py --out gpu.md --minutes 9

Needs torch and NumPy; no network, no Optuna, no data set. Each section is written to `--out` as
soon as it is known, so that a machine that goes away leaves what it had; one that fails leaves its
error. `--device cpu --images 900 --network simple_cnn --minutes 3` tries it out.
"""

import argparse
import contextlib
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import gpu
import torch
from torch import Tensor

from objectives import augment, datasets, device, feed, knobs, train
from objectives.halving import Halved

ROOT = Path(__file__).parents[2]
CHECKS = ROOT / "tests" / "objectives" / "test_on_gpu.py"
WORKER_S = 8.0  # that each number of workers trains
MPS = "nvidia-cuda-mps-control"
SHARED = {"CUDA_MPS_PIPE_DIRECTORY": "pipe", "CUDA_MPS_LOG_DIRECTORY": "log"}


@dataclass
class Machine:
    place: torch.device
    images: int
    network: str
    ends_at: float  # time.monotonic()
    cifar: Path | None
    epochs: int  # of the baseline on it

    @property
    def data(self) -> feed.Data:
        return feed.to_device(gpu.dataset(self.images), self.place)


def agreement(machine: Machine) -> list[str]:
    """Graphed against eager, and a run against itself: bitwise where kernels repeat."""
    names = [machine.network, "resnet9"] if machine.place.type == "cuda" else [machine.network]
    lines = [gpu.agreement(name, machine.place, machine.data) for name in names]
    for deterministic in (True, False):
        device.configure(machine.place, deterministic=deterministic)
        runs = [gpu.training(machine.network, 128, machine.place, machine.data) for _ in range(2)]
        for run in runs:
            run.epoch()
        same = torch.equal(*(gpu.weights(run) for run in runs))
        words = "are bitwise equal" if same else "DIFFER"
        lines.append(f"deterministic {deterministic}: two runs of one seed {words}")
    device.configure(machine.place)
    return lines


def resuming(machine: Machine) -> list[str]:
    """Two epochs in one go, and with a stop between them."""
    whole, first, second = (
        gpu.training(machine.network, 128, machine.place, machine.data) for _ in range(3)
    )
    whole.epoch()
    whole.epoch()
    first.epoch()
    second.load_state_dict(first.state_dict())
    second.epoch()
    same = torch.equal(gpu.weights(whole), gpu.weights(second))
    return [f"a resumed run {'equals' if same else 'DIFFERS FROM'} the uninterrupted one bitwise"]


def throughput(machine: Machine) -> list[str]:
    """Seconds an epoch by batch size, against a DataLoader in the same precision."""
    options = argparse.Namespace(images=machine.images, repeats=3)
    data = machine.data
    return [
        "| batch | DataLoader | eager | graph | kernels | graph / kernels | DataLoader / graph |",
        "|---|---|---|---|---|---|---|",
        *(gpu.row(batch, machine.place, data, options) for batch in (32, 128, 512)),
    ]


def first_epochs(machine: Machine) -> list[str]:
    """Seconds of a trial's first epoch and of its second: what capture and kernels cost."""
    lines, data = ["| batch | deterministic | first | second |", "|---|---|---|---|"], machine.data
    for deterministic in (True, False):
        device.configure(machine.place, deterministic=deterministic)
        for batch in (32, 128, 512):
            run = gpu.training(
                machine.network, min(batch, machine.images // 2), machine.place, data
            )
            times = [timed(run.epoch, machine.place) for _ in range(2)]
            lines.append(f"| {batch} | {deterministic} | {times[0]:.2f} | {times[1]:.2f} |")
    device.configure(machine.place)
    return lines


def precisions(machine: Machine) -> list[str]:
    """Seconds an epoch in each precision, and the loss after it."""
    lines, data = ["| precision | seconds | loss |", "|---|---|---|"], machine.data
    for precision in ("float32", "bfloat16", "float16"):
        if precision == "float16" and machine.place.type != "cuda":
            continue
        run = gpu.training(machine.network, 128, machine.place, data, precision)
        run.epoch()
        seconds = timed(run.epoch, machine.place)
        lines.append(f"| {precision} | {seconds:.3f} | {run.history[-1]['loss']:.4f} |")
    return lines


def casts(machine: Machine) -> list[str]:
    """Weights cast to half precision one by one, as autocast does, or all at once: seconds an
    epoch, operators that cast in one, and whether the weights are the same after it."""
    lines = ["| batch | one by one | at once | casts | weights |", "|---|---|---|---|---|"]
    data = machine.data
    for batch in (32, 512):
        size = min(batch, machine.images // 2)
        runs = [
            gpu.training(machine.network, size, machine.place, data, "bfloat16") for _ in range(2)
        ]
        runs[0].model.halved = None
        runs[1].model.halved = Halved(runs[1].model.network, torch.bfloat16)
        counts = [casting(run) for run in runs]
        same = "bitwise equal" if torch.equal(*(gpu.weights(run) for run in runs)) else "DIFFER"
        times = [gpu.seconds(run.epoch, machine.place, 3) for run in runs]
        told = f"{times[0]:.3f} | {times[1]:.3f} | {counts[0]:,} and {counts[1]:,} | {same}"
        lines.append(f"| {size} | {told} |")
    return lines


def casting(run: train.Training) -> int:
    """How often tensors are cast or copied in an epoch that is launched step by step."""
    gpu.eager(run)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        run.epoch()
    run._wants_graph = run.device.type == "cuda"
    named = ("aten::_to_copy", "aten::_foreach_copy_")
    return sum(one.count for one in profile.key_averages() if one.key in named)


def scaling(machine: Machine) -> list[str]:
    """Images turned into bfloat16 numbers by three kernels, and by one: milliseconds a batch."""
    place, lines = machine.place, ["| batch | three | one |", "|---|---|---|"]
    affine = augment.scaling(255.0, place, (0.4, 0.5, 0.6), (0.2, 0.2, 0.2))
    for batch in (32, 512):
        images = torch.randint(0, 256, (batch, 3, 32, 32), dtype=torch.uint8, device=place)

        def three(images: Tensor = images) -> Tensor:
            scaled = torch.addcmul(affine.offset, images.to(torch.float32), affine.factor)
            return scaled.to(torch.bfloat16)

        def one(images: Tensor = images) -> Tensor:
            kept = torch.preserve_format
            return augment._scaled_at_once(images, affine, torch.bfloat16, kept)

        times = [
            gpu.seconds(lambda way=way: [way() for _ in range(100)], place, 3)
            for way in (three, one)
        ]
        lines.append(f"| {batch} | {times[0] * 10:.4f} | {times[1] * 10:.4f} |")
    return lines


def memory(machine: Machine) -> list[str]:
    """Bytes that torch keeps over 40 epochs: they must not grow."""
    if machine.place.type != "cuda":
        return ["only CUDA tells"]
    run = gpu.training(machine.network, 4096, machine.place, machine.data)
    kept = []
    for _ in range(40):
        run.epoch()
        kept.append(torch.cuda.memory_reserved(machine.place))
    grown = "do not grow" if kept[-1] == kept[3] else f"GROW from {kept[3]:,}"
    return [f"batch 4096: {kept[-1]:,} bytes after 40 epochs {grown}"]


def streaming(machine: Machine) -> list[str]:
    """Images a second, resident against streamed from the host."""
    resident = machine.data
    splits = gpu.dataset(machine.images)
    train_, validation = (
        feed.put_streamed(s, machine.place) for s in (splits.train, splits.validation)
    )
    streamed = resident._replace(train=train_, validation=validation)
    runs = [
        gpu.training(machine.network, 128, machine.place, data) for data in (resident, streamed)
    ]
    times = [gpu.seconds(run.epoch, machine.place, 3) for run in runs]
    same = torch.equal(*(gpu.weights(run) for run in runs))
    rates = [machine.images / seconds for seconds in times]
    return [
        f"resident {rates[0]:,.0f} images/s, streamed {rates[1]:,.0f} "
        f"({times[0] / times[1]:.2f}); weights {'are bitwise equal' if same else 'DIFFER'}"
    ]


def networks(machine: Machine) -> list[str]:
    """Seconds an epoch of the networks of the source documents and of cifar-resnet9."""
    lines, data = ["| network | seconds an epoch |", "|---|---|"], machine.data
    if machine.place.type != "cuda":
        return ["on a CPU they take minutes"]
    for name in ("keras_cnn", "deep_cnn", "resnet9"):
        run = gpu.training(name, 512 if name == "resnet9" else 32, machine.place, data)
        run.epoch()
        lines.append(f"| {name} | {timed(run.epoch, machine.place):.3f} |")
    return lines


def baseline(machine: Machine) -> list[str]:
    """The baseline of studies/cifar-resnet9.yaml in full, on CIFAR-10 as a folder of JPEG files."""
    if machine.cifar is None:
        return ["no --cifar FOLDER was given (with train/ and test/, a folder a class)"]
    import yaml

    study = yaml.safe_load((ROOT / "studies" / "cifar-resnet9.yaml").read_text())
    name, place = f"folder:{machine.cifar}", machine.place
    settings = study["settings"] | {"dataset": name, "precision": device.precision("auto", place)}
    settings["epochs"] = min(settings["epochs"], machine.epochs)
    config = knobs.configure(settings, study["baselines"][0]["params"])
    run = train.Training(config, feed.to_device(datasets.load(name), place), place, 0)
    seconds = []
    while not run.finished:
        seconds.append(timed(run.epoch, place))
    test = feed.put(datasets.load_test(name), place)
    right = float(run.model.measure(test)[1]) / len(test.labels)
    return [
        f"test accuracy {right:.4f} (the goal is 0.94) after {len(seconds)} epochs in "
        f"{sum(seconds):.1f} s, the first {seconds[0]:.1f} s, then {min(seconds):.2f} s at best"
    ]


def checks(machine: Machine) -> list[str]:
    """The project's tests that only a GPU can run."""
    if importlib.util.find_spec("pytest") is None:
        return ["pytest is not installed here"]
    command = [sys.executable, "-m", "pytest", "-q", "--noconftest", "-p", "no:cacheprovider"]
    command += ["-o", "addopts=", "-o", "filterwarnings=", str(CHECKS)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    return ["```text", *done.stdout.strip().splitlines()[-40:], "```"]


def workers(machine: Machine) -> list[str]:
    """Trial-epochs a second of several processes on one GPU, without CUDA MPS and with it."""
    lines = ["| workers | plain | with MPS |", "|---|---|---|"]
    for count in (1, 2, 4, 8):
        plain = together(machine, count, {})
        with mps() as shared:
            mixed = f"{together(machine, count, shared):.2f}" if shared else "no MPS here"
        lines.append(f"| {count} | {plain:.2f} | {mixed} |")
        if time.monotonic() + 4 * WORKER_S > machine.ends_at:
            break
    return lines


def together(machine: Machine, count: int, shared: dict[str, str]) -> float:
    """Epochs a second of `count` processes in the same WORKER_S."""
    begin = time.time() + 15 + 3 * count  # when all have started
    command = [sys.executable, __file__, "--one", str(begin), "--device", str(machine.place)]
    command += ["--images", str(machine.images), "--network", machine.network]
    environment = os.environ | shared
    running = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(count)
    ]
    told = [one.communicate()[0] for one in running]
    return sum(float(one.split()[-1]) for one in told) / WORKER_S


def one(begin: float, machine: Machine) -> None:
    """A worker: print how many epochs, and parts of one, it trained in its seconds."""
    run = gpu.training(machine.network, 32, machine.place, machine.data)
    run.epoch()
    while time.time() < begin:
        time.sleep(0.001)
    count, until = 0.0, begin + WORKER_S
    while (now := time.time()) < until:
        run.epoch()
        gpu.synchronize(machine.place)
        took = time.time() - now
        count += min(1.0, (until - now) / took)
    print(count)


@contextlib.contextmanager
def mps() -> Iterator[dict[str, str]]:
    """A CUDA MPS of our own, in folders of its own; {} where there is none to be had."""
    program = shutil.which(MPS)
    if program is None:
        yield {}
        return
    with tempfile.TemporaryDirectory() as name:
        shared = {key: str(Path(name, folder)) for key, folder in SHARED.items()}
        for folder in shared.values():
            Path(folder).mkdir()
        environment = os.environ | shared
        started = subprocess.run([program, "-d"], env=environment, check=False)
        try:
            yield shared if started.returncode == 0 else {}
        finally:
            subprocess.run([program], env=environment, input="quit\n", text=True, check=False)


def timed(epoch: Callable[[], object], place: torch.device) -> float:
    gpu.synchronize(place)
    started = time.perf_counter()
    epoch()
    gpu.synchronize(place)
    return time.perf_counter() - started


SECTIONS = (  # the most important first
    checks,
    agreement,
    resuming,
    throughput,
    first_epochs,
    memory,
    workers,
    baseline,
    casts,
    scaling,
    streaming,
    precisions,
    networks,
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--images", type=int, default=45_000)
    parser.add_argument("--network", default="keras_cnn")
    parser.add_argument("--minutes", type=float, default=9.0)
    parser.add_argument("--out", type=Path, default=Path("gpu.md"))
    parser.add_argument(
        "--cifar", type=Path, help="CIFAR-10 as JPEG files: train/CLASS/, test/CLASS/"
    )
    parser.add_argument("--epochs", type=int, default=20, help="of the baseline on it, at most")
    parser.add_argument("--one", type=float, help="one of several workers; begins then")
    options = parser.parse_args()
    place = device.pick(options.device)
    device.configure(place, 1 if options.one else None)
    ends_at = time.monotonic() + 60 * options.minutes
    about = (options.images, options.network, ends_at, options.cifar, options.epochs)
    machine = Machine(place, *about)
    if options.one:
        one(options.one, machine)
        return
    lines = [
        f"{date.today()}, {device.describe(place)['name']}, torch {torch.__version__}, CUDA "
        f"{torch.version.cuda}, Python {platform.python_version()}, {os.cpu_count()} cores, "
        f"{options.images:,} images an epoch: `python {' '.join(sys.argv)}`"
    ]
    for section in SECTIONS:
        lines += ["", f"## {section.__name__.replace('_', ' ')}", "", str(section.__doc__), ""]
        if time.monotonic() > machine.ends_at:
            lines.append("no time was left")
        else:
            try:
                lines += section(machine)
            except Exception:
                lines += ["```text", traceback.format_exc().rstrip(), "```"]
        options.out.write_text("\n".join(lines) + "\n")
        print("\n".join(lines[-3:]), flush=True)


if __name__ == "__main__":
    main()
