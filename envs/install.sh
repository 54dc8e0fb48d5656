#!/bin/sh
# Install the pinned environment into the running interpreter's environment: `envs/install.sh PYTHON`.
set -eu
python=$1
here=$(dirname "$0")
pip="$python -m pip --disable-pip-version-check install --quiet --no-compile"
$pip -r "$here/requirements.txt"
# What asks for packages that are not needed, or for an older Python: see no-deps.txt.
$pip --no-deps --ignore-requires-python -r "$here/no-deps.txt"
$pip --no-deps --editable "$here/.."
# Byte code on all cores, which pip makes on one. What is written for a newer Python (torch has such a file) does not
# compile and is not imported.
$python -m compileall -qq -j 0 "$($python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')" || true
