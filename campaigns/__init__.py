"""Long verification programs, each with a ``make`` target of its own; short shares of them run as tests."""
