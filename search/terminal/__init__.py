"""How a study looks while it runs: a live panel, plain lines, JSON lines. For both faces."""
