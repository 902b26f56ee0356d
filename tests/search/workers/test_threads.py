"""threads.py: a worker computes with its share of the cores, whether its objective asks or not."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from search.workers.threads import VARIABLES

LOADED = "import numpy\n"  # with it OpenBLAS, as in the fork server
TELL = """
import json, os, threadpoolctl
from search.workers import threads
{before}
threads.take(1)
threads.take(1)
{after}
print(json.dumps([info["num_threads"] for info in threadpoolctl.threadpool_info()]))
print(os.environ.get("OMP_NUM_THREADS"), os.environ.get("MKL_NUM_THREADS"))
"""


def in_a_process(before: str, after: str, **variables: str) -> tuple[list[int], Any]:
    """Threads of every library that is loaded, and what their variables say."""
    plain = {k: v for k, v in os.environ.items() if k not in VARIABLES}
    code = TELL.format(before=before, after=after)
    command = [sys.executable, "-c", code]
    done = subprocess.run(
        command, env=plain | variables, capture_output=True, text=True, check=True
    )
    pools, words = done.stdout.splitlines()
    return json.loads(pools), words


@pytest.mark.parametrize(("before", "after"), [(LOADED, ""), ("", LOADED)])
def test_libraries_take_their_share_whenever_they_are_loaded(before: str, after: str) -> None:
    """Those that the fork server brought along are told, the others read it as they start."""
    pools, words = in_a_process(before, after)
    assert pools
    assert set(pools) == {1}
    assert words == "1 1"


def test_what_a_person_has_set_stands() -> None:
    """`OMP_NUM_THREADS=3 optsearch run` knows what it wants, for every library."""
    _, words = in_a_process(LOADED, "", OMP_NUM_THREADS="3")
    assert words == "3 None"
