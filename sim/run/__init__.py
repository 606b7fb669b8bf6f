"""A simulation built, started and driven: toolchain, build, bench, runtime."""
