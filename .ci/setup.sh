#!/bin/sh
# Make (or bring up to date) the virtual environment. usage: .ci/setup.sh <venv folder> <stamp file>
# The stamp is written last. A set-up that was cut short leaves <venv>/.setup-running, and the next one starts afresh:
# a half-unpacked package may look installed to pip.
set -eu
venv=$1
stamp=$2

python=$(.ci/preflight.sh)
if [ -e "$venv/.setup-running" ] || { [ -e "$venv" ] && ! "$venv/bin/python" -c "import pip" >/dev/null 2>&1; }; then
    echo "An earlier set-up was cut short or its Python is gone: starting afresh in $venv"
    rm -rf "$venv"
fi
mkdir -p "$venv"
rm -f "$stamp"
touch "$venv/.setup-running"
[ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
echo "Installing the packages of requirements.lock into $venv (some minutes the first time)"
"$venv/bin/python" -m pip install --disable-pip-version-check --prefer-binary -r requirements.lock
"$venv/bin/python" -m pip install --disable-pip-version-check --quiet --no-deps --no-build-isolation --editable .
rm -f "$venv/.setup-running"
touch "$stamp"
