"""A simulation built, started and fed: toolchain, build, bench, runtime."""
