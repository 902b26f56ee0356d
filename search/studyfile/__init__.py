"""The question: a study file as frozen values, its search space, and where each key stands."""
