#!/bin/sh
# make_venv.sh PYTHON DIR: make the virtual environment DIR, or say in one line what is missing and how to get it.
python=$1
dir=$2

fail() {
    echo "raftedu: $1" >&2
    exit 1
}

"$python" -c 'pass' >/dev/null 2>&1 ||
    fail "no '$python' runs here: install Python 3.11 or newer (Debian, Ubuntu: apt-get install python3 python3-venv), or say where it is: make PYTHON=/path/to/python3"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    fail "'$python' is $("$python" --version 2>&1), and 3.11 or newer is needed: name a newer one, as in make PYTHON=python3.12"
"$python" -c 'import venv, ensurepip' 2>/dev/null ||
    fail "'$python' cannot make virtual environments: install its venv module (Debian, Ubuntu: apt-get install python3-venv), then run make again"
[ -x "$dir/bin/python" ] && "$dir/bin/python" -m pip --version >/dev/null 2>&1 && exit 0
"$python" -m venv --clear "$dir" || fail "could not make the virtual environment $dir: see the lines above"
