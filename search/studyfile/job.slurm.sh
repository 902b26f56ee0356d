#!/bin/bash
#SBATCH --job-name={label}
#SBATCH --array=1-{count}              # so many workers, each a job of its own
#SBATCH {gpus}--cpus-per-task=4 --time=4:00:00
#SBATCH --requeue --signal=TERM@60     # preempted, it gives its trial back, and starts again
#
# {about_gpus}
# Put the database into the environment that jobs get: export OPTSEARCH_STORAGE=postgresql://...
# {workdir} is a folder that all nodes share, so that each goes on from another's checkpoints.
# Ten minutes before its time is up a worker takes no new trial.
srun {command}
