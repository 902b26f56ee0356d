"""Optuna's storage made fast, patient with servers that restart, and copied elsewhere."""
