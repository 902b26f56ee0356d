"""Who else hears of a run: commands and URLs that are told what happens, tools that track runs."""
