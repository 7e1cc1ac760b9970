{{- define "cni.labels" -}}
k8s-app: istio-cni-node
app.kubernetes.io/name: istio-cni
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/part-of: istio
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
istio.io/rev: {{ .Values.revision | default "default" | quote }}
install.operator.istio.io/owning-resource: helm
install.operator.istio.io/owning-resource-namespace: {{ .Values.global.istioNamespace }}
operator.istio.io/component: Cni
release: {{ .Release.Name }}
{{- end }}

{{- define "cni.image" -}}
{{- if contains "/" .Values.cni.image }}
{{- .Values.cni.image }}
{{- else }}
{{- .Values.cni.hub | default .Values.global.hub | default "isthmus.internal" }}/{{ .Values.cni.image }}:{{ .Values.cni.tag | default .Values.global.tag | default .Chart.AppVersion }}
{{- end }}
{{- end }}
