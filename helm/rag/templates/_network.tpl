{{/*
One NetworkPolicy for the pods of a component: what may connect to its ports, and what it may connect to. The names of peers are
components of this release, `monitoring`, `clients`, `routes` (the pods of a Gateway), or destinations of networkPolicy.external.
*/}}

{{- define "rag.peer" -}}
{{- /* The pods of a component, in all lanes: (list root component). */ -}}
podSelector:
  matchLabels:
    app.kubernetes.io/name: {{ index . 1 }}
    app.kubernetes.io/instance: {{ (index . 0).Release.Name | quote }}
{{- end -}}

{{- define "rag.from" -}}
{{- /* The peers that a name stands for: (list root name). */ -}}
{{- $root := index . 0 -}}
{{- $name := index . 1 -}}
{{- if eq $name "monitoring" }}
- namespaceSelector:
    matchLabels:
      {{- toYaml $root.Values.networkPolicy.monitoring | nindent 6 }}
{{- else if eq $name "routes" }}
- namespaceSelector:
    matchLabels:
      {{- toYaml $root.Values.canary.gatewayApi.clients | nindent 6 }}
{{- else }}
- {{ include "rag.peer" (list $root $name) | nindent 2 | trim }}
{{- end }}
{{- end -}}

{{- define "rag.networkPolicy" -}}
{{- /* A place with ingress: [{port, from: [names]}], egress: [{to: component, ports}], external: [names]. */ -}}
{{- $root := .root -}}
{{- if $root.Values.networkPolicy.enabled }}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  {{- include "rag.metadata" . | nindent 2 }}
spec:
  podSelector:
    matchLabels:
      {{- include "rag.selector" . | nindent 6 }}
  policyTypes: [Ingress, Egress]
  ingress:
    {{- if not .ingress }} []{{ end }}
    {{- range .ingress }}
    - ports: [{port: {{ .port }}, protocol: TCP}]
      {{- if .from }}
      from:
        {{- range .from }}
        {{- include "rag.from" (list $root .) | trim | nindent 8 }}
        {{- end }}
      {{- else if .clients }}
      from:
        - namespaceSelector:
            matchLabels:
              {{- toYaml .clients | nindent 14 }}
        - {{ include "rag.peer" (list $root "smoke-test") | nindent 10 | trim }}
      {{- end }}
    {{- end }}
  egress:
    - ports: [{port: {{ $root.Values.networkPolicy.dns.port }}, protocol: UDP}, {port: {{ $root.Values.networkPolicy.dns.port }}, protocol: TCP}]
      to:
        - namespaceSelector:
            matchLabels:
              {{- toYaml $root.Values.networkPolicy.dns.namespace | nindent 14 }}
    {{- range .egress }}
    - ports:
        {{- range .ports }}
        - {port: {{ . }}, protocol: TCP}
        {{- end }}
      to:
        - {{ include "rag.peer" (list $root .to) | nindent 10 | trim }}
    {{- end }}
    {{- range .external }}
    {{- $target := index $root.Values.networkPolicy.external . }}
    - ports:
        {{- range $target.ports }}
        - {port: {{ . }}, protocol: TCP}
        {{- end }}
      {{- with $target.to }}
      to:
        {{- toYaml . | nindent 8 }}
      {{- end }}
    {{- end }}
{{- end }}
{{- end -}}

{{- define "rag.externalNames" -}}
{{- /* The external destinations that these values use, of those that a component may use: (list workload names). */ -}}
{{- $workload := index . 0 -}}
{{- $values := $workload.root.Values -}}
{{- $settings := $workload.values.settings -}}
{{- $used := list -}}
{{- range index . 1 -}}
{{- if or
  (and (eq . "redis") $values.redis.url)
  (and (eq . "qdrant") (eq $values.index.engine "server") $values.index.url)
  (and (eq . "vault") (eq (include "rag.usesVault" $workload) "true"))
  (and (eq . "telemetry") $values.telemetry.endpoint)
  (and (eq . "llm") $settings.openai_url)
  (and (eq . "issuers") (or $settings.issuers $values.components.gateway.settings.issuers $values.edge.settings.providers))
  (and (eq . "models") (or $settings.reranker (ne ($settings.model | default "multilingual-e5-small") "multilingual-e5-small")))
-}}
{{- $used = append $used . -}}
{{- end -}}
{{- end -}}
{{- dict "names" $used | toYaml -}}
{{- end -}}
