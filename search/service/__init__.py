"""What a run is: prepare, open, search, confirm, answer. Tells a listener, prints nothing."""
