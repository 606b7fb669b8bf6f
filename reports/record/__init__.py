"""What a run recorded, and how each figure was obtained."""
