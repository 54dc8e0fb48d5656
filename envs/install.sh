#!/bin/sh
# Install the pinned environment into the running interpreter's environment: `envs/install.sh PYTHON`.
set -eu
python=$1
here=$(dirname "$0")
pip="$python -m pip --disable-pip-version-check install --quiet"
$pip -r "$here/requirements.txt"
# lava pins an older Python and torch in its metadata only; ndns.loihi2.lava_shim makes it import.
$pip --no-deps --ignore-requires-python -r "$here/lava.txt"
$pip --no-deps --editable "$here/.."
