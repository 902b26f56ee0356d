"""How many CPU threads this process computes with: its share of the machine, whatever it runs.

Each worker would take all cores otherwise, and two of them on two cores are several times slower
than one after the other: threads that wait for each other do so by spinning.
"""

import os

import threadpoolctl

# What the libraries read when they are loaded, here and in processes that the objective starts.
VARIABLES = (
    *("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"),
    *("NUMEXPR_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"),
)


def share(cores: int, workers: int) -> int:
    """How many threads each of the workers computes with: a number that a person has set stands."""
    own = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    return int(own) if own.isdecimal() and int(own) else max(1, cores // workers)


def take(threads: int) -> None:
    """From now on compute with so many, also in libraries that the fork server has loaded already.
    Variables that a person has set stand."""
    if any(name in os.environ for name in VARIABLES):
        return
    os.environ.update(dict.fromkeys(VARIABLES, str(threads)))
    threadpoolctl.threadpool_limits(threads)
