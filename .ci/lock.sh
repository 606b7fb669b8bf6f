#!/bin/sh
# Write requirements.lock: what pip resolves from pyproject.toml today, in an environment of its own.
set -eu
python=$(.ci/preflight.sh)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
"$python" -m venv "$scratch/venv"
# torch stays at the release that is locked: a newer one is a change of its own, after `make torch-range`.
grep '^torch==' requirements.lock >"$scratch/kept"
"$scratch/venv/bin/python" -m pip install --disable-pip-version-check --quiet --constraint "$scratch/kept" ".[dev]"
{
    cat <<'TEXT'
# Every package that Vitreous is built, run and tested with, at the version it was tested with.
# Written by `make lock` from pyproject.toml; `make setup` installs from it.
# The CUDA packages that the Linux build of torch on PyPI asks for (nvidia-*, cuda-*, triton) are left out on purpose:
# pip adds them where the build of torch it finds wants them, and nowhere else.
TEXT
    # A local version such as 2.13.0+cpu names one build of a release; the lock names the release.
    "$scratch/venv/bin/python" -m pip freeze --all --exclude vitreous |
        grep -viE '^(pip|nvidia-|cuda-|triton)[^ ]*==' | sed 's/^\(torch==[^+]*\)+.*/\1/' | LC_ALL=C sort -f
} >"$scratch/lock"
mv "$scratch/lock" requirements.lock
