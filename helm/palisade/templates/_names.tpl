{{- define "palisade.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "palisade.selectorLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "palisade.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{ include "palisade.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "palisade.image" -}}
{{- if .Values.image.digest }}{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else }}{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ end }}
{{- end }}

{{- define "palisade.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}{{ .Values.serviceAccount.name | default (include "palisade.name" .) }}
{{- else }}{{ .Values.serviceAccount.name | default "default" }}{{ end }}
{{- end }}

{{- define "palisade.configSecretName" -}}
{{ .Values.config.existingSecret | default (printf "%s-config" (include "palisade.name" .)) }}
{{- end }}

{{- define "palisade.claimName" -}}
{{ .Values.persistence.existingClaim | default (printf "%s-data" (include "palisade.name" .)) }}
{{- end }}

{{/* A ConfigMap's key for a path of the bundle. The values' schema allows no "--" in a path, so no two share a key. */}}
{{- define "palisade.bundleKey" -}}
{{ . | replace "/" "--" }}
{{- end }}

{{/* The configuration file. */}}
{{- define "palisade.config" -}}
{{- $own := dict
  "bundle" "/etc/palisade/bundle"
  "data" "/var/lib/palisade"
  "listen" (dict "grpc" (printf "%s:8180" .Values.bindAddress) "http" (printf "%s:8181" .Values.bindAddress) "admin" (printf "%s:8182" .Values.bindAddress))
  "callers" .Values.callers
  "log" (dict "format" .Values.log.format) -}}
{{- with .Values.tasks }}{{ $_ := set $own "tasks" . }}{{ end -}}
{{- with .Values.telemetry.otlpEndpoint }}{{ $_ := set $own "telemetry" (dict "otlp_endpoint" .) }}{{ end -}}
{{- merge $own (deepCopy .Values.config.extra) | toYaml -}}
{{- end }}
