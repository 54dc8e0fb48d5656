#!/bin/sh
# Install the pinned environment into the running interpreter's environment: `envs/install.sh PYTHON`.
set -eu
python=$1
here=$(dirname "$0")
pip="$python -m pip --disable-pip-version-check install --quiet"
$pip -r "$here/requirements.txt"
# What asks for packages that are not needed, or for an older Python: see no-deps.txt.
$pip --no-deps --ignore-requires-python -r "$here/no-deps.txt"
$pip --no-deps --editable "$here/.."
