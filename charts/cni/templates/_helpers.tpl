{{- define "cni.labels" -}}
k8s-app: istio-cni-node
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
