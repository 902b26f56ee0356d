"""optuna-dashboard on our storage, for people on other machines too.

A request passes, in this order: waitress, `gate` (who, what, from where), `fast.compressed`,
`away` (a storage that cannot be reached), optuna-dashboard's own application with our `views`.
"""
