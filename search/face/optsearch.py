"""`import optsearch`: the names of `search` under the name of the package; and its command, also as
`python -m optsearch`. The wheel puts this file beside `search/` (pyproject.toml).

`search`, `objectives` and `studies` are common words: what another project has under one of them is
refused here, before anything of ours is looked for in it.
"""

import importlib
import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from search import (
        Answer,
        OptsearchError,
        Study,
        __version__,
        best_config,
        compare,
        figures,
        load_model,
        load_results,
        run_study,
    )

__all__ = [
    "Answer",
    "OptsearchError",
    "Study",
    "__version__",
    "best_config",
    "compare",
    "figures",
    "load_model",
    "load_results",
    "run_study",
]
OURS = {"search": "cli/app.py", "objectives": "cnn.py", "studies": "digits.yaml"}  # what is in each


def _refusal() -> str:
    """Why the names of this package are not this package's; "" where they are."""
    for name, known in OURS.items():
        spec = importlib.util.find_spec(name)
        places = [*(spec.submodule_search_locations or ())] if spec else []
        if not any(Path(place, known).is_file() for place in places):
            found = (places or [spec.origin if spec else "nothing"])[0]
            return (
                f"the module `{name}` is another project's ({found}), and optsearch has one of "
                "that name: install optsearch in an environment of its own, as `uv tool install` "
                "and `pipx install` do, or take that folder out of PYTHONPATH"
            )
    return ""


def __getattr__(name: str) -> Any:
    """Loaded when asked for (PEP 562), as `search` does."""
    if name not in __all__:
        raise AttributeError(f"module 'optsearch' has no attribute {name!r}")
    if why := _refusal():
        raise ImportError(why)
    return getattr(importlib.import_module("search"), name)


def main() -> None:
    """The entry point of the command `optsearch`."""
    if why := _refusal():
        raise SystemExit(f"optsearch: {why}")
    from search.cli import main as run

    run()


if __name__ == "__main__":
    main()
