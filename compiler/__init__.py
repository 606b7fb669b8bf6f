"""From the integer graph to a program: fusion, tiling, memory planning, scheduling, encoding."""
