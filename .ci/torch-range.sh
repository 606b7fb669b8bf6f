#!/bin/sh
# Run the tests of import, calibration and models with the oldest and the newest torch that pyproject.toml admits.
# usage: .ci/torch-range.sh <venv folder> <folder for the environments> [words for pytest]
# Each torch is installed into an environment of its own, which finds everything else behind it in <venv folder>. PyPI's
# Linux builds bring CUDA packages of several gigabytes; without room or network for them this stops with pip's message.
set -eu
venv=$1
folder=$2
shift 2
packages=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')

status=0
for version in $("$venv/bin/python" .ci/torch_range.py); do
    own=$folder/$version
    [ -x "$own/bin/python" ] || "$venv/bin/python" -m venv "$own"
    "$own/bin/python" -m pip install --disable-pip-version-check --quiet "torch==$version.*"
    # After its own packages, those of the project: a .pth file's folders come last.
    echo "$packages" >"$("$own/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/zz-project.pth"
    PYTHONPATH=. "$own/bin/python" -c 'import torch, torchao; print("torch", torch.__version__, "torchao", torchao.__version__)'
    PYTHONPATH=. "$own/bin/python" -m pytest -p no:cacheprovider -q -m quick \
        tests/quant tests/models tests/golden/test_interpreter.py "$@" || status=1
done
exit $status
