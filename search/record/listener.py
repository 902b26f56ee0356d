"""Who hears what happens in a study. Light: the command line is asked for one before all else."""

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from optuna import Study
    from optuna.trial import FrozenTrial

    from search.record.progress import Standing


class Event(NamedTuple):
    """What somebody may want to be told who does not look: `kind` is one of `notify.on`, `text` a
    sentence for people, `facts` for programs.

    made_of: what it rests on, in a word: to whom it was told of just that it is no news. "" is news
        each time.
    where: the study that remembers that.
    """

    kind: str
    study: str
    text: str
    facts: dict[str, Any]
    made_of: str = ""
    where: "Study | None" = None


class Listener:
    """Hears what happens in a study. This one is nobody: it says nothing.

    `set_out` is told what a run sets out to do, `works` which trials this command's workers have.
    """

    is_visual = False  # whether it shows how the study stands

    def open(self) -> None: ...
    def close(self) -> None: ...
    def set_out(self, study: str, message: str) -> None: ...
    def works(self, is_own: "Callable[[FrozenTrial], bool]") -> None: ...
    def say(self, study: str, message: str) -> None: ...
    def warn(self, study: str, message: str) -> None: ...
    def began(self, study: str, trial: "FrozenTrial") -> None: ...
    def paused(self, study: str, trial: "FrozenTrial") -> None: ...
    def ended(self, study: str, trial: "FrozenTrial", is_best: bool) -> None: ...
    def printed(self, study: str, trial: int | None, line: str) -> None: ...
    def show(self, standing: "Standing") -> None: ...
    def happened(self, event: Event) -> None: ...
    def saw(self, study: str, trials: "Sequence[FrozenTrial]") -> None: ...
    def answered(self, study: "Study", file: "Path | None") -> None: ...


class Both(Listener):
    """Two that hear the same."""

    def __init__(self, first: Listener, second: Listener) -> None:
        self._both = first, second
        self.is_visual = first.is_visual or second.is_visual

    def open(self) -> None:
        for one in self._both:
            one.open()

    def close(self) -> None:
        for one in self._both:
            one.close()

    def set_out(self, study: str, message: str) -> None:
        for one in self._both:
            one.set_out(study, message)

    def works(self, is_own: "Callable[[FrozenTrial], bool]") -> None:
        for one in self._both:
            one.works(is_own)

    def say(self, study: str, message: str) -> None:
        for one in self._both:
            one.say(study, message)

    def warn(self, study: str, message: str) -> None:
        for one in self._both:
            one.warn(study, message)

    def began(self, study: str, trial: "FrozenTrial") -> None:
        for one in self._both:
            one.began(study, trial)

    def paused(self, study: str, trial: "FrozenTrial") -> None:
        for one in self._both:
            one.paused(study, trial)

    def ended(self, study: str, trial: "FrozenTrial", is_best: bool) -> None:
        for one in self._both:
            one.ended(study, trial, is_best)

    def printed(self, study: str, trial: int | None, line: str) -> None:
        for one in self._both:
            one.printed(study, trial, line)

    def show(self, standing: "Standing") -> None:
        for one in self._both:
            if one.is_visual:
                one.show(standing)

    def happened(self, event: Event) -> None:
        for one in self._both:
            one.happened(event)

    def saw(self, study: str, trials: "Sequence[FrozenTrial]") -> None:
        for one in self._both:
            one.saw(study, trials)

    def answered(self, study: "Study", file: "Path | None") -> None:
        for one in self._both:
            one.answered(study, file)
