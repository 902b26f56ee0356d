"""What can go wrong for a user, each kind with an exit code of its own (docs/commands.md)."""

import errno


class OptsearchError(Exception):
    """A mistake or misfortune that is told in one line, without a traceback.

    The text names the place, the rule, the value and the next step.
    """

    exit_code = 1


class RunFailedError(OptsearchError):
    """The search ran, but there is no answer: every trial failed, or none has completed yet."""

    exit_code = 1


class UsageError(OptsearchError):
    """An option of the command line, or an argument of a call, is wrong. Typer's own code."""

    exit_code = 2


class SpecError(OptsearchError):
    """A study that cannot be used, from a file or from Python; one line per problem."""

    exit_code = 3


class ObjectiveError(OptsearchError):
    """The objective cannot be loaded, or refuses its settings, data or device."""

    exit_code = 4


class StorageError(OptsearchError):
    """The database cannot be reached, read or written."""

    exit_code = 5


class NoStudiesError(StorageError):
    """The database is reached, and holds no tables of Optuna's yet."""


class StudyNotFoundError(OptsearchError):
    """No study, or no study file, of that name."""

    exit_code = 6


class IdentityError(OptsearchError):
    """The study in the database asks another question than the study file."""

    exit_code = 7


class OutputError(OptsearchError):
    """A file that is to be written cannot be written."""

    exit_code = 8


class UnfitError(OptsearchError):
    """`doctor` found an error on this machine."""

    exit_code = 9


class WorkerDiedError(ObjectiveError):
    """A worker process ended without an answer. Its argument tells how: `killed by SIGKILL`."""

    def __str__(self) -> str:
        return f"the worker process died ({self.args[0]}); the same command resumes the study"


class WorkerPoisonedError(ObjectiveError):
    """A worker process whose GPU context is broken: it is replaced."""


def met_in_mid_run(error: Exception) -> OptsearchError | None:
    """What a database or a full disk does to a run, in our words; None for a bug."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return OutputError(f"a file cannot be written: {error.strerror}; make room and repeat")
    if type(error).__module__.startswith(("sqlalchemy.", "sqlite3", "psycopg")) or (
        type(error).__name__ == "StorageInternalError"
    ):
        cause = str(error.__cause__ or error).strip().splitlines()[0]
        return StorageError(f"the storage failed: {cause}; see to it, the same command resumes")
    return None
