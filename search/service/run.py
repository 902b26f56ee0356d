"""A run: prepare, open, search, confirm, answer. `run` is the whole of it, `join` a worker's part
of it on another machine, `confirm` its last two steps once more.

What happens is told to a listener. How it ended is returned: the signal that broke it off, or None.
"""

import functools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from signal import Signals

import optuna

from search.answers import confirm as confirming
from search.answers import evidence, export
from search.database import storage as storages
from search.errors import ObjectiveError, RunFailedError
from search.news import events, notify, track
from search.record import budget, changed, enough, floors, halt, known, next_step, results, spent
from search.record import study as studies
from search.record.listener import Event, Listener
from search.service import confirm as stages
from search.service import own, page, watch
from search.service import prepare as preparing
from search.service.answer import Answered, answer
from search.service.hands import Hands, Opened, outline, packed, seated, tell_used_up
from search.service.prepare import Order, Ready
from search.studyfile.spec import Confirm, StudySpec
from search.workers import join as joining
from search.workers import process
from search.workers.pool import Crew, Pool
from search.workers.seats import Seat


def run(order: Order, listener: Listener) -> Answered:
    """Search, confirm, answer. The same order again resumes.

    Raises:
        OptsearchError: before anything is trained; what comes later is told with the answer.
    """
    ready = preparing.prepare(order, listener)
    asked = ready.question
    with notify.telling(asked.name, asked.notify, listener) as heard:
        done = _run(order, ready, heard)
        for event in _events(done):
            heard.happened(event)
    return done


def _run(order: Order, ready: Ready, listener: Listener) -> Answered:
    wanted = ready.question.confirmation if order.confirm else Confirm(seeds=0)
    plan = wanted if ready.takes_seed else Confirm(seeds=0)
    opened = packed(open_study(order, ready, plan, listener), ready.prepared)
    study, spec, limits, hands = opened
    if not spent.used_up(study, limits):
        listener.set_out(study.study_name, outline(opened, ready.prepared))
    if wanted.seeds and not ready.takes_seed:  # told before: nobody waits for hours to hear it
        why = f"not confirmed: {spec.objective} declares no parameter `seed`"
        listener.say(study.study_name, why)
    folder = order.workdir.parent
    with (
        page.served(study, hands.url, listener, is_wanted=order.dashboard),
        track.tracking(study, ready.question.track, folder, listener) as heard,
    ):
        opened = opened._replace(hands=hands._replace(listener=heard))
        following = changed.Follower(study, spec)
        stopped = search(opened, plan, following)
        spec = following.spec
        plan = spec.confirmation if plan.seeds else plan  # as it is asked for by now
        if plan.seeds and not stopped and not hands.halt.asked():
            epochs = stages.epochs_left(study, spec)
            workers = worker_of(opened.hands)
            stopped = stages.stage(workers, study, spec, plan, grow=True, epochs=epochs)
        halted = hands.halt.asked()
        done = answer(study, spec, order, listener, stopped=stopped, plan=plan, halted=halted)
        if done.is_settled and results.ranking(study):
            heard.answered(study, done.file)
        if not done.is_settled and not stopped:
            done = done._replace(needs=confirming.seconds_needed(study, plan, hands.number))
        return done


def _events(done: Answered) -> Iterator[Event]:
    """What is told at the end: nothing to somebody who has pressed Ctrl-C, and is there."""
    name, trouble = done.study.study_name, done.trouble
    if isinstance(trouble, Exception):
        yield events.of_failure(name, str(trouble))
    elif done.stopped in watch.TERMINATING:
        yield events.of_failure(name, f"stopped by {done.stopped.name}; the same command resumes")
    elif done.stopped is None and trouble is None and results.ranking(done.study):
        yield events.of_answer(done.study, done.spec, done.file)


def join(
    order: Order, code: Path | None, listener: Listener
) -> tuple[optuna.Study, StudySpec, Signals | None]:
    """Work on a study that another machine has opened, and help to confirm it.

    Args:
        code: folder of the objective's file; None for the same as where the study was made.
    """
    url = storages.resolve_url(order.storage)
    study = studies.load_study(str(order.study), url)
    asked = halt.Halt(study)
    spec = joining.question(study, order.overrides, code)
    ready = _ready_to_join(order, study, spec, listener)
    heard, limits = own.Own(listener), studies.limits(study, spec)
    hands = _hands(order, url, ready.seats, spec.seconds(order.seconds), asked, heard)
    opened = Opened(study, spec, limits, hands)
    is_used_up = tell_used_up(opened)
    opened = packed(opened, ready.prepared)
    if not is_used_up:
        listener.say(study.study_name, own.joined(opened, ready.prepared))
    following = changed.Follower(study, spec)
    stopped = search(opened, Confirm(seeds=0), following)
    if not stopped and not asked.asked():
        stopped = stages.join(worker_of(opened.hands), study, spec)
    if heard.counts or not is_used_up:
        why = own.why(opened._replace(limits=following.limits), stopped)
        listener.say(study.study_name, f"this worker is done: {heard.words()}; {why}")
    return study, spec, stopped


def confirm(
    order: Order,
    top: int | None,
    seeds: int | None,
    listener: Listener,
    *,
    splits: int | None = None,
) -> Answered:
    """Confirm the best of a study once more, with the same or with more candidates and seeds.

    Args:
        top: how many of the best; None for as many as the study file says.
        seeds: fresh ones for each; None likewise.
        splits: of the training images: as many as seeds, or 1; None likewise.
    """
    url = storages.resolve_url(order.storage)
    study = studies.load_study(str(order.study), url)
    studies.refuse_confirming(study)
    if not results.ranking(study):
        raise RunFailedError(
            f"study '{order.study}' has no complete trial yet; run it further first"
        )
    asked = halt.Halt(study)
    spec = joining.question(study, order.overrides, None)
    plan = stages.wanted(spec.confirmation, top, seeds, splits)
    spec = spec.model_copy(update={"confirm": plan})
    if order.out is not None:
        export.check_writable(order.out)
    ready = _ready_to_join(order, study, spec, listener)
    if not ready.takes_seed:
        raise ObjectiveError(
            f"objective: {spec.objective} must take a seed to be confirmed, but declares none; "
            "declare a parameter `seed` and draw all randomness from it"
        )
    hands = _hands(order, url, ready.seats, order.seconds, asked, listener)
    stopped = stages.stage(worker_of(hands), study, spec, plan)
    return answer(study, spec, order, listener, stopped=stopped, plan=plan)


def open_study(order: Order, ready: Ready, plan: Confirm, listener: Listener) -> Opened:
    """Create the study, or resume it where it exists; of its epochs, some are kept for `plan`."""
    url = storages.resolve_url(order.storage)
    found = known.find(ready.question, url)  # before anything is made
    before = changed.spec_of(ready.question.name, url)
    study, spec = studies.open_study(ready.question, url, ready.prepared)
    if line := changed.words(before, study):
        listener.say(study.study_name, line)
    for line in known.take_over(study, spec, found) if found else ():
        listener.say(study.study_name, line)
    asked = halt.Halt(study)
    study.set_user_attr(next_step.ASKED, order.asked)
    study.set_user_attr(confirming.WILL, plan.seeds)  # workers elsewhere stay to help
    study.set_user_attr(studies.RESERVED, stages.epochs_kept(study, spec, plan))
    study.set_user_attr(studies.TIMELY, None)
    if spec.budget.stalled and (seen := evidence.of(study)) and seen.noise is not None:
        study.set_user_attr(enough.MEASURED, seen.noise)
    hands = _hands(order, url, ready.seats, spec.seconds(order.seconds), asked, listener)
    opened = Opened(study, spec, studies.limits(study, spec), hands)
    if line := studies.changed_code(study, spec):
        listener.warn(study.study_name, line)
    for line in filter(None, (floors.beyond(spec), floors.short(spec))):
        listener.warn(study.study_name, line)
    tell_used_up(opened)
    return opened


def search(opened: Opened, plan: Confirm, following: changed.Follower) -> Signals | None:
    """Train trials until the budget is used up; of the time, some is kept to confirm `plan`."""
    study, spec, limits, hands = opened
    needed = functools.partial(confirming.seconds_needed, study, plan, hands.number)
    reserve = needed if plan.seeds else lambda: 0.0
    tell, timely = _Enough(opened, following), stages.Timely(study, plan, worker_of(hands))
    told = functools.partial(work, hands, study, spec, limits, following=following)

    def advance() -> None:
        tell()
        if spec.is_stepwise:
            timely()

    stopped = told(reserve=reserve, advance=advance)
    tell()
    return stopped


def work(
    hands: Hands,
    study: optuna.Study,
    spec: StudySpec,
    limits: budget.Limits,
    *,
    reserve: Callable[[], float] = lambda: 0.0,
    advance: Callable[[], object] = lambda: None,
    modest: bool = False,
    following: changed.Follower | None = None,
) -> Signals | None:
    """Have workers train what there is to do in a study, and tell how it goes, until it is done.

    Args:
        reserve: seconds before the deadline that are kept for what comes after.
        advance: called all the time; queues what is to be done next.
        modest: take fewer workers where a cluster has lost nodes since.
        following: what another command may change meanwhile.
    """
    with seated(hands, study, spec) as hands, _crew(hands, study, spec, modest) as crew:
        hands.listener.works(crew.is_own)
        who = hands.deadline, hands.halt, hands.listener
        at_work = watch.AtWork(crew, study, limits, *who, following)
        return watch.until_done(at_work, reserve, advance)


def worker_of(hands: Hands) -> stages.Workers:
    """The same hands, as the confirm stage wants them."""
    trained = functools.partial(work, hands)
    return stages.Workers(trained, hands.number, hands.listener, hands.deadline)


def _crew(hands: Hands, study: optuna.Study, spec: StudySpec, modest: bool) -> Crew:
    """The workers that were asked for, not yet started: processes here, or on a Ray cluster."""
    wish, workdir = hands.order.wish, hands.order.workdir
    if wish.cluster is None:
        return Pool(study, spec, hands.url, workdir, hands.seats)
    from search.workers.cluster import Cluster  # needs Ray, which few have

    return Cluster(wish._replace(modest=modest), study, spec, hands.url, workdir)


def _ready_to_join(order: Order, study: optuna.Study, spec: StudySpec, listener: Listener) -> Ready:
    """Data and seats of this machine, for a study that exists. Raises IdentityError and others."""
    process.warm_up(spec.objective, spec.folder)
    export.check_writable(order.workdir / "probe", "--workdir")
    with process.Process() as asked:
        prepared = asked.ask("prepare", study=spec, device=order.wish.device)
        takes_seed = preparing.takes(asked, spec)
        if takes_seed:
            preparing.check_splits(asked, spec)
        for line in asked.ask("remarks", study=spec):
            listener.warn(study.study_name, line)
    joining.check_data(study, prepared)
    return Ready(spec, prepared, order.wish.seats(prepared), takes_seed)


def _hands(
    order: Order,
    url: str,
    seats: Sequence[Seat],
    seconds: float | None,
    asked: halt.Halt,
    listener: Listener,
) -> Hands:
    deadline = None if seconds is None else order.began + seconds
    return Hands(order, url, seats, deadline, asked, listener)


class _Enough:
    """Tells once why no further trial begins, though the budget would pay for more."""

    def __init__(self, opened: Opened, following: changed.Follower) -> None:
        self._opened, self._following = opened, following
        self._told = bool(self._why())  # when the study was opened

    def _why(self) -> str:
        trials = self._opened.study.get_trials(deepcopy=False)
        return enough.why(trials, self._following.limits.enough)

    def __call__(self) -> None:
        if not self._told and (line := self._why()):
            self._told = True
            study, spec, _, hands = self._opened
            hands.listener.say(study.study_name, f"{line}; no further trial begins")
            if line.startswith(enough.STALLED):
                hands.listener.happened(events.of_stall(study, spec, line))
