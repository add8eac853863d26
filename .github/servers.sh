#!/usr/bin/env bash
# Installs the server programs that tests start and pip cannot install, into /usr/local/bin: each comes out of its
# upstream image; Prometheus and Alertmanager come from Ubuntu. Needs Docker and sudo, as on GitHub's runners.
set -euo pipefail
folder=$(mktemp -d)

# The image of the observability stack, with its version.
image() { grep -oE "$1:[^ ]+" deploy/observability/compose.yaml | head -n 1; }

# install_from IMAGE PATH
install_from() {
  local container
  container=$(docker create "$1")
  docker cp "$container:$2" "$folder"
  docker rm "$container" >/dev/null
  sudo install "$folder/${2##*/}" /usr/local/bin
}

install_from "$(image otel/opentelemetry-collector-contrib)" /otelcol-contrib
install_from "$(image grafana/tempo)" /tempo
install_from "$(image grafana/loki)" /usr/bin/loki
install_from qdrant/qdrant:v1.19.0 /qdrant/qdrant

sudo apt-get update -qq
sudo apt-get install -y -qq prometheus prometheus-alertmanager
# Tests start their own.
sudo systemctl disable --now prometheus prometheus-alertmanager
