"""Who trains: one worker and its trial, the processes of a machine, a cluster, other machines."""
