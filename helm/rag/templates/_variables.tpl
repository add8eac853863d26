{{/* The environment of a service: what the chart decides, then the component's settings and secret references. */}}

{{- define "rag.variables" -}}
{{- $root := .root -}}
{{- $values := $root.Values -}}
{{- $set := dict
  "host" "0.0.0.0" "log_format" "json" "reflection" "false" "drain_delay" "5" "max_connection_age" "60"
  "region" $values.region "tls_trust_domain" $values.trustDomain
  "tls" (ternary "vault" "files" (eq $values.tls.mode "vault"))
-}}
{{- if eq (include "rag.usesVault" .) "true" -}}
{{- $_ := set $set "vault_address" $values.vault.address -}}
{{- $_ := set $set "vault_auth" "kubernetes" -}}
{{- $_ := set $set "vault_auth_mount" $values.vault.authMount -}}
{{- $_ := set $set "vault_namespace" $values.vault.namespace -}}
{{- $_ := set $set "vault_role" (printf "%s%s" $values.vault.rolePrefix .component) -}}
{{- $_ := set $set "vault_jwt_file" "/var/run/secrets/vault/token" -}}
{{- if $values.vault.caSecret.name -}}
{{- $_ := set $set "vault_ca_file" (printf "/vault-ca/%s" $values.vault.caSecret.key) -}}
{{- end -}}
{{- if eq $values.tls.mode "vault" -}}
{{- $_ := set $set "vault_dns_names" .component -}}
{{- end -}}
{{- end -}}
{{- range $name, $value := include (printf "rag.variables.%s" .component) . | fromYaml -}}
{{- $_ := set $set $name $value -}}
{{- end -}}
{{- range $name, $value := .values.settings -}}
{{- $_ := set $set $name $value -}}
{{- end -}}
{{- range $name, $reference := .values.secrets -}}
{{- $_ := set $set $name (ternary (printf "vault:%s" $reference.vault) (printf "file:/secrets/%s/%s" $name ($reference.secret | default dict).key) (not (empty $reference.vault))) -}}
{{- end -}}
{{- range $name, $value := $set }}
{{ $.facts.prefix }}_{{ upper $name }}: {{ include "rag.text" $value | quote }}
{{- end }}
{{- $telemetry := include "rag.telemetryVariables" . | fromYaml }}
{{- with .values.env.OTEL_RESOURCE_ATTRIBUTES }}
{{- $_ := set $telemetry "OTEL_RESOURCE_ATTRIBUTES" (printf "%s,%s" $telemetry.OTEL_RESOURCE_ATTRIBUTES .) }}
{{- end }}
{{- range $name, $value := merge $telemetry .values.env }}
{{ $name }}: {{ $value | quote }}
{{- end }}
{{- end -}}

{{- define "rag.text" -}}
{{- /* A number without an exponent, as YAML's large whole numbers are floats to Helm. */ -}}
{{- if eq (include "rag.isWhole" .) "true" -}}{{- int64 . -}}{{- else -}}{{- . -}}{{- end -}}
{{- end -}}

{{- define "rag.telemetryVariables" -}}
{{- $telemetry := .root.Values.telemetry -}}
{{- with include "rag.otlp" . }}
OTEL_EXPORTER_OTLP_ENDPOINT: {{ . | quote }}
OTEL_TRACES_SAMPLER: parentbased_traceidratio
OTEL_TRACES_SAMPLER_ARG: {{ $telemetry.sampling | quote }}
{{- end }}
OTEL_RESOURCE_ATTRIBUTES: {{ printf "service.namespace=%s,rag.lane=%s" .root.Release.Namespace (.lane | default "stable") | quote }}
{{- end -}}

{{- define "rag.otlp" -}}
{{- if .root.Values.telemetry.endpoint -}}
{{ .root.Values.telemetry.endpoint }}
{{- else if .root.Values.collector.enabled -}}
http://{{ .root.Release.Name }}-collector:4317
{{- end -}}
{{- end -}}

{{- define "rag.targets" -}}
{{- /* The addresses of the services that this one calls, in its own lane if they are there. */ -}}
{{- $root := .root -}}
{{- $facts := $root.Files.Get "files/components.yaml" | fromYaml -}}
{{- range .facts.calls }}
{{- $lane := ternary $.lane "" (has . (include "rag.laneComponents" $root | fromJsonArray)) }}
{{ . }}_target: dns:///{{ include "rag.name" (dict "root" $root "component" . "lane" $lane) }}:{{ (get $facts .).ports.grpc }}
{{- end }}
{{- end -}}

{{- define "rag.variables.gateway" -}}
{{- $root := .root -}}
{{ include "rag.targets" . }}
callers: edge
address_header: x-envoy-external-address
credentials: redis
redis_url: {{ $root.Values.redis.url | default (printf "redis://%s-redis:6379/0" $root.Release.Name) | quote }}
{{- if .values.redisCaSecret }}
redis_ca_file: /redis-ca/ca.crt
{{- end }}
{{- if .values.jwksSecret }}
signer: none
jwks: /keys/jwks.json
{{- else }}
signer: vault
{{- end }}
{{- end -}}

{{- define "rag.variables.embedder" -}}
models_dir: /models
{{- end -}}

{{- define "rag.variables.retriever" -}}
engine: {{ .root.Values.index.engine }}
{{- if eq .root.Values.index.engine "edge" }}
data_dir: /index/data
{{- else }}
qdrant_url: {{ .root.Values.index.url | default (printf "http://%s-qdrant:6333" .root.Release.Name) | quote }}
{{- if .values.qdrantTlsSecret }}
qdrant_ca_file: /qdrant-tls/ca.crt
{{- end }}
{{- end }}
{{- end -}}

{{- define "rag.variables.generator" -}}
{}
{{- end -}}

{{- define "rag.variables.ingestor" -}}
{{ include "rag.targets" . }}
{{- end -}}
