"""`import optsearch`: the names of `search` under the name of the package, and the command as
`python -m optsearch`. The wheel puts this file beside `search/` (pyproject.toml); out of a checkout
it is found with PYTHONPATH=.:search/face."""

from search import (
    Answer,
    OptsearchError,
    __version__,
    best_config,
    figures,
    load_model,
    load_results,
    run_study,
)

__all__ = [
    "Answer",
    "OptsearchError",
    "__version__",
    "best_config",
    "figures",
    "load_model",
    "load_results",
    "run_study",
]

if __name__ == "__main__":
    from search.cli import main

    main()
