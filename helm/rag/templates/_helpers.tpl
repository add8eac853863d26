{{/*
Names, labels and the parts that all pods have. A "place" is a dict: root (the chart's context), component (its name),
lane (empty for the stable pods, else baseline or canary).
*/}}

{{- define "rag.name" -}}
{{- $name := printf "%s-%s" .root.Release.Name .component -}}
{{- if .lane -}}{{- $name = printf "%s-%s" $name .lane -}}{{- end -}}
{{- $name -}}
{{- end -}}

{{- define "rag.selector" -}}
app.kubernetes.io/name: {{ .component }}
app.kubernetes.io/instance: {{ .root.Release.Name | quote }}
rag-platform/lane: {{ .lane | default "stable" }}
{{- end -}}

{{- define "rag.podLabels" -}}
{{- /* Without versions, which would restart pods that do not change. */ -}}
{{ include "rag.selector" . }}
app.kubernetes.io/part-of: rag-platform
topology.rag-platform/region: {{ .root.Values.region | quote }}
{{- end -}}

{{- define "rag.labels" -}}
{{ include "rag.podLabels" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end -}}

{{- define "rag.metadata" -}}
name: {{ include "rag.name" . }}
namespace: {{ .root.Release.Namespace | quote }}
labels:
  {{- include "rag.labels" . | nindent 2 }}
{{- end -}}

{{- define "rag.serviceImage" -}}
{{- /* The image of a service; a canary has its own tag and digests. */ -}}
{{- $image := .root.Values.image -}}
{{- $tag := $image.tag | default .root.Chart.AppVersion -}}
{{- $digest := get $image.digests .component -}}
{{- if eq .lane "canary" -}}
{{- $own := .root.Values.canary.image -}}
{{- $tag = $own.tag | default $tag -}}
{{- $digest = get $own.digests .component | default (ternary "" $digest (ne $own.tag "")) -}}
{{- end -}}
{{- if $digest -}}
{{- printf "%s/rag-%s@%s" $image.registry .component $digest -}}
{{- else -}}
{{- printf "%s/rag-%s:%s" $image.registry .component $tag -}}
{{- end -}}
{{- end -}}

{{- define "rag.programImage" -}}
{{- /* The image of another program: a dict of repository, tag and digest. */ -}}
{{- if not (or .digest .tag) -}}
{{- fail (printf "the image %s needs a tag or a digest" .repository) -}}
{{- end -}}
{{- ternary (printf "%s@%s" .repository .digest) (printf "%s:%s" .repository .tag) (ne .digest "") -}}
{{- end -}}

{{- define "rag.pullSecrets" -}}
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . | quote }}
  {{- end }}
{{- end }}
{{- end -}}

{{- define "rag.podSecurity" -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  fsGroup: 65532
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "rag.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  privileged: false
  readOnlyRootFilesystem: true
  runAsNonRoot: true
  capabilities: {drop: [ALL]}
  seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "rag.scheduling" -}}
{{- /* Spreading is a preference: as a condition it would let a drain wait for ever beside a budget. */ -}}
{{- $values := .values -}}
{{- $class := get .root.Values.priorityClasses .priority -}}
{{- with $class }}
priorityClassName: {{ . | quote }}
{{- end }}
topologySpreadConstraints:
  {{- range $key := list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
  - topologyKey: {{ $key | quote }}
    maxSkew: 1
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "rag.selector" $ | nindent 8 }}
  {{- end }}
{{- with $values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "rag.httpProbe" -}}
httpGet: {path: {{ .path | quote }}, port: {{ .port }}}
periodSeconds: {{ .period }}
timeoutSeconds: {{ .timeout | default 2 }}
failureThreshold: {{ .failures }}
{{- end -}}

{{- define "rag.serviceAccount" -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  {{- include "rag.metadata" . | nindent 2 }}
automountServiceAccountToken: false
{{- end -}}

{{- define "rag.disruptionBudget" -}}
{{- /* One pod less at a time. The only pod of a component is not protected: its node could never be drained. */ -}}
{{- $least := ternary (int .values.autoscaling.minReplicas) (int .replicas) .values.autoscaling.enabled -}}
{{- if gt $least 1 }}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  {{- include "rag.metadata" . | nindent 2 }}
spec:
  maxUnavailable: 1
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      {{- include "rag.selector" . | nindent 6 }}
{{- end }}
{{- end -}}

{{- define "rag.autoscaler" -}}
{{- $scaling := .values.autoscaling -}}
{{- $metric := $scaling.metric -}}
{{- /* Pods of Argo Rollouts are in the lanes baseline and canary, and count together. */ -}}
{{- $rollout := eq (include "rag.isRollout" .) "true" -}}
{{- if and $scaling.enabled (not .lane) }}
{{- if eq .root.Values.autoscaling.provider "keda" }}
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata:
  {{- include "rag.metadata" . | nindent 2 }}
spec:
  scaleTargetRef: {{ include "rag.scaleTarget" . }}
  minReplicaCount: {{ $scaling.minReplicas }}
  maxReplicaCount: {{ $scaling.maxReplicas }}
  # Without the metric, the number of pods stays.
  fallback: {failureThreshold: 3, replicas: {{ $scaling.minReplicas }}, behavior: currentReplicas}
  {{- with $scaling.behavior }}
  advanced:
    horizontalPodAutoscalerConfig:
      behavior:
        {{- toYaml . | nindent 8 }}
  {{- end }}
  triggers:
    - type: prometheus
      metricType: {{ $metric.type }}
      metadata:
        serverAddress: {{ required "autoscaling.prometheus is required for keda" .root.Values.autoscaling.prometheus | quote }}
        query: {{ printf "%s(%s{namespace=%q,service=%q%s})" $metric.aggregate $metric.name .root.Release.Namespace .component (ternary "" ",lane=\"stable\"" $rollout) | quote }}
        threshold: {{ include "rag.decimal" $metric.target | quote }}
{{- else }}
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  {{- include "rag.metadata" . | nindent 2 }}
spec:
  scaleTargetRef: {{ include "rag.scaleTarget" . }}
  minReplicas: {{ $scaling.minReplicas }}
  maxReplicas: {{ $scaling.maxReplicas }}
  {{- with $scaling.behavior }}
  behavior:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  metrics:
    - type: External
      external:
        metric:
          name: {{ $metric.name | quote }}
          selector:
            matchLabels: {service: {{ .component }}{{ if not $rollout }}, lane: stable{{ end }}}
        target:
          type: {{ $metric.type }}
          {{ ternary "averageValue" "value" (eq $metric.type "AverageValue") }}: {{ $metric.target | quote }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "rag.decimal" -}}
{{- /* A quantity such as 500m as a number. */ -}}
{{- if hasSuffix "m" . -}}{{- divf (trimSuffix "m" . | float64) 1000 -}}{{- else -}}{{- . -}}{{- end -}}
{{- end -}}

{{- define "rag.hasLanes" -}}
{{- /* Whether the edge splits calls between lanes: (chart's context). */ -}}
{{- and .Values.canary.enabled (eq .Values.canary.provider "envoy") -}}
{{- end -}}

{{- define "rag.laneComponents" -}}
{{- /* The components that have pods beside the stable ones, as JSON. */ -}}
{{- ternary .Values.canary.components list (and .Values.canary.enabled (ne .Values.canary.provider "argoRollouts")) | toJson -}}
{{- end -}}

{{- define "rag.usesVault" -}}
{{- /* Whether a component logs in to Vault: for its certificate, for a secret, or, the gateway, to sign tokens. */ -}}
{{- $values := .values | default dict -}}
{{- $uses := or (eq .root.Values.tls.mode "vault") (and (eq .component "gateway") (not $values.jwksSecret)) -}}
{{- range $values.secrets -}}
{{- $uses = or $uses (not (empty .vault)) -}}
{{- end -}}
{{- $uses -}}
{{- end -}}

{{- define "rag.isRollout" -}}
{{- /* Whether Argo Rollouts runs the component's pods in place of its Deployment. */ -}}
{{- $canary := .root.Values.canary -}}
{{- and $canary.enabled (eq $canary.provider "argoRollouts") (has .component $canary.components) -}}
{{- end -}}

{{- define "rag.scaleTarget" -}}
{{- /* What an autoscaler scales: Argo Rollouts replaces the Deployment. */ -}}
{{- if eq (include "rag.isRollout" .) "true" -}}
{apiVersion: argoproj.io/v1alpha1, kind: Rollout, name: {{ include "rag.name" . }}}
{{- else -}}
{apiVersion: apps/v1, kind: Deployment, name: {{ include "rag.name" . }}}
{{- end -}}
{{- end -}}
