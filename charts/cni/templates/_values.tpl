{{/* Refuses values without an effect, all in one message. Arguments: known (the values by path), path, node, found (a dict). */}}
{{- define "isthmus.unknown" -}}
{{- $root := . }}
{{- range $key, $value := .node }}
{{- $path := ternary $key (printf "%s.%s" $root.path $key) (eq $root.path "") }}
{{- if kindIs "invalid" $value }}
{{- else if has $key (index $root.known $root.path) }}
{{- if and (kindIs "map" $value) (hasKey $root.known $path) }}
{{- include "isthmus.unknown" (dict "known" $root.known "path" $path "node" $value "found" $root.found) }}
{{- end }}
{{- else if or (kindIs "bool" $value) (not (empty $value)) (kindIs "float64" $value) (kindIs "int64" $value) }}
{{- $_ := set $root.found $path (printf "values.%s: %s has no effect in Isthmus; remove it" $path (ternary "what is below it" (toJson $value) (or (kindIs "map" $value) (kindIs "slice" $value)))) }}
{{- end }}
{{- end }}
{{- end }}
