"""The door: load an objective by reference, see what it asks for, and call its companions."""

import contextlib
import functools
import importlib
import importlib.util
import inspect
import json
import math
import os
import pickle
import shlex
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from search import imports
from search.errors import ObjectiveError

GIVEN = (
    "seed",
    "workdir",
    "device",
    "threads",
    "initial_weights",
    "all_data",
)  # to every objective that declares them
COMPANIONS = (
    *("check", "prepare", "resolve", "evaluate", "confusion", "save", "load", "describe"),
    *("portfolio", "propose", "inspect", "convert", "formats", "gain"),
)
_files: set[str] = set()  # names of modules that are an objective's own file
_remarks: dict[tuple[str, str], list[str]] = {}


PICKLED = ".pickle"  # ending of a function that stands in no file (search/api/function.py)
_importing: list[str] = []  # what is being imported in this process


def load(reference: str, folder: str) -> Callable[..., float]:
    """Import an objective: `./mine.py:objective` or `package.module:function`.

    The folder (of the user's file, or of the study file) becomes importable, as under
    `python mine.py`.

    Raises:
        ObjectiveError: no such module or function, or the module fails to import.
    """
    module_name, _, function = reference.rpartition(":")
    if not module_name:
        raise ObjectiveError(
            f"objective: must be MODULE:FUNCTION, as in ./mine.py:objective, got '{reference}'"
        )
    if module_name.endswith(PICKLED):
        return _unpickle(module_name, folder)
    with _told(module_name):
        module = _import(module_name, function, folder)
    objective = getattr(module, function, None)
    if not callable(objective):
        raise ObjectiveError(f"objective: {module_name} has no function '{function}'")
    return objective  # type: ignore[no-any-return]


def file(reference: str) -> Path:
    """Where an objective's file lies, below its folder."""
    module = reference.rpartition(":")[0]
    is_file = module.endswith((".py", PICKLED))
    return Path(module if is_file else f"{module.replace('.', '/')}.py")


def importing() -> str | None:
    """The file or module that is being imported as an objective, if there is one: what it calls
    now it would call in every worker."""
    return _importing[-1] if _importing else None


@contextlib.contextmanager
def _told(module_name: str) -> Iterator[None]:
    _importing.append(module_name)
    try:
        yield
    finally:
        _importing.pop()


@functools.cache
def _unpickle(name: str, folder: str) -> Callable[..., float]:
    file = Path(folder, name)
    try:
        with file.open("rb") as kept:
            kept.readline()  # the fingerprint (provenance.py)
            theirs = json.loads(kept.readline())  # where modules of that session are found
            sys.path[:] = dict.fromkeys([*theirs, *sys.path])
            objective = pickle.load(kept)
            with contextlib.suppress(ImportError, AttributeError):
                importlib.import_module(objective.__module__)  # of its companions
    except OSError as error:
        raise ObjectiveError(
            f"objective: {file}: cannot be read ({error.strerror}); the function was given to "
            "run_study, which keeps it there: call it once more"
        ) from error
    except Exception as error:
        raise ObjectiveError(
            f"objective: {file.stem} cannot be brought into a worker process: "
            f"{type(error).__name__}: {error}; put it into a file of its own, and import it"
        ) from error
    return objective  # type: ignore[no-any-return]


@functools.cache  # a file is run once in a process, as any module
def _import(module_name: str, function: str, folder: str) -> ModuleType:
    if module_name.endswith(".py"):
        file = Path(folder, module_name).resolve()
        if not file.is_file():
            raise ObjectiveError(f"objective: no such file: {module_name} (looked in {folder})")
        return _guarded(module_name, function, file, file.parent, folder)
    if not all(part.isidentifier() for part in module_name.split(".")):
        raise ObjectiveError(
            f"objective: '{module_name}' is neither a file such as ./mine.py nor a module"
        )
    place = Path(folder)
    imports.refuse_package(module_name, place, sys.modules)
    beside = place.joinpath(*module_name.split(".")).with_suffix(".py")
    if beside.is_file() and module_name not in sys.modules:
        return _guarded(module_name, function, beside, place, folder)
    _make_importable(place)
    try:
        with imports.without_searching():
            return importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise ObjectiveError(f"objective: cannot import {module_name}: {error}") from error


def _guarded(module_name: str, function: str, file: Path, place: Path, folder: str) -> ModuleType:
    """Import code of the user's own, unless that would train, or get modules of somebody else's.

    Args:
        file: where it is.
        place: the folder that it imports from.
        folder: what the reference is relative to.
    """
    is_file = module_name.endswith(".py")
    code = imports.code(file, place)
    imports.refuse_training(code, function)
    _make_importable(place)
    imports.refuse_taken(code, sys.modules)
    hidden, began = imports.hidden(code, sys.path), time.process_time()
    try:
        with imports.without_searching():
            module = _run(file) if is_file else importlib.import_module(module_name)
    except ObjectiveError:
        raise
    except (Exception, SystemExit) as error:
        typed = module_name if Path(folder).resolve() == Path.cwd() else str(file)
        why = f"{module_name}: cannot be imported: {_where(error, file)}"
        asked = f"try `python {shlex.quote(typed)}`" if is_file else ""
        raise ObjectiveError("; ".join(filter(None, [why, *hidden, asked]))) from error
    slow = imports.slow(file, time.process_time() - began)
    _remarks[module_name, folder] = [line for line in (*hidden, slow) if line]
    return module


def _run(file: Path) -> ModuleType:
    """The module that a file makes; from then on it can be imported by its name."""
    name = imports.free_name(file, sys.modules.keys() - _files)
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # so that what it defines can be pickled
    _files.add(name)
    spec.loader.exec_module(module)
    return module


def _where(error: BaseException, file: Path) -> str:
    """`mine.py:12 raises ValueError: no`."""
    if isinstance(error, SyntaxError):
        where, line = error.filename or str(file), error.lineno
    else:
        last = traceback.extract_tb(error.__traceback__)[-1]
        where, line = last.filename, last.lineno
    return f"{Path(where).name}:{line} raises {type(error).__name__}: {error}"


def remarks(reference: str, folder: str) -> list[str]:
    """What is to be known of a loaded objective's modules, a line each."""
    return _remarks.get((reference.rpartition(":")[0], folder), [])


def _make_importable(folder: Path) -> None:
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


def companion(objective: Callable[..., float], name: str) -> Callable[..., Any] | None:
    """A companion from the objective's module; None where it offers none."""
    module = sys.modules.get(getattr(objective, "__module__", None) or "")
    return getattr(module, name, None)


def ask(objective: Callable[..., float], name: str, **offered: Any) -> Any:
    """Call a companion; None where there is none. ValueError and OSError are the user's to mend,
    told in one line (ObjectiveError)."""
    asked = companion(objective, name)
    if asked is None:
        return None
    try:
        return asked(**accepted(asked, offered))
    except (ValueError, OSError) as error:
        raise ObjectiveError(str(error)) from error


def resumes(objective: Callable[..., float]) -> bool:
    """Whether it goes on where it was interrupted: it keeps something in its `workdir`, and neither
    the function nor its module says `resumes = False`."""
    says = getattr(objective, "resumes", companion(objective, "resumes"))
    return says is not False and bool(accepted(objective, {"workdir": None}))


def accepted(function: Callable[..., Any], offered: dict[str, Any]) -> dict[str, Any]:
    """Those of the offered arguments that the function declares by name."""
    return {k: v for k, v in offered.items() if k in inspect.signature(function).parameters}


def check_arguments(objective: Callable[..., float], settings: dict[str, Any]) -> list[str]:
    """Where settings and the objective's signature do not fit each other, as messages."""
    parameters = list(inspect.signature(objective).parameters.values())[1:]
    names = [p.name for p in parameters if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]
    free = any(p.kind is p.VAR_KEYWORD for p in parameters)
    needed = [p.name for p in parameters if p.name in names and p.default is p.empty]
    return [
        *(
            f"'{key}' is not a setting: optsearch gives it (`seed:`, --device); remove it"
            for key in settings
            if key in GIVEN and key in names
        ),
        *(
            f"the objective takes no setting '{key}'; it takes: {', '.join(names) or 'none'}"
            for key in settings
            if key not in names and not free
        ),
        *(
            f"the objective needs a setting '{key}'; add it"
            for key in needed
            if key not in settings and key not in GIVEN
        ),
    ]


def listed(value: Any) -> Any:
    """For `json`: numbers and arrays of NumPy and torch as plain ones, paths as texts."""
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, type) or not hasattr(value, "tolist"):
        raise TypeError(f"{type(value).__name__} is no such value")
    return value.tolist()


def plain(name: str, found: Mapping[str, Any]) -> dict[str, Any]:
    """What a companion returned, as JSON gives it back: what database and files can hold.

    Raises:
        ObjectiveError: it holds something else.
    """
    try:
        return dict(json.loads(json.dumps(dict(found), default=listed)))
    except (TypeError, ValueError, RecursionError) as error:
        raise ObjectiveError(
            f"{name}: must return a mapping of texts, numbers, true, false, none, lists and "
            f"mappings of these, got {found!r:.200} ({error})"
        ) from error


def measures(found: Any) -> dict[str, float]:
    """What `evaluate` returned, a number or several by name, as plain finite numbers.

    Raises:
        ObjectiveError: it is something else, which could not be kept or read again.
    """
    named = found if isinstance(found, Mapping) else {"score": found}
    try:
        measures = {str(name): float(value) for name, value in named.items()}
    except (TypeError, ValueError):
        measures = {}
    if not measures or not all(map(math.isfinite, measures.values())):
        raise ObjectiveError(
            "evaluate: must return a finite number, or several by name, as in "
            f"{{'accuracy': 0.9, 'loss': 0.3, 'n': 1000}}, got {found!r}"
        )
    return measures
