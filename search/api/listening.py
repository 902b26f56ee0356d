"""Who hears of a run from Python."""

from search.api import warned, words
from search.errors import UsageError
from search.notebook import here
from search.record.listener import Listener


def of(progress: bool | str) -> Listener:
    """Who hears, as the argument of `run_study` asks.

    Raises:
        UsageError: it is none of True, False and "auto".
    """
    if progress not in (True, False, "auto"):
        raise UsageError(f"--progress {progress}: must be True, False or 'auto'")
    if here.is_here() and progress:
        from search.notebook import live

        return Spoken(live.InNotebook())
    if progress is True:
        from search.terminal import log as logs

        return Spoken(logs.usual())
    return Silent()


class Silent(Listener):
    """Nothing is printed; a warning is one of Python's."""

    def warn(self, study: str, message: str) -> None:
        warned.warn(message)


class Spoken(Listener):
    """Passes on to another one, in Python's words."""

    def __init__(self, other: Listener) -> None:
        self._other = other
        self.is_visual = other.is_visual
        same = ("open", "close", "began", "paused", "ended", "printed", "show")
        for name in (*same, "happened", "saw", "answered"):
            setattr(self, name, getattr(other, name))

    def set_out(self, study: str, message: str) -> None:
        self._other.set_out(study, words.python(message))

    def say(self, study: str, message: str) -> None:
        self._other.say(study, words.python(message))

    def warn(self, study: str, message: str) -> None:
        self._other.warn(study, words.python(message))
