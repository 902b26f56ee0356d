"""What to train next and how far: samplers, pruners, and whether the pruner is right."""
