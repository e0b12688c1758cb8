# Sourced by the scripts of this folder: finds or makes the virtual environment, and installs the project when needed.
#
# Which one, in this order: $ATTNZOO_VENV, the active $VIRTUAL_ENV, .venv in the repository. One that is not there is
# made. The project with one of its extras (EXTRAS, else test) is installed when pyproject.toml or the interpreter has
# changed since last time.

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
VENV="${ATTNZOO_VENV:-${VIRTUAL_ENV:-$ROOT/.venv}}"
case "$VENV" in /*) ;; *) VENV="$PWD/$VENV" ;; esac
export TF_CPP_MIN_LOG_LEVEL="${TF_CPP_MIN_LOG_LEVEL:-3}"

# The lowest versions that pyproject.toml allows instead of the newest, in an environment of their own.
LOWEST=
use_lowest() {
  LOWEST=1
  [ -n "${ATTNZOO_VENV:-}" ] || VENV="$ROOT/.venv-lowest"
}

# Keras on another backend, which is installed beside TensorFlow.
BACKEND=
EXTRAS="${EXTRAS:-test}"
use_backend() {
  case "$1" in
    tensorflow) ;;
    jax | torch) EXTRAS="test,test-$1" ;;
    *) say "unknown backend '$1'; expected tensorflow, jax or torch"; exit 2 ;;
  esac
  BACKEND="$1"
  export KERAS_BACKEND="$1"
}

say() { printf '%s\n' "$*" >&2; }

# Prints the comment block at the top of the script $1 as its help.
usage() { sed -n '2,/^$/{/^#/!d;s/^# \{0,1\}//;p;}' "$1"; }

# The first Python that TensorFlow has wheels for, or else the first that is new enough.
find_python() {
  local name before
  for before in 14 99; do
    for name in ${PYTHON:-python3 python3.13 python3.12 python3.11}; do
      if "$name" -c "import sys, ensurepip; sys.exit(not (3, 11) <= sys.version_info < (3, $before))" 2>/dev/null; then
        printf '%s\n' "$name"
        return
      fi
    done
  done
  say "No Python 3.11 or later with pip and venv was found; set PYTHON to one."
  return 1
}

make_venv() {
  local base
  base="$(find_python)"
  say "Making a virtual environment in $VENV ..."
  "$base" -m venv --clear "$VENV"
}

fingerprint() {
  "$VENV/bin/python" -c '
import hashlib, pathlib, sys
text = pathlib.Path(sys.argv[1], "pyproject.toml").read_bytes() + f"{sys.argv[1]} {sys.version}".encode()
print(hashlib.sha256(text).hexdigest())' "$ROOT"
}

# True if the extra $1 was installed when the fingerprint was $2.
is_installed() {
  local stamp="$VENV/.attnzoo-installed-$1"
  [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$2" ]
}

install() {
  local stamp="$VENV/.attnzoo-installed-$EXTRAS" now limits=()
  now="$(fingerprint)"
  if is_installed "$EXTRAS" "$now" || { [ "$EXTRAS" = demo ] && is_installed test "$now"; }; then
    return
  fi
  say "Installing attnzoo[$EXTRAS] (a few minutes the first time) ..."
  if [ -n "$LOWEST" ]; then
    "$VENV/bin/python" "$ROOT/scripts/_lowest.py" "$ROOT/pyproject.toml" >"$VENV/lowest.txt"
    limits=(-c "$VENV/lowest.txt")
  fi
  "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check ${limits[@]+"${limits[@]}"} -e "$ROOT[$EXTRAS]"
  printf '%s\n' "$now" >"$stamp"
}

# Leaves the environment first on PATH and the repository as working directory.
enter() {
  cd "$ROOT"
  if ! "$VENV/bin/python" -c '' 2>/dev/null; then
    if [ -e "$VENV" ] && [ "$VENV" != "$ROOT/.venv" ]; then
      say "$VENV has no Python that runs; remove it, or set ATTNZOO_VENV to another folder."
      return 1
    fi
    make_venv
  fi
  install
  export VIRTUAL_ENV="$VENV" PATH="$VENV/bin:$PATH"
}
