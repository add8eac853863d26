#!/bin/sh
# Puts policy, template, pipeline and Kibana's views. May be run again at any time.
# ELASTICSEARCH_URL, KIBANA_URL; ELASTICSEARCH_API_KEY where security is on.
set -eu
here=$(dirname "$0")

call() {
  if [ -n "${ELASTICSEARCH_API_KEY:-}" ]; then
    # By standard input: an argument can be read by everybody on the machine.
    printf 'header = "Authorization: ApiKey %s"\n' "$ELASTICSEARCH_API_KEY" |
      curl --config - --fail-with-body --silent --show-error --retry 30 --retry-delay 2 --retry-all-errors --max-time 30 "$@"
  else
    curl --fail-with-body --silent --show-error --retry 30 --retry-delay 2 --retry-all-errors --max-time 30 "$@"
  fi
  echo
}

put() {
  call -X PUT -H 'Content-Type: application/json' "$ELASTICSEARCH_URL/$1" --data-binary "@$here/$2"
}

put _ilm/policy/rag-services lifecycle.json
put _ingest/pipeline/rag-services pipeline.json
put _index_template/rag-services template.json
if [ -n "${KIBANA_URL:-}" ]; then
  call -X POST -H 'kbn-xsrf: rag' "$KIBANA_URL/api/saved_objects/_import?overwrite=true" \
    --form "file=@$here/../kibana/rag.ndjson"
fi
