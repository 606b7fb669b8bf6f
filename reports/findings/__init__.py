"""What a run's figures mean: a summary in words, and what single changes would bring at most."""
