{{/* The volumes of a service and where they are mounted. */}}

{{- define "rag.mounts" -}}
- {name: tmp, mountPath: /tmp}
{{- if ne .root.Values.tls.mode "vault" }}
- {name: tls, mountPath: /tls, readOnly: true}
{{- end }}
{{- if eq (include "rag.usesVault" .) "true" }}
- {name: vault-token, mountPath: /var/run/secrets/vault, readOnly: true}
{{- if .root.Values.vault.caSecret.name }}
- {name: vault-ca, mountPath: /vault-ca, readOnly: true}
{{- end }}
{{- end }}
{{- if .values.files }}
- {name: files, mountPath: /etc/rag, readOnly: true}
{{- end }}
{{- range $name, $reference := .values.secrets }}
{{- if $reference.secret }}
- {name: secret-{{ $name | replace "_" "-" }}, mountPath: /secrets/{{ $name }}, readOnly: true}
{{- end }}
{{- end }}
{{- if and (eq .component "gateway") .values.jwksSecret }}
- {name: jwks, mountPath: /keys, readOnly: true}
{{- end }}
{{- if and (eq .component "gateway") .values.redisCaSecret }}
- {name: redis-ca, mountPath: /redis-ca, readOnly: true}
{{- end }}
{{- if eq .component "embedder" }}
- {name: models, mountPath: /models}
{{- end }}
{{- if eq .component "retriever" }}
{{- if eq .root.Values.index.engine "edge" }}
- {name: index, mountPath: /index}
{{- end }}
{{- if .values.qdrantTlsSecret }}
- {name: qdrant-tls, mountPath: /qdrant-tls, readOnly: true}
{{- end }}
{{- end }}
{{- end -}}

{{- define "rag.volumes" -}}
- {name: tmp, emptyDir: {sizeLimit: 512Mi}}
{{- if ne .root.Values.tls.mode "vault" }}
# Lanes share the certificate of their component: its name is the service's.
- {name: tls, secret: {secretName: {{ .root.Release.Name }}-{{ .component }}-tls, defaultMode: 0440}}
{{- end }}
{{- include "rag.vaultVolumes" . }}
{{- if .values.files }}
- {name: files, configMap: {name: {{ include "rag.name" . }}-files}}
{{- end }}
{{- range $name, $reference := .values.secrets }}
{{- with $reference.secret }}
- name: secret-{{ $name | replace "_" "-" }}
  secret: {secretName: {{ .name | quote }}, defaultMode: 0440, items: [{key: {{ .key | quote }}, path: {{ .key | quote }}}]}
{{- end }}
{{- end }}
{{- if eq .component "gateway" }}
{{- with .values.jwksSecret }}
- {name: jwks, secret: {secretName: {{ . | quote }}, defaultMode: 0440, items: [{key: jwks.json, path: jwks.json}]}}
{{- end }}
{{- with .values.redisCaSecret }}
- {name: redis-ca, secret: {secretName: {{ . | quote }}, defaultMode: 0440, items: [{key: ca.crt, path: ca.crt}]}}
{{- end }}
{{- end }}
{{- if eq .component "embedder" }}
{{- if .values.models.claim }}
- {name: models, persistentVolumeClaim: {claimName: {{ .values.models.claim | quote }}}}
{{- else }}
- {name: models, emptyDir: {sizeLimit: {{ .values.models.size }}}}
{{- end }}
{{- end }}
{{- if eq .component "retriever" }}
{{- with .values.qdrantTlsSecret }}
- {name: qdrant-tls, secret: {secretName: {{ . | quote }}, defaultMode: 0440}}
{{- end }}
{{- end }}
{{- end -}}

{{- define "rag.vaultVolumes" -}}
{{- $vault := .root.Values.vault -}}
{{- if eq (include "rag.usesVault" .) "true" }}
# The only token in the pod: for Vault, which verifies it, and for nothing else.
- name: vault-token
  projected:
    defaultMode: 0440
    sources:
      - serviceAccountToken: {audience: {{ $vault.audience | quote }}, expirationSeconds: 3600, path: token}
{{- with $vault.caSecret.name }}
- {name: vault-ca, secret: {secretName: {{ . | quote }}, defaultMode: 0440}}
{{- end }}
{{- end }}
{{- end -}}
