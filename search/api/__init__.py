"""The same service for scripts and notebooks. Nothing is printed, and errors speak Python."""
