# Sourced by the other scripts: makes .venv and installs Medlock into it, where that is needed.
# Needs Python 3.11 or 3.12 on PATH, and the package index once; no root.

cd "$(dirname "${BASH_SOURCE[0]}")/.."

find_python() {
    local name
    for name in ${PYTHON:-} python3.11 python3.12 python3; do
        if "$name" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info[:2] not in {(3, 11), (3, 12)})' 2>/dev/null; then
            echo "$name"
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
    if [ ! -x .venv/bin/python ] || ! .venv/bin/python -c '' 2>/dev/null; then
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
