# The image of one service: `make image-gateway`, or `make images` for all (tools/images).
#
# BASE is what it runs on: Python 3.11 or newer as `python3`, and CA certificates. BUILD_BASE is what it is
# assembled on: the same Python, and a shell. Neither needs pip or a compiler. Name both by digest.
ARG BASE
ARG BUILD_BASE=${BASE}
ARG SERVICE

# Wheels become folders. All of them are there, so that nothing is resolved, fetched or compiled. Bytecode is
# not checked against its source, which cannot change: there is no date in it.
FROM ${BUILD_BASE} AS build
ENV SOURCE_DATE_EPOCH=315532800
COPY tools/images/prune.py tools/images/install.sh /

FROM build AS packages
# The folder with the wheels: the service, or a variant of it.
ARG VARIANT
RUN --mount=type=bind,source=build/wheels,target=/wheels sh /install.sh "/wheels/${VARIANT}"

FROM build AS own
RUN --mount=type=bind,source=build/wheels,target=/wheels sh /install.sh /wheels/own

# Two layers: that of the packages stays the same as long as their lock file does.
FROM ${BASE} AS packaged
COPY --from=packages /opt/rag /opt/rag

FROM packaged AS runtime
COPY --from=own /opt/rag /opt/rag
ENV HOME=/tmp \
    LANG=C.UTF-8 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONPATH=/opt/rag \
    PYTHONUNBUFFERED=1
WORKDIR /tmp
USER 65532:65532
STOPSIGNAL SIGTERM

# An entry point in this form takes no variable, so each service has its own.
FROM runtime AS gateway
ENTRYPOINT ["python3", "-m", "rag_gateway"]

FROM runtime AS embedder
ENTRYPOINT ["python3", "-m", "rag_embedder"]

FROM runtime AS retriever
ENTRYPOINT ["python3", "-m", "rag_retriever"]

FROM runtime AS generator
ENTRYPOINT ["python3", "-m", "rag_generator"]

FROM runtime AS ingestor
ENTRYPOINT ["python3", "-m", "rag_ingestor"]

# hadolint ignore=DL3006
FROM ${SERVICE}
ARG SERVICE
ARG VERSION
ARG REVISION
ARG CREATED
ARG SOURCE
ARG LICENSES
ARG BASE
ARG BASE_DIGEST
LABEL org.opencontainers.image.title="rag-${SERVICE}" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}" \
      org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.licenses="${LICENSES}" \
      org.opencontainers.image.base.name="${BASE}" \
      org.opencontainers.image.base.digest="${BASE_DIGEST}"
