"""What runs a program: fetch, dispatch, queues and tokens, the first error, registers and counters."""
