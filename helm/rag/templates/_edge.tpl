{{/* The edge's configuration, as TOML for rag_edge.render: what the chart decides, then edge.settings. */}}

{{- define "rag.edgeConfig" -}}
{{- $root := .root -}}
{{- $values := $root.Values -}}
{{- $ports := (.table.gateway).ports -}}
{{- $gateway := printf "%s-gateway" $root.Release.Name -}}
{{- $config := dict
  "host" "0.0.0.0" "port" 8443 "node" .component
  "certificates" "/certificates" "identity" "/identity" "secrets" "/etc/envoy" "descriptors" "/etc/envoy/rag.binpb"
  "admin" "/run/envoy/admin.sock" "metrics_host" "0.0.0.0" "metrics_port" 9902
  "region" $values.region
  "gateways" (list (printf "%s:%v" $gateway $ports.grpc))
  "pages" (list (printf "%s:%v" $gateway $ports.http))
  "gateway_tls" true "gateway_name" "gateway"
  "sampling" (mulf $values.telemetry.sampling 100)
  "providers" (list (dict "name" "platform"
    "issuer" ($values.components.gateway.settings.issuer | default "rag-dev")
    "audiences" (list ($values.components.gateway.settings.audience | default "rag"))))
-}}
{{- with include "rag.otlp" . -}}
{{- $_ := set $config "otlp" (. | trimPrefix "http://" | trimPrefix "https://") -}}
{{- end -}}
{{- if eq (include "rag.hasLanes" $root) "true" -}}
{{- $lanes := list -}}
{{- range $lane := list "baseline" "canary" -}}
{{- $lanes = append $lanes (dict "name" $lane "gateways" (list (printf "%s-%s:%v" $gateway $lane $ports.grpc)) "weight" 0) -}}
{{- end -}}
{{- $_ := set $config "lanes" $lanes -}}
{{- end -}}
{{- range $name, $value := $values.edge.settings -}}
{{- $_ := set $config $name $value -}}
{{- end -}}
{{- include "rag.toml" $config -}}
{{- end -}}

{{- define "rag.toml" -}}
{{- /* YAML's numbers are floats to Helm: whole ones stay whole. */ -}}
{{- $whole := dict -}}
{{- range $name, $value := . -}}
{{- $_ := set $whole $name (ternary (int64 $value) $value (eq (include "rag.isWhole" $value) "true")) -}}
{{- end -}}
{{- toToml $whole -}}
{{- end -}}

{{- define "rag.isWhole" -}}
{{- if kindIs "float64" . -}}{{- eq (floor .) . -}}{{- else -}}false{{- end -}}
{{- end -}}

{{- define "rag.companionBase" -}}
image: {{ include "rag.serviceImage" (dict "root" .root "component" "gateway" "lane" "") }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
{{ include "rag.containerSecurity" . }}
env:
  {{- range $name, $value := include "rag.companionVariables" . | fromYaml }}
  - {name: {{ $name }}, value: {{ $value | quote }}}
  {{- end }}
resources:
  requests: {cpu: 20m, memory: 96Mi, ephemeral-storage: 16Mi}
  limits: {cpu: 500m, memory: 256Mi, ephemeral-storage: 64Mi}
volumeMounts:
  {{- if eq (include "rag.usesVault" .) "true" }}
  {{- if eq (include "rag.publicCertificate" .root) "vault" }}
  - {name: certificates, mountPath: /certificates}
  {{- end }}
  - {name: identity, mountPath: /identity}
  - {name: vault-token, mountPath: /var/run/secrets/vault, readOnly: true}
  {{- if .root.Values.vault.caSecret.name }}
  - {name: vault-ca, mountPath: /vault-ca, readOnly: true}
  {{- end }}
  {{- end }}
  - {name: run, mountPath: /run/envoy}
  - {name: tmp, mountPath: /tmp}
{{- end -}}

{{- define "rag.companionVariables" -}}
{{- $values := .root.Values -}}
EDGE_HOST: 0.0.0.0
EDGE_HTTP_PORT: 50075
EDGE_LOG_FORMAT: json
EDGE_REGION: {{ $values.region | quote }}
EDGE_ADMIN: /run/envoy/admin.sock
EDGE_DRAIN_DELAY: {{ $values.edge.drain.delay }}
EDGE_GRACE: {{ $values.edge.drain.grace }}
{{- if eq (include "rag.hasLanes" .root) "true" }}
EDGE_WEIGHTS_URL: http://{{ .root.Release.Name }}-canary:50076/weights
{{- end }}
{{- if eq (include "rag.usesVault" .) "true" }}
EDGE_TLS_TRUST_DOMAIN: {{ $values.trustDomain | quote }}
EDGE_VAULT_ADDRESS: {{ $values.vault.address | quote }}
EDGE_VAULT_AUTH: kubernetes
EDGE_VAULT_AUTH_MOUNT: {{ $values.vault.authMount | quote }}
{{- with $values.vault.namespace }}
EDGE_VAULT_NAMESPACE: {{ . | quote }}
{{- end }}
EDGE_VAULT_ROLE: {{ printf "%sedge" $values.vault.rolePrefix | quote }}
EDGE_VAULT_JWT_FILE: /var/run/secrets/vault/token
{{- if $values.vault.caSecret.name }}
EDGE_VAULT_CA_FILE: {{ printf "/vault-ca/%s" $values.vault.caSecret.key | quote }}
{{- end }}
{{- if eq (include "rag.publicCertificate" .root) "vault" }}
EDGE_PUBLIC_NAMES: {{ join "," $values.edge.certificate.dnsNames | quote }}
EDGE_PUBLIC_ROLE: {{ $values.edge.certificate.vaultRole | quote }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "rag.publicCertificate" -}}
{{- /* Where the edge's certificate for clients comes from: (chart's context). */ -}}
{{- $values := .Values -}}
{{- if $values.edge.certificate.secret -}}secret
{{- else if $values.edge.certificate.issuer.name -}}certManager
{{- else if eq $values.tls.mode "vault" -}}vault
{{- else -}}{{- fail "edge.certificate needs a secret, an issuer of cert-manager, or tls.mode vault" -}}
{{- end -}}
{{- end -}}
