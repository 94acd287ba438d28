# Sourced by the other scripts: makes .venv and installs Medlock into it, where that is needed.
# Needs Python 3.11 or 3.12, and the package index once; no root.

cd "$(dirname "${BASH_SOURCE[0]}")/.."

# fits PYTHON: whether it is there, is 3.11 or 3.12, and can make environments.
fits() {
    "$1" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info[:2] not in {(3, 11), (3, 12)})' 2>/dev/null
}

# The PYTHON that was asked for, else what the machine calls python3, else whichever fits, those of
# pyenv that no directory of PATH leads to included.
find_python() {
    local candidate
    for candidate in ${PYTHON:+"$PYTHON"} python3 python3.12 python3.11 \
        "${PYENV_ROOT:-${HOME:-}/.pyenv}"/versions/3.1[12].*/bin/python3; do
        if fits "$candidate"; then
            echo "$candidate"
            return
        fi
    done
    echo "Python 3.11 or 3.12 with its venv module is needed (Debian: python3-venv)." >&2
    return 1
}

# install EXTRAS: "" or "[dev]". A stamp remembers what is installed, so that a second run is fast.
install() {
    local wanted python stamp=.venv/.medlock-installed
    wanted="$(cat pyproject.toml scripts/environment.bash | cksum) $PWD"
    if ! fits .venv/bin/python; then
        python="$(find_python)"
        echo "Making .venv with $("$python" --version)" >&2
        "$python" -m venv --clear .venv
    fi
    if grep -qsxF "$wanted [dev]" "$stamp" || grep -qsxF "$wanted $1" "$stamp"; then
        return
    fi
    echo "Installing Medlock${1:+ with the development tools} into .venv" >&2
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --editable ".$1"
    echo "$wanted $1" >"$stamp"
}
