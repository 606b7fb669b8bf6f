#!/bin/sh
# Look for everything that set-up cannot install itself. Prints the Python to use; on failure, one message and status 2.
# usage: .ci/preflight.sh [python]        environment: PYTHON names the interpreter to try first
set -u

missing=""
need() { # need <program> <what it is for>
    command -v "$1" >/dev/null 2>&1 || missing="$missing
  $1: $2"
}
need g++ "compiles the simulation (Debian: g++)"
need make "drives the set-up and the simulation build (Debian: make)"
need perl "runs Verilator's driver script (Debian: perl)"
need git "tells sources from build products in the tests (Debian: git)"

# Every question to an interpreter is one short program whose status is the answer.
new_enough='import sys; sys.exit(sys.version_info < (3, 11))'
has_venv='import ensurepip, venv'
# cocotb embeds Python in the simulator and so needs the shared library, which some distributions package separately.
has_library='import ctypes, os, sys, sysconfig
name = "libpython%d.%d.so.1.0" % sys.version_info[:2]
for folder in (sysconfig.get_config_var("LIBDIR") or "", os.path.join(sys.base_prefix, "lib"), ""):
    try:
        sys.exit(bool(ctypes.CDLL(os.path.join(folder, name)) is None))
    except OSError:
        pass
sys.exit(1)'

python=""
old=""
for candidate in ${1:-} ${PYTHON:-} python3 python3.13 python3.12 python3.11; do
    command -v "$candidate" >/dev/null 2>&1 || continue
    if "$candidate" -c "$new_enough" >/dev/null 2>&1; then
        python=$candidate
        break
    fi
    old="$old $candidate"
done
if [ -z "$python" ]; then
    missing="$missing
  Python 3.11 or newer${old:+ (too old:$old)}: runs everything (Debian: python3 python3-venv)"
else
    "$python" -c "$has_venv" >/dev/null 2>&1 || missing="$missing
  the venv module of $python: makes the virtual environment (Debian: python3-venv)"
    "$python" -c "$has_library" >/dev/null 2>&1 || missing="$missing
  the shared library of $python: cocotb embeds Python in the simulator (Debian: libpython3-dev)"
fi

if [ -n "$missing" ]; then
    printf 'Vitreous cannot be set up on this machine. Missing:%s\nInstall what is named and run the command again.\n' \
        "$missing" >&2
    exit 2
fi
command -v "$python"
