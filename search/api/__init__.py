"""The same service for scripts and notebooks. Nothing is printed, and errors speak Python."""

import warnings

# Optuna's own bar says in every notebook that it misses ipywidgets, which nothing here needs.
warnings.filterwarnings("ignore", "IProgress not found")
