"""What a study's rows mean: trials in chains, what may be spent, how trials end, what came out."""
