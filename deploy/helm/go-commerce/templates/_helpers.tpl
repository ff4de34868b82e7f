{{/*
Each takes a dict: root (the root context), name and component; s is the service with its defaults filled in.
*/}}

{{- define "go-commerce.selector" -}}
app.kubernetes.io/name: {{ .name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{/* Of a pod: a version among them would start all pods again. */}}
{{- define "go-commerce.podLabels" -}}
{{ include "go-commerce.selector" . }}
app.kubernetes.io/part-of: go-commerce
{{- end }}

{{- define "go-commerce.labels" -}}
{{ include "go-commerce.podLabels" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version }}
{{- end }}

{{- define "go-commerce.image" -}}
{{ .root.Values.image.repository }}/{{ .name }}:{{ .root.Values.image.tag | default .root.Chart.AppVersion }}
{{- end }}

{{/* The environment of a service that is no secret, as a map. */}}
{{- define "go-commerce.settings" -}}
{{- $own := dict "HTTP_PORT" (.s.port | toString) "MANAGEMENT_PORT" (.root.Values.managementPort | toString) "HTTP_PROCESSES" (.s.httpProcesses | toString) }}
{{- if .s.grpcPort }}{{- $_ := set $own "GRPC_PORT" (.s.grpcPort | toString) }}{{- end }}
{{- include "go-commerce.read" (dict "s" .s "given" (mergeOverwrite (deepCopy .root.Values.settings) .s.settings $own)) }}
{{- end }}

{{- define "go-commerce.secrets" -}}
{{- include "go-commerce.read" (dict "s" .s "given" .s.secret.values) }}
{{- end }}

{{/* What a service reads of the values that are given to all: without a database nothing about one. */}}
{{- define "go-commerce.read" -}}
{{- $read := dict }}
{{- range $name, $value := .given }}
{{- if or $.s.database (not (or (hasPrefix "DB_" $name) (has $name (list "OUTBOX_KEEP_DAYS" "INBOX_KEEP_DAYS")))) }}
{{- $_ := set $read $name $value }}
{{- end }}
{{- end }}
{{- toYaml $read }}
{{- end }}

{{/*
The environment of the auditor that is no secret: of what is given to all and to the services what it reads, and its own.
Of OUTBOX_KEEP_DAYS the smallest of all services: what an outbox may have deleted is not missed. The defaults of this and
of Xendit's address are those of the services.
*/}}
{{- define "go-commerce.auditorSettings" -}}
{{- $read := dict }}
{{- $days := 36500 }}
{{- range $name, $value := mergeOverwrite (deepCopy .Values.settings) .Values.defaults.settings }}
{{- if or (hasPrefix "REDIS_" $name) (has $name (list "ENVIRONMENT" "ALLOW_PLAINTEXT" "LOG_LEVEL" "DB_SSLMODE" "DB_SSLROOTCERT" "KAFKA_BROKER" "KAFKA_SECURITY_PROTOCOL" "KAFKA_SASL_MECHANISM" "KAFKA_SASL_USERNAME" "KAFKA_SSL_CAFILE" "KAFKA_REPLICATION")) }}
{{- $_ := set $read $name $value }}
{{- end }}
{{- end }}
{{- range $name, $own := .Values.services }}
{{- $s := mergeOverwrite (deepCopy $.Values.defaults) $own }}
{{- if $s.database }}
{{- $given := include "go-commerce.settings" (dict "root" $ "name" $name "s" $s) | fromYaml }}
{{- with get $given "DB_HOST" }}
{{- $port := get $given "DB_PORT" | required "settings.DB_PORT: the auditor has to know it" }}
{{- $_ := set $read (printf "%s_DB_ADDR" (upper $name)) (printf "%s:%s" . $port) }}
{{- end }}
{{- with get $given "DB_NAME" }}{{- $_ := set $read (printf "%s_DB_NAME" (upper $name)) . }}{{- end }}
{{- if has "xendit" $s.uses }}{{- $_ := set $read "XENDIT_BASE_URL" (get $given "XENDIT_BASE_URL" | default "https://api.xendit.co") }}{{- end }}
{{- $days = min $days (get $given "OUTBOX_KEEP_DAYS" | default "7" | int) }}
{{- end }}
{{- end }}
{{- $_ := set $read "OUTBOX_KEEP_DAYS" ($days | toString) }}
{{- mergeOverwrite $read (deepCopy .Values.auditor.settings) | toYaml }}
{{- end }}

{{/* The ports of a call: a name, or a list of names. */}}
{{- define "go-commerce.ports" -}}
{{- range kindIs "slice" . | ternary . (list .) }}
- {port: {{ . }}}
{{- end }}
{{- end }}

{{- define "go-commerce.secret" -}}
{{- if .s.secret.existing }}{{ .s.secret.existing }}
{{- else if not .s.secret.values }}{{ fail (printf "services.%s.secret: name an existing Secret, or give values" .name) }}
{{- else if .root.Values.hooks }}{{ fail (printf "services.%s.secret.values: with hooks the Secret must exist before the release: name it in secret.existing" .name) }}
{{- else }}{{ .name }}{{ end }}
{{- end }}

{{- define "go-commerce.ownerSecret" -}}
{{- $owner := .s.migration.secret }}
{{- if $owner.existing }}{{ $owner.existing }}
{{- else if not $owner.values }}{{ fail (printf "services.%s.migration.secret: name an existing Secret, or give values" .name) }}
{{- else if .root.Values.hooks }}{{ fail (printf "services.%s.migration.secret.values: with hooks the Secret must exist before the release: name it in secret.existing" .name) }}
{{- else }}{{ .name }}-owner{{ end }}
{{- end }}

{{/* The time that a pod has to end: to drain, and to stop. */}}
{{- define "go-commerce.graceSeconds" -}}
{{- $settings := include "go-commerce.settings" . | fromYaml }}
{{- add .root.Values.drainSeconds (get $settings "SHUTDOWN_TIMEOUT_S" | default "20" | int) 5 }}
{{- end }}

{{/* Of a pod with an image of this project; its user is that of deploy/Dockerfile. */}}
{{- define "go-commerce.pod" -}}
automountServiceAccountToken: false
# A Service named redis would set REDIS_PORT in each container.
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  seccompProfile: {type: RuntimeDefault}
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
volumes:
  - name: tmp
    emptyDir: {sizeLimit: {{ .tmp | default "64Mi" }}}
  {{- with .s.tlsSecret }}
  - name: tls
    secret: {secretName: {{ . }}, defaultMode: 0440}
  {{- end }}
{{- end }}

{{- define "go-commerce.container" -}}
image: {{ include "go-commerce.image" . }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
volumeMounts:
  - {name: tmp, mountPath: /tmp}
  {{- if .s.tlsSecret }}
  - {name: tls, mountPath: /tls, readOnly: true}
  {{- end }}
{{- end }}

{{/* Memory is what it may have; processors are shared, and without a limit nobody is slowed down while one is idle. */}}
{{- define "go-commerce.resources" -}}
resources:
  requests: {cpu: {{ .cpu }}, memory: {{ .memory }}}
  limits: {memory: {{ .memory }}}
{{- end }}
