# Sourced by infra/run and infra/test: makes the virtual environment, once.

say() { printf '%s\n' "$*" >&2; }

fail() {
    say "$*"
    exit 1
}

find_python() {
    # Running each is the only way to know: a name may be there and lead nowhere.
    for name in ${PYTHON:-} python3.11 python3.12 python3.13 python3.14 python3 python; do
        if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
            printf '%s\n' "$name"
            return
        fi
    done
    fail "Python 3.11 or newer is needed and none was found. Install it, or set PYTHON to where it is."
}

# What an installation was made from: where, what for, and every pinned version.
wanted() {
    printf '%s\n' "$1" "$here"
    cat "$here/pyproject.toml" "$here/infra/constraints.txt"
}

# make_environment run|test
make_environment() {
    venv=$here/.venv
    stamp=$venv/parloir-installed
    for purpose in "$1" test; do # what was installed for the tests does for running, too
        if [ -x "$venv/bin/parloir" ] && wanted "$purpose" | cmp -s - "$stamp"; then
            return
        fi
    done
    python=$(find_python)
    say "Making the virtual environment $venv (once; takes a minute)"
    rm -f "$stamp"
    if ! "$python" -c 'import ensurepip, venv' >/dev/null 2>&1; then
        fail "$python cannot make virtual environments. Install the rest of it (Debian, Ubuntu: apt-get install python3-venv)."
    fi
    [ -x "$venv/bin/python" ] && "$venv/bin/python" -m pip --version >/dev/null 2>&1 || "$python" -m venv --clear "$venv"
    extra=
    [ "$1" = test ] && extra='[test]'
    PYTHONWARNINGS=ignore "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-input \
        --constraint "$here/infra/constraints.txt" --editable "$here$extra" ||
        fail "The packages could not be installed. Check the network, then run it again."
    wanted "$1" >"$stamp"
}
