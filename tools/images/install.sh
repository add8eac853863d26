#!/bin/sh
# Installs all wheels of a folder into /opt/rag, with the pip that lies beside it; used by the Dockerfile.
set -eu
PYTHONPATH=$(echo /wheels/pip/pip-*.whl) \
  python3 -m pip install --quiet --no-cache-dir --no-index --no-deps --no-compile --root-user-action ignore \
    --target /opt/rag "$1"/*.whl
python3 /prune.py /opt/rag
PYTHONHASHSEED=0 python3 -m compileall -q --invalidation-mode unchecked-hash /opt/rag
find /opt/rag -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +
