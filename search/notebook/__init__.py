"""How a study looks in a notebook: a live view while it runs, a card of its answer. As HTML and SVG
that need no JavaScript, and colours that suit a light page and a dark one."""
