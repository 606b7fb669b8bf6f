"""Energy of a run: events, what each costs on a technology, and the report's part on it."""
