{{/*
The objects of one service of ours in one lane. A workload is a place with `values` (the component's values), `facts` (of
files/components.yaml) and `replicas`.
*/}}

{{- define "rag.workload" -}}
{{- $single := and (eq .component "retriever") (eq .root.Values.index.engine "edge") -}}
{{- $config := include "rag.variables" . -}}
{{- if not .lane }}
{{ include "rag.serviceAccount" . }}
{{- end }}
---
apiVersion: v1
kind: ConfigMap
metadata:
  {{- include "rag.metadata" . | nindent 2 }}
data:
  {{- $config | nindent 2 }}
---
{{- if .values.files }}
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ include "rag.name" . }}-files
  namespace: {{ .root.Release.Namespace | quote }}
  labels:
    {{- include "rag.labels" . | nindent 4 }}
data:
  {{- toYaml .values.files | nindent 2 }}
---
{{- end }}
apiVersion: v1
kind: Service
metadata:
  {{- include "rag.metadata" . | nindent 2 }}
spec:
  # Headless: clients resolve all pods and balance calls themselves, as connections of gRPC live long.
  clusterIP: None
  selector:
    {{- include "rag.selector" . | nindent 4 }}
  ports:
    {{- range $name, $port := .facts.ports }}
    - {name: {{ $name }}, port: {{ $port }}, targetPort: {{ $name }}, protocol: TCP}
    {{- end }}
---
apiVersion: apps/v1
kind: {{ ternary "StatefulSet" "Deployment" $single }}
metadata:
  {{- include "rag.metadata" . | nindent 2 }}
spec:
  {{- if not (or (and .values.autoscaling.enabled (not .lane)) (eq (include "rag.isRollout" .) "true")) }}
  replicas: {{ ternary 1 (int .replicas) $single }}
  {{- end }}
  revisionHistoryLimit: 5
  minReadySeconds: {{ .root.Values.minReadySeconds }}
  {{- if $single }}
  serviceName: {{ include "rag.name" . }}
  updateStrategy: {type: RollingUpdate}
  persistentVolumeClaimRetentionPolicy: {whenDeleted: Retain, whenScaled: Retain}
  {{- else }}
  progressDeadlineSeconds: 300
  strategy:
    type: RollingUpdate
    rollingUpdate: {maxUnavailable: 0, maxSurge: 1}
  {{- end }}
  selector:
    matchLabels:
      {{- include "rag.selector" . | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "rag.podLabels" . | nindent 8 }}
      annotations:
        checksum/config: {{ printf "%s%s" $config (toYaml .values.files) | sha256sum }}
        {{- with .values.podAnnotations }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    spec:
      {{- include "rag.podSecurity" . | nindent 6 }}
      # Lanes have the identity of their component.
      serviceAccountName: {{ .root.Release.Name }}-{{ .component }}
      {{- include "rag.pullSecrets" . | nindent 6 }}
      terminationGracePeriodSeconds: {{ include "rag.graceSeconds" . }}
      {{- include "rag.scheduling" (merge (dict "priority" .facts.priority) .) | nindent 6 }}
      {{- if eq .component "embedder" }}
      initContainers:
        - name: prepare-model
          {{- include "rag.containerBase" . | nindent 10 }}
          # Writes the model's files once, and verifies their hashes.
          command: [python3, -m, rag_embedder.models.prepare_model]
      {{- end }}
      containers:
        - name: {{ .component }}
          {{- include "rag.containerBase" . | nindent 10 }}
          ports:
            {{- range $name, $port := .facts.ports }}
            - {name: {{ $name }}, containerPort: {{ $port }}, protocol: TCP}
            {{- end }}
          startupProbe:
            {{- include "rag.httpProbe" (dict "path" "/health/started" "port" "http" "period" 1 "failures" 300) | nindent 12 }}
          readinessProbe:
            {{- include "rag.httpProbe" (dict "path" "/health/ready" "port" "http" "period" 2 "failures" 2) | nindent 12 }}
          livenessProbe:
            {{- include "rag.httpProbe" (dict "path" "/health/live" "port" "http" "period" 10 "failures" 6 "timeout" 5) | nindent 12 }}
      volumes:
        {{- include "rag.volumes" . | nindent 8 }}
  {{- if $single }}
  volumeClaimTemplates:
    - apiVersion: v1
      kind: PersistentVolumeClaim
      metadata:
        name: index
        labels:
          {{- include "rag.selector" . | nindent 10 }}
      spec:
        accessModes: [ReadWriteOnce]
        {{- with .values.persistence.storageClass }}
        storageClassName: {{ . | quote }}
        {{- end }}
        resources: {requests: {storage: {{ .values.persistence.size }}}}
  {{- end }}
---
{{- if not $single }}
{{ include "rag.disruptionBudget" . }}
---
{{ include "rag.autoscaler" . }}
---
{{- end }}
{{ include "rag.networkPolicy" (merge (include "rag.links" . | fromYaml) .) }}
{{- end -}}

{{- define "rag.graceSeconds" -}}
{{- $settings := .values.settings -}}
{{- add (ceil (coalesce $settings.drain_delay 5)) (ceil (coalesce $settings.grace 20)) 10 -}}
{{- end -}}

{{- define "rag.links" -}}
{{- /* The rules of a service's NetworkPolicy, from the table of components. */ -}}
{{- $root := .root -}}
{{- $facts := .root.Files.Get "files/components.yaml" | fromYaml -}}
ingress:
  {{- $routed := and (eq .component "gateway") $root.Values.canary.enabled (eq $root.Values.canary.provider "gatewayApi") }}
  {{- range $port, $names := .facts.callers }}
  {{- if and $routed (eq $port "grpc") }}
  {{- $names = append $names "routes" }}
  {{- end }}
  - {port: {{ get $.facts.ports $port }}, from: {{ $names | toJson }}}
  {{- end }}
egress:
  {{- range .facts.calls }}
  - {to: {{ . }}, ports: [{{ (get $facts .).ports.grpc }}]}
  {{- end }}
  {{- if and (has "redis" .facts.external) $root.Values.redis.enabled }}
  - {to: redis, ports: [6379]}
  {{- end }}
  {{- if and (has "telemetry" .facts.external) $root.Values.collector.enabled }}
  - {to: collector, ports: [4317]}
  {{- end }}
  {{- if and (has "qdrant" .facts.external) (eq $root.Values.index.engine "server") (not $root.Values.index.url) }}
  - {to: qdrant, ports: [6333, 6334]}
  {{- end }}
external: {{ (include "rag.externalNames" (list . .facts.external) | fromYaml).names | toJson }}
{{- end -}}

{{- define "rag.containerBase" -}}
image: {{ include "rag.serviceImage" . }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
{{ include "rag.containerSecurity" . }}
envFrom:
  - configMapRef: {name: {{ include "rag.name" . }}}
{{- if and (eq .component "embedder") (not .values.settings.lanes) }}
env:
  # One text for each CPU that the pod may use, not that the node has.
  - name: EMBEDDER_LANES
    valueFrom: {resourceFieldRef: {containerName: {{ .component }}, resource: limits.cpu, divisor: "1"}}
{{- end }}
resources:
  {{- toYaml .values.resources | nindent 2 }}
volumeMounts:
  {{- include "rag.mounts" . | nindent 2 }}
{{- end -}}
