{{- define "istiod.suffix" -}}
{{- if .Values.revision }}-{{ .Values.revision }}{{ end }}
{{- end }}

{{- define "istiod.name" -}}
istiod{{ include "istiod.suffix" . }}
{{- end }}

{{- define "istiod.injector" -}}
istio-sidecar-injector{{ include "istiod.suffix" . }}{{ if ne .Release.Namespace "istio-system" }}-{{ .Release.Namespace }}{{ end }}
{{- end }}

{{- define "istiod.validator" -}}
istio-validator{{ include "istiod.suffix" . }}-{{ .Release.Namespace }}
{{- end }}

{{/* Whether the objects of a control plane in another cluster are needed in place of a control plane. */}}
{{- define "istiod.remote" -}}
{{- if .Values.istiodRemote.enabled }}true{{ end }}
{{- end }}

{{/* The namespaces whose Secrets the control plane reads for gateways, as JSON: none means all. */}}
{{- define "istiod.secretNamespaces" -}}
{{- $names := list }}
{{- range splitList "," (get .Values.pilot.env "ISTHMUS_SECRET_NAMESPACES" | toString) }}
{{- if trim . }}
{{- $names = append $names (trim .) }}
{{- end }}
{{- end }}
{{- $names | uniq | toJson }}
{{- end }}

{{/* Whether control planes of other clusters read the Secrets of gateways here. */}}
{{- define "istiod.remoteSecrets" -}}
{{- if eq (get .Values.pilot.env "PILOT_ENABLE_REMOTE_CREDENTIALS_CONTROLLER" | toString) "true" }}true{{ end }}
{{- end }}

{{/* The account of control planes of other clusters, as JSON. */}}
{{- define "istiod.reader" -}}
{{- $given := .Values.global.readerServiceAccount }}
{{- if or $given.name $given.namespace }}
{{- $_ := required "values.global.readerServiceAccount.name: is missing: an account has a name and a namespace" $given.name }}
{{- $_ := required "values.global.readerServiceAccount.namespace: is missing: an account has a name and a namespace" $given.namespace }}
{{- dict "name" $given.name "namespace" $given.namespace | toJson }}
{{- else }}
{{- dict "name" "istio-reader-service-account" "namespace" .Release.Namespace | toJson }}
{{- end }}
{{- end }}

{{/* A Role that reads the Secrets of a namespace, and its binding. Arguments: root, ns, name, account, accountNamespace, app, labels. */}}
{{- define "istiod.secretRole" -}}
{{- $name := printf "%s-secrets-%s" .name .root.Release.Namespace }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: {{ $name }}
  namespace: {{ .ns }}
  labels:
    app: {{ .app }}
    {{- .labels | nindent 4 }}
rules:
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, list, watch]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: {{ $name }}
  namespace: {{ .ns }}
  labels:
    app: {{ .app }}
    {{- .labels | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: Role
  name: {{ $name }}
subjects:
- kind: ServiceAccount
  name: {{ .account }}
  namespace: {{ .accountNamespace | default .root.Release.Namespace }}
{{- end }}

{{/* Arguments: root, component, name (the default is istiod). */}}
{{- define "istiod.labels" -}}
app.kubernetes.io/name: {{ .name | default "istiod" }}
app.kubernetes.io/instance: {{ .root.Release.Name | quote }}
app.kubernetes.io/part-of: istio
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service | quote }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
istio.io/rev: {{ .root.Values.revision | default "default" | quote }}
install.operator.istio.io/owning-resource: helm
install.operator.istio.io/owning-resource-namespace: {{ .root.Release.Namespace }}
operator.istio.io/component: {{ .component }}
release: {{ .root.Release.Name }}
{{- end }}

{{- define "istiod.selector" -}}
app: istiod
{{- if .Values.revision }}
istio.io/rev: {{ .Values.revision | quote }}
{{- else }}
istio: pilot
{{- end }}
{{- end }}

{{/* Where webhooks are called. Arguments: root, path, url. */}}
{{- define "istiod.webhook" -}}
{{- if .url }}
url: {{ .url }}
{{- else }}
service:
  name: {{ include "istiod.name" .root }}
  namespace: {{ .root.Release.Namespace }}
  path: {{ .path | quote }}
  port: 443
{{- end }}
{{- end }}

{{- define "istiod.image" -}}
{{- if contains "/" .Values.pilot.image }}
{{- .Values.pilot.image }}
{{- else }}
{{- .Values.global.hub | default "isthmus.internal" }}/{{ .Values.pilot.image }}:{{ .Values.global.tag | default .Chart.AppVersion }}
{{- end }}
{{- end }}

{{- define "istiod.consoleImage" -}}
{{- $image := .Values.console.image | default "isthmus" }}
{{- if contains "/" $image }}
{{- $image }}
{{- else }}
{{- .Values.global.hub | default "isthmus.internal" }}/{{ $image }}:{{ .Values.global.tag | default .Chart.AppVersion }}
{{- end }}
{{- end }}

{{/* The path of the injector for Pods of a cluster whose control plane is elsewhere: otherwise they would claim to be in the cluster of the control plane. */}}
{{- define "istiod.remotePath" -}}
{{- if .Values.istiodRemote.injectionPath }}
{{- .Values.istiodRemote.injectionPath }}
{{- else }}
{{- printf "/inject/cluster/%s" (.Values.global.multiCluster.clusterName | default "Kubernetes" | replace "/" "--slash--") }}
{{- with .Values.global.network }}/net/{{ . | replace "/" "--slash--" }}{{ end }}
{{- end }}
{{- end }}

{{/* One webhook. Arguments: name, client, namespaces, objects. */}}
{{- define "istiod.inject" -}}
- name: {{ .name }}
  clientConfig:
    {{- .client | nindent 4 }}
  sideEffects: None
  rules:
  - operations: [CREATE]
    apiGroups: [""]
    apiVersions: [v1]
    resources: [pods]
  failurePolicy: Fail
  reinvocationPolicy: Never
  admissionReviewVersions: [v1]
  namespaceSelector:
    matchExpressions:
    {{- toYaml .namespaces | nindent 4 }}
  objectSelector:
    matchExpressions:
    {{- toYaml .objects | nindent 4 }}
{{- end }}

{{/* The ways in which Pods ask for injection, and the one without asking. Arguments: root, path, url, tag (none for the revision itself). */}}
{{- define "istiod.injectors" -}}
{{- $rev := .tag | default .root.Values.revision | default "default" }}
{{- $isRev := dict "key" "istio.io/rev" "operator" "In" "values" (list $rev) }}
{{- $noRev := dict "key" "istio.io/rev" "operator" "DoesNotExist" }}
{{- $noInjection := dict "key" "istio-injection" "operator" "DoesNotExist" }}
{{- $notRefused := dict "key" "sidecar.istio.io/inject" "operator" "NotIn" "values" (list "false") }}
{{- $client := include "istiod.webhook" . | trim }}
{{ include "istiod.inject" (dict "name" "rev.namespace.sidecar-injector.istio.io" "client" $client "namespaces" (list $isRev $noInjection) "objects" (list $notRefused)) }}
{{ include "istiod.inject" (dict "name" "rev.object.sidecar-injector.istio.io" "client" $client "namespaces" (list $noRev $noInjection) "objects" (list $notRefused $isRev)) }}
{{- if or (eq $rev "default") (and (not .tag) (eq $rev .root.Values.defaultRevision)) }}
{{ include "istiod.inject" (dict "name" "namespace.sidecar-injector.istio.io" "client" $client "namespaces" (list (dict "key" "istio-injection" "operator" "In" "values" (list "enabled"))) "objects" (list $notRefused)) }}
{{ include "istiod.inject" (dict "name" "object.sidecar-injector.istio.io" "client" $client "namespaces" (list $noInjection $noRev) "objects" (list (dict "key" "sidecar.istio.io/inject" "operator" "In" "values" (list "true")) $noRev)) }}
{{- if (default (dict) .root.Values.sidecarInjectorWebhook).enableNamespacesByDefault }}
{{- $notSystem := dict "key" "kubernetes.io/metadata.name" "operator" "NotIn" "values" (list "kube-system" "kube-public" "kube-node-lease" "local-path-storage") }}
{{ include "istiod.inject" (dict "name" "auto.sidecar-injector.istio.io" "client" $client "namespaces" (list $noInjection $noRev $notSystem) "objects" (list (dict "key" "sidecar.istio.io/inject" "operator" "DoesNotExist") $noRev)) }}
{{- end }}
{{- end }}
{{- end }}

{{/* An injection webhook for each revision tag. Arguments: root, path, url, component. */}}
{{- define "istiod.tagInjectors" -}}
{{- $args := . }}
{{- range .root.Values.revisionTags | uniq }}
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingWebhookConfiguration
metadata:
  name: istio-revision-tag-{{ . }}{{ if ne $args.root.Release.Namespace "istio-system" }}-{{ $args.root.Release.Namespace }}{{ end }}
  labels:
    app: sidecar-injector
    istio.io/tag: {{ . | quote }}
    {{- include "istiod.labels" (dict "root" $args.root "component" $args.component) | nindent 4 }}
webhooks:
{{- include "istiod.injectors" (dict "root" $args.root "path" $args.path "url" $args.url "tag" .) }}
{{- end }}
{{- end }}

{{/* Tell the control plane who deletes and scales, for its history. Nothing ever waits for them. Of Secrets, only remote secrets are sent, which it reads anyway.
Arguments: root, path, url. */}}
{{- define "istiod.history" -}}
- name: history.isthmus.io
  clientConfig:
    {{- include "istiod.webhook" . | trim | nindent 4 }}
  rules:
  - operations: [DELETE]
    apiGroups: [networking.istio.io, security.istio.io, telemetry.istio.io, extensions.istio.io, gateway.networking.k8s.io, multicluster.x-k8s.io]
    apiVersions: ["*"]
    resources: ["*"]
  - operations: [DELETE]
    apiGroups: [""]
    apiVersions: ["*"]
    resources: [namespaces, services]
  - operations: [DELETE]
    apiGroups: [networking.k8s.io]
    apiVersions: ["*"]
    resources: [ingresses, ingressclasses]
  - operations: [DELETE]
    apiGroups: [apps]
    apiVersions: ["*"]
    resources: [deployments, statefulsets, daemonsets]
  - operations: [UPDATE]
    apiGroups: [apps]
    apiVersions: ["*"]
    resources: [deployments, deployments/scale, statefulsets, statefulsets/scale]
  failurePolicy: Ignore
  timeoutSeconds: 1
  sideEffects: NoneOnDryRun
  admissionReviewVersions: [v1]
  # An API server that does not know conditions sends every update, and the control plane compares itself.
  matchConditions:
  - name: deleted-or-scaled
    expression: request.operation == "DELETE" || request.kind.kind == "Scale" || object.spec.replicas != oldObject.spec.replicas
- name: secrets.history.isthmus.io
  clientConfig:
    {{- include "istiod.webhook" . | trim | nindent 4 }}
  rules:
  - operations: [DELETE]
    apiGroups: [""]
    apiVersions: ["*"]
    resources: [secrets]
  failurePolicy: Ignore
  timeoutSeconds: 1
  sideEffects: NoneOnDryRun
  admissionReviewVersions: [v1]
  objectSelector:
    matchExpressions:
    - {key: istio/multiCluster, operator: In, values: ["true"]}
{{- end }}

{{/* The ports and the selector of the control plane's Service, which its revision tags share. */}}
{{- define "istiod.servicePorts" -}}
ports:
- {name: grpc-xds, port: 15010, protocol: TCP, targetPort: 15010}
- {name: https-dns, port: 15012, protocol: TCP, targetPort: 15012}
- {name: https-webhook, port: 443, protocol: TCP, targetPort: 15017}
- {name: http-monitoring, port: 15014, protocol: TCP, targetPort: 15014}
selector:
  {{- include "istiod.selector" . | nindent 2 }}
{{- end }}
