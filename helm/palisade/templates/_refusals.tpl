{{/* What the values' schema cannot say in words: each refusal names what to do. */}}
{{- define "palisade.refusals" -}}
{{- $files := .Values.bundle.files -}}
{{- $maps := .Values.bundle.existingConfigMaps -}}

{{- if gt (int .Values.replicas) 1 -}}
{{- fail (printf "replicas is %d, but the embedded state has a single writer, so replicas must be 0 or 1" (int .Values.replicas)) -}}
{{- end -}}

{{- if and (not .Values.callers) (not .Values.config.existingSecret) -}}
{{- fail "callers is empty, but the gRPC port is not on loopback: name at least one caller with a token_sha256, roles and servers (see callers in values.yaml)" -}}
{{- end -}}

{{- if and $files $maps -}}
{{- fail "bundle.files and bundle.existingConfigMaps are both given: the bundle comes from one of them" -}}
{{- end -}}

{{- $schemas := list -}}
{{- range $path, $_ := $files }}{{ if hasPrefix "schemas/" $path }}{{ $schemas = append $schemas $path }}{{ end }}{{ end -}}
{{- range $maps }}{{ range .items }}{{ if hasPrefix "schemas/" .path }}{{ $schemas = append $schemas .path }}{{ end }}{{ end }}{{ end -}}
{{- if not $schemas -}}
{{- fail "the bundle has no schema: give at least one schemas/*.cedarschema in bundle.files (--set-file) or bundle.existingConfigMaps" -}}
{{- end -}}

{{- $bytes := 0 -}}
{{- range $path, $content := $files }}{{ $bytes = add $bytes (len $path) (len $content) 8 }}{{ end -}}
{{- if gt (int $bytes) 1048576 -}}
{{- fail (printf "bundle.files holds %d bytes, but a ConfigMap holds at most 1048576: split the bundle over bundle.existingConfigMaps" (int $bytes)) -}}
{{- end -}}
{{- end }}
