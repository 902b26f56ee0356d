"""An objective that is given as a function: how worker processes find it.

One that its module holds under its name is imported from the module's file, as any objective is:
fresh in each worker, with no state of the session, and with its companions. Whatever else can be
called (of a notebook's cell or a prompt, a lambda, a closure, an object with `__call__`) is written
by value into the run's own folder.
"""

import functools
import hashlib
import io
import json
import re
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import cloudpickle  # type: ignore[import-untyped]

from search.errors import ObjectiveError, OutputError
from search.objective import PICKLED


class Found(NamedTuple):
    """`objective` and `folder` of a study; what the study is called if nobody names it."""

    objective: str
    folder: str
    name: str


def of(function: Callable[..., Any], keep: Path) -> Found:
    """Where a worker finds a function.

    Args:
        keep: the folder that it is written into, if its module does not hold it.

    Raises:
        ObjectiveError: it holds on to something that lives in this process alone.
        OutputError: it cannot be written there.
    """
    return _in_its_module(function) or _by_value(function, keep)


def name(function: Callable[..., Any]) -> str:
    """What its study is called if nobody names it."""
    found = _in_its_module(function)
    return found.name if found else _name(function)


def _in_its_module(function: Callable[..., Any]) -> Found | None:
    """None where its module has no file of Python, or knows something else by that name."""
    module = sys.modules.get(getattr(function, "__module__", None) or "")
    name = getattr(function, "__name__", "")
    file = Path(getattr(module, "__file__", None) or "")
    if file.suffix != ".py" or not file.is_file() or getattr(module, name, None) is not function:
        return None
    spec = getattr(module, "__spec__", None)  # None of a script; `python -m package.mine` has one
    dotted = spec.name if spec else file.stem
    if file.name == "__init__.py" or "." in dotted:
        depth = dotted.count(".") + (file.name == "__init__.py")
        root = file.resolve().parents[depth]
        return Found(f"{dotted}:{name}", str(root), dotted.rpartition(".")[2])
    return Found(f"./{file.name}:{name}", str(file.resolve().parent), file.stem)


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]
    """Remembers the code that it writes by value."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file)
        self.codes: list[types.CodeType] = []

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, types.CodeType):
            self.codes.append(obj)
        return super().reducer_override(obj)


def _by_value(function: Callable[..., Any], keep: Path) -> Found:
    """Write it down: a line that tells its code, a line that tells where modules are found, it."""
    called = _name(function)
    written = io.BytesIO()
    pickler = _Pickler(written)
    try:
        pickler.dump(function)
    except Exception as error:  # whatever the objects that it refers to say
        raise ObjectiveError(
            f"objective: {called} cannot be taken to worker processes, because something that it "
            f"refers to lives in this process alone ({type(error).__name__}: {error}); make that "
            "inside the function, or keep the function in a file and import it from there"
        ) from error
    lines = [_fingerprint(pickler.codes), json.dumps([str(Path(p).absolute()) for p in sys.path])]
    file = keep / f"{called}{PICKLED}"
    part = file.with_suffix(".part")
    try:
        keep.mkdir(parents=True, exist_ok=True)
        part.write_bytes("".join(f"{line}\n" for line in lines).encode() + written.getvalue())
        part.replace(file)  # whole: workers of another call may be reading it
    except OSError as error:
        raise OutputError(
            f"--workdir {keep.parent}: cannot be written: {error.strerror or error}; "
            "name another one"
        ) from error
    return Found(f"./{file.name}:{called}", str(keep.absolute()), called)


def _name(function: Callable[..., Any]) -> str:
    """`objective`; of an object its class; `lambda`."""
    while isinstance(function, functools.partial):
        function = function.func
    name = getattr(function, "__name__", type(function).__name__)
    return re.sub(r"\W", "", name) or "objective"


def _fingerprint(codes: list[types.CodeType]) -> str:
    """Of the code alone, and the same in every session, as the bytes of a pickle are not."""
    told = sorted(text for code in codes for text in _texts(code))
    return f"sha256:{hashlib.sha256(repr(told).encode()).hexdigest()[:16]}"


def _texts(code: types.CodeType) -> Iterator[str]:
    inner = [one for one in code.co_consts if isinstance(one, types.CodeType)]
    values = [
        sorted(map(repr, one)) if isinstance(one, frozenset) else repr(one)  # a set has no order
        for one in code.co_consts
        if not isinstance(one, types.CodeType)
    ]
    yield repr((code.co_name, code.co_code.hex(), code.co_names, code.co_varnames, values))
    for one in inner:
        yield from _texts(one)
