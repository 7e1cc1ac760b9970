{{- define "gateway.name" -}}
{{- .Values.name | default .Release.Name }}
{{- end }}

{{- define "gateway.account" -}}
{{- if .Values.serviceAccount.create }}
{{- .Values.serviceAccount.name | default (include "gateway.name" .) }}
{{- else }}
{{- .Values.serviceAccount.name | default "default" }}
{{- end }}
{{- end }}

{{/* The labels by which the Service and Gateway resources select it. */}}
{{- define "gateway.selector" -}}
app: {{ .Values.labels.app | default (include "gateway.name" .) | quote }}
istio: {{ .Values.labels.istio | default (include "gateway.name" . | trimPrefix "istio-") | quote }}
{{- with .Values.networkGateway }}
topology.istio.io/network: {{ . | quote }}
{{- end }}
{{- end }}

{{/* The labels that Kubernetes recommends. */}}
{{- define "gateway.recommended" -}}
app.kubernetes.io/name: {{ include "gateway.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/part-of: istio
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "gateway.labels" -}}
{{ include "gateway.selector" . }}
{{- range $key, $value := include "gateway.recommended" . | fromYaml }}
{{- if not (hasKey $.Values.labels $key) }}
{{ $key }}: {{ $value | quote }}
{{- end }}
{{- end }}
{{- $selector := include "gateway.selector" . | fromYaml }}
{{- range $key, $value := .Values.labels }}
{{- if not (hasKey $selector $key) }}
{{ $key }}: {{ $value | quote }}
{{- end }}
{{- end }}
istio.io/rev: {{ .Values.revision | default "default" | quote }}
install.operator.istio.io/owning-resource: helm
install.operator.istio.io/owning-resource-namespace: {{ .Release.Namespace }}
operator.istio.io/component: IngressGateways
release: {{ .Release.Name }}
{{- end }}

{{/* A list in a mapping, because fromYaml reads mappings. */}}
{{- define "gateway.ports" -}}
ports:
{{- if .Values.service.ports }}
{{- range .Values.service.ports }}
{{- $port := . }}
{{- if not (hasKey $port "protocol") }}{{ $port = merge (dict "protocol" "TCP") $port }}{{ end }}
{{- if not (hasKey $port "targetPort") }}{{ $port = merge (dict "targetPort" $port.port) $port }}{{ end }}
{{ toYaml (list $port) }}
{{- end }}
{{- else if .Values.networkGateway }}
{{- range $name := list "status-port" "tls" "tls-istiod" "tls-webhook" }}
{{- $port := index $.Values.networkGatewayPorts $name }}
- {name: {{ $name }}, port: {{ $port.port }}, protocol: {{ $port.protocol | default "TCP" }}, targetPort: {{ $port.targetPort | default $port.port }}}
{{- end }}
{{- else }}
- {name: status-port, port: 15021, protocol: TCP, targetPort: 15021}
- {name: http2, port: 80, protocol: TCP, targetPort: 8080}
- {name: https, port: 443, protocol: TCP, targetPort: 8443}
{{- end }}
{{- end }}
