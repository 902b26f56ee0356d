"""What it means to import an objective's file: whether that trains, and whose modules it gets.

Each process imports the file. What it does there is done in all of them; and of two modules of one
name Python takes one, in silence.
"""

import ast
import contextlib
import importlib.machinery
import importlib.metadata
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from search.errors import ObjectiveError

GUARD = 'put it under `if __name__ == "__main__":`'
SLOW_S = 20  # of computing (a busy machine or a slow disk is no fault of the file): is told
OURS = ("search", "objectives", "studies")
SLOW = ("numpy", "pandas", "scipy", "sklearn", "torch", "torchvision")  # and safe to be forked
_FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)
_NO_CODE = (*_FUNCTION, ast.ClassDef, ast.Lambda)  # what in them stands does not run where it is


class Import(NamedTuple):
    """A module that a file imports, and that lies beside it."""

    file: Path
    line: int
    name: str  # of its top level
    found: Path


class Code(NamedTuple):
    """An objective's file, and what it imports from its folder, and so on."""

    read: dict[Path, ast.Module]  # its own first; without what is no Python
    imports: list[Import]
    folder: Path


def code(file: Path, folder: Path) -> Code:
    """Read an objective's file; `folder` is where it imports from."""
    found = Code({}, [], folder)
    waiting = [file]
    while waiting:
        one = waiting.pop()
        if one in found.read or not one.is_file():
            continue
        with contextlib.suppress(SyntaxError, ValueError, OSError):  # told when it is imported
            found.read[one] = ast.parse(one.read_bytes())
            for line, start, names in _imported(found.read[one], one, folder):
                for path in _sources(start, names):
                    waiting.append(path)
                    if start == folder:
                        found.imports.append(Import(one, line, names[0], path))
    return found


def packages(file: Path, folder: Path) -> list[str]:
    """Packages that an objective's file wants and that take seconds to import, as far as it does
    not mean modules beside it."""
    read = code(file, folder)
    beside = {one.name for one in read.imports}
    wanted = {
        names[0]
        for one, tree in read.read.items()
        for _, start, names in _imported(tree, one, folder)
        if start == folder
    }
    return [name for name in SLOW if name in wanted - beside]


def refuse_training(read: Code, function: str) -> None:
    """Raise ObjectiveError where importing one of these files trains, as far as can be read.

    Args:
        function: the objective's name, in the first of the files.
    """
    own = next(iter(read.read), None)
    for file, tree in read.read.items():
        if where := _training(tree, function if file == own else ""):
            line, call = where
            raise ObjectiveError(_words(file.name, line, f"`{call}` trains"))


@contextlib.contextmanager
def without_searching() -> Iterator[None]:
    """In here a search that begins is refused, wherever its code is.

    Raises:
        ObjectiveError: with the place.
    """
    import optuna

    told: list[str] = []

    def refuse(*_: Any, **__: Any) -> Any:
        caller = sys._getframe(1)
        name = Path(caller.f_code.co_filename).name
        told.append(_words(name, caller.f_lineno, "a search (`study.optimize` or `ask`) begins"))
        raise ObjectiveError(told[0])

    real = {name: getattr(optuna.Study, name) for name in ("optimize", "ask")}
    try:
        for name in real:
            setattr(optuna.Study, name, refuse)
        yield
    finally:
        for name, method in real.items():
            setattr(optuna.Study, name, method)
    if told:  # the file has caught it
        raise ObjectiveError(told[0])


def _words(name: str, line: int, what: str) -> str:
    return f"{name}:{line} {what} when the file is imported, and every process does that; {GUARD}"


def _training(tree: ast.Module, function: str) -> tuple[int, str] | None:
    """Line and call of the first statement that trains when the module is run. What stands under
    an `if` may not run, and is passed by."""
    functions = {node.name: node for node in tree.body if isinstance(node, _FUNCTION)}
    for statement in tree.body:
        for call in () if isinstance(statement, ast.If) else _calls(statement):
            if _trains(call, functions, function, set()):
                return call.lineno, f"{ast.unparse(call.func)}(...)"
    return None


def _trains(
    call: ast.Call, functions: Mapping[str, ast.AST], objective: str, seen: set[str]
) -> bool:
    called = call.func
    if isinstance(called, ast.Name):
        if called.id == objective:
            return True
        if called.id not in functions or called.id in seen:
            return False
        seen.add(called.id)
        body = functions[called.id].body  # type: ignore[attr-defined]
        inner = (one for statement in body for one in _calls(statement))
        return any(_trains(one, functions, objective, seen) for one in inner)
    if not isinstance(called, ast.Attribute):
        return False
    by = ast.unparse(called.value).lower()
    fits = any(keyword.arg == "epochs" for keyword in call.keywords) or "trainer" in by
    return called.attr == "backward" or (called.attr in ("fit", "train") and fits)


def _calls(node: ast.AST) -> Iterator[ast.Call]:
    """The calls that a statement makes when it runs."""
    if isinstance(node, _NO_CODE):
        return
    if isinstance(node, ast.Call):
        yield node
    for child in ast.iter_child_nodes(node):
        yield from _calls(child)


def refuse_taken(read: Code, modules: Mapping[str, Any]) -> None:
    """Raise ObjectiveError where a file imports a module that lies beside it, and would get one of
    that name from elsewhere, which this process has imported already."""
    own = next(iter(read.read), None)
    for file, line, name, beside in read.imports:
        if beside == own:  # nobody means the file itself
            continue
        if name in modules and (other := _elsewhere(modules[name], read.folder)):
            raise ObjectiveError(
                f"{file.name}:{line} imports '{name}': it would get {other}, not {beside}; "
                "rename yours"
            )


def refuse_package(module: str, folder: Path, modules: Mapping[str, Any]) -> None:
    """Raise ObjectiveError where `package.module` is in the folder, but its package from elsewhere
    is in use."""
    top, *rest = module.split(".")
    beside = folder.joinpath(top, *rest).with_suffix(".py")
    if top in modules and beside.is_file() and (other := _elsewhere(modules[top], folder)):
        raise ObjectiveError(
            f"objective: {module} would be of {other}, not of {folder / top}; rename yours"
        )


def free_name(file: Path, modules: Collection[str]) -> str:
    """A name for an objective's own file: that of a module in use must not become its."""
    name = file.stem
    while name in modules:
        name = f"_{name}"
    return name


def hidden(read: Code, path: list[str]) -> list[str]:
    """A line for each module beside the files that hides one of Python's, or of a package."""
    found = {}
    for file, line, name, beside in read.imports:
        if name not in found and (other := _hides(name, read.folder, path)):
            found[name] = f"{file.name}:{line} imports '{name}': {beside} hides {other}"
    return list(found.values())


def _imported(tree: ast.Module, file: Path, folder: Path) -> Iterator[tuple[int, Path, list[str]]]:
    """(line, folder to start from, parts of the name) of all that a module imports, late imports
    too, but for those of `python FILE` alone."""
    waiting: list[ast.AST] = list(tree.body)
    while waiting:
        node = waiting.pop(0)
        if isinstance(node, ast.If) and "__name__" in ast.unparse(node.test):
            continue
        waiting += ast.iter_child_nodes(node)
        if isinstance(node, ast.Import):
            yield from ((node.lineno, folder, alias.name.split(".")) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = file.parents[node.level - 1] if node.level else folder
            module = node.module.split(".") if node.module else []
            yield from ((node.lineno, start, [*module, alias.name]) for alias in node.names)


def _sources(start: Path, names: Sequence[str]) -> Iterator[Path]:
    """The files that run when a name is imported, as far as they lie in a folder; its last part may
    be something in a module."""
    for name in names:
        package, module = start / name, start / f"{name}.py"
        if not package.is_dir():
            if module.is_file():
                yield module
            return
        if (package / "__init__.py").is_file():
            yield package / "__init__.py"
        start = package


def _elsewhere(module: Any, folder: Path) -> str:
    """Where a module is from; "" where it is from the folder."""
    file = getattr(module, "__file__", None) or next(iter(getattr(module, "__path__", ())), None)
    if file is None:
        return f"Python's own '{module.__name__}'"
    return "" if Path(file).resolve().is_relative_to(folder.resolve()) else str(file)


def _hides(name: str, folder: Path, path: list[str]) -> str:
    """What a module of the folder hides; "" where nobody else means that name."""
    if name in sys.stdlib_module_names:
        return f"Python's own '{name}'"
    if name not in OURS:
        try:
            importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            return ""
    others = [one for one in path if Path(one).resolve() != folder.resolve()]
    spec = importlib.machinery.PathFinder.find_spec(name, others)
    return "" if spec is None or spec.origin is None else spec.origin


def slow(file: Path, seconds: float) -> str:
    """A line about a file whose import takes long; "" of others."""
    if seconds < SLOW_S:
        return ""
    return (
        f"{file.name}: importing it computes for {seconds:.0f} s, in every worker: what stands "
        f"outside of functions runs in each; if it trains, {GUARD}"
    )
