import sys, json, time
from pathlib import Path
import quality_runs as qr, quality_tables as qt, optuna
from concurrent.futures import ProcessPoolExecutor
optuna.logging.set_verbosity(optuna.logging.ERROR)
T=Path('/work/shared/tables')
def tasks(sel):
    out=[]
    if 'l' in sel:
        out+=qt.lcbench(T/'lcbench_tasks.json')
    if 't' in sel:
        for p in sorted(T.glob('taskset*.npz')): out+=qt.taskset(p)
    return out
