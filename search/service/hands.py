"""Who works on a study, on how many seats, and how the workers of one GPU share it."""

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import optuna

from search.errors import OptsearchError
from search.record import budget, floors, halt, spent
from search.record.listener import Listener
from search.service.prepare import Order
from search.studyfile.spec import StudySpec
from search.workers import mps, packing, seats
from search.workers.process import Process
from search.workers.seats import Seat

PACKED = "packed"  # attribute of a study: GPU -> how many workers it was given, and why
IN_HASTE_S = 900  # with less time than this nothing is spent on measuring


class Hands(NamedTuple):
    """Who works, until when, and who hears of it: the same for every stage of a command."""

    order: Order
    url: str
    seats: Sequence[Seat]
    deadline: float | None  # a `time.monotonic()` moment
    halt: halt.Halt
    listener: Listener

    @property
    def number(self) -> int:
        """How many workers there are."""
        return self.order.wish.workers or len(self.seats)

    def words(self, prepared: Mapping[str, Any]) -> str:
        """`2 workers on cpu`; without a device where the objective does not tell which it takes.

        Args:
            prepared: the objective's answer.
        """
        wish = self.order.wish
        if wish.cluster is not None:
            return f"workers on the cluster {wish.cluster}"
        number = f"{len(self.seats)} worker{'s' * (len(self.seats) != 1)}"
        told = prepared.get("device", {}).get("type") or wish.device
        return number if told == "auto" else f"{number} on {told}"


class Opened(NamedTuple):
    """A study that can be worked on: `spec` has its settings pinned as when it was made."""

    study: optuna.Study
    spec: StudySpec
    limits: budget.Limits
    hands: Hands


def outline(opened: Opened, prepared: Mapping[str, Any]) -> str:
    """`photos: 8 trials, 72 epochs, 4 min; 2 workers on cpu`: what a run sets out to do."""
    study, spec, _, hands = opened
    told = spent.outline(study, spec, spec.seconds(hands.order.seconds))
    return f"{study.study_name}: {told}; {hands.words(prepared)}"


def tell_used_up(opened: Opened) -> bool:
    """Say so where the budget has nothing left to train; whether that is so."""
    line = spent.used_up(opened.study, opened.limits)
    if line:
        opened.hands.listener.warn(opened.study.study_name, line)
    return bool(line)


def packed(opened: Opened, prepared: Mapping[str, Any]) -> Opened:
    """With as many seats as fill the GPU, where nobody says how many and there is one whole GPU.

    They are measured once a study and kind of GPU, under CUDA MPS; without it a second worker only
    fills the gaps of the first, and there are two.
    """
    study, _, _, hands = opened
    wish, found = hands.order.wish, prepared.get("device", {})
    asks = wish.workers is None and wish.per_gpu is None and wish.cluster is None
    if not asks or not seats.is_whole(found) or seats.fits(found) < 2:
        return opened
    known, gpu = study.user_attrs.get(PACKED, {}), str(found.get("name", "GPU"))
    if gpu in known:
        chosen = packing.Packed(min(known[gpu][0], seats.fits(found)), known[gpu][1])
    elif hands.deadline is not None and hands.deadline - time.monotonic() < IN_HASTE_S:
        chosen = packing.Packed(len(hands.seats), "too little time to measure how many fill it")
    else:
        chosen = _measured(opened, prepared)
        study.set_user_attr(PACKED, {**known, gpu: list(chosen)})
    number = f"{chosen.workers} worker{'s' * (chosen.workers != 1)}"
    hands.listener.say(study.study_name, f"{number} on {gpu} ({chosen.why})")
    dealt = seats.deal(wish.device, found, None, chosen.workers)
    return opened._replace(hands=hands._replace(seats=dealt))


def _measured(opened: Opened, prepared: Mapping[str, Any]) -> packing.Packed:
    """How many workers fill the GPU."""
    _, spec, _, hands = opened
    found = prepared["device"]
    first = hands.seats[0]
    most = min(packing.MOST, seats.fits(found))
    trials, epochs = floors.trials(spec), prepared.get("epochs")
    planned = spec.budget.epochs or (trials * epochs if trials and epochs else None)
    try:
        with _mps(spec) as shared:
            environment = {**first.environment, **shared}
            with packing.Paces(spec, first.device, first.threads, environment) as paces:
                return packing.choose(most, paces.rate, planned)
    except mps.UnusableError as error:
        return packing.Packed(len(hands.seats), f"they take turns: {error}")


@contextlib.contextmanager
def seated(hands: Hands, study: optuna.Study, spec: StudySpec) -> Iterator[Hands]:
    """The same hands, where they share a GPU by CUDA MPS as long as this lasts."""
    if not any(seat.shares for seat in hands.seats) or not mps.is_there():
        yield hands
        return
    with contextlib.ExitStack() as stack:
        try:
            shared = stack.enter_context(_mps(spec))
        except mps.UnusableError as error:
            hands.listener.say(study.study_name, f"workers take turns on the GPU: {error}")
            shared = {}
        new = [seat._replace(environment={**seat.environment, **shared}) for seat in hands.seats]
        yield hands._replace(seats=new)


@contextlib.contextmanager
def _mps(spec: StudySpec) -> Iterator[dict[str, str]]:
    """CUDA MPS: the variables by which a worker finds it, {} of one that runs already.

    Raises:
        UnusableError: there is none, it cannot be started, or no GPU is seen by way of it.
    """
    if mps.runs():
        yield {}
        return
    with mps.started() as shared:
        try:
            with Process(shared) as asked:  # inside of a container it may start, and not serve
                found = asked.ask("prepare", study=spec, device="cuda").get("device", {})
        except OptsearchError as error:
            why = (str(error).strip().splitlines() or ["a worker died"])[-1]
            raise mps.UnusableError(f"CUDA MPS starts, but serves no worker ({why})") from error
        if not found.get("visible"):
            raise mps.UnusableError("CUDA MPS starts, but no GPU is seen by way of it")
        yield shared
