{{- define "keytrail.fullname" -}}
{{- if contains "keytrail" .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{ else }}{{ printf "%s-keytrail" .Release.Name | trunc 50 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "keytrail.selector" -}}
app.kubernetes.io/name: keytrail
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "keytrail.labels" -}}
{{ include "keytrail.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "keytrail.serviceAccount" -}}
{{- if .Values.serviceAccount.create }}{{ default (include "keytrail.fullname" .) .Values.serviceAccount.name }}{{ else }}{{ default "default" .Values.serviceAccount.name }}{{ end }}
{{- end }}

{{- define "keytrail.image" -}}
{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end }}

{{/* A pod of one role. Takes root, role, args, settings, configMap, serviceAccount, lake, data. */}}
{{- define "keytrail.pod" -}}
{{- $root := .root -}}
{{- $values := .root.Values -}}
serviceAccountName: {{ .serviceAccount }}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with $values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  {{- toYaml $values.podSecurityContext | nindent 2 }}
{{- with $values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- if $values.kafka.existingSecret }}
initContainers:
  - name: configuration
    image: {{ include "keytrail.image" $root }}
    imagePullPolicy: {{ $values.image.pullPolicy }}
    command: ["bash", "-euc", "umask 077; cat /parts/config/keytrail.toml <(echo) /parts/kafka/kafka.toml > /etc/keytrail/keytrail.toml"]
    securityContext:
      {{- toYaml $values.securityContext | nindent 6 }}
    volumeMounts:
      - {name: config, mountPath: /parts/config, readOnly: true}
      - {name: kafka, mountPath: /parts/kafka, readOnly: true}
      - {name: whole-config, mountPath: /etc/keytrail}
{{- end }}
containers:
  - name: {{ .role }}
    image: {{ include "keytrail.image" $root }}
    imagePullPolicy: {{ $values.image.pullPolicy }}
    args:
      {{- toYaml .args | nindent 6 }}
    env:
      - {name: KEYTRAIL_LOG, value: {{ required "log is required: kafka://HOST:PORT" $values.log | quote }}}
      {{- with $values.logLevel }}
      - {name: KEYTRAIL_LOG_LEVEL, value: {{ . | quote }}}
      {{- end }}
      {{- with $values.otlpEndpoint }}
      - {name: OTEL_EXPORTER_OTLP_ENDPOINT, value: {{ . | quote }}}
      {{- end }}
      {{- if .lake }}
      - {name: KEYTRAIL_LAKE, value: {{ required "lake is required: s3://BUCKET/PREFIX" $values.lake | quote }}}
      {{- range $name, $value := $values.s3.env }}
      - {name: {{ $name }}, value: {{ $value | quote }}}
      {{- end }}
      {{- end }}
    {{- if and .lake $values.s3.existingSecret }}
    envFrom:
      - secretRef: {name: {{ $values.s3.existingSecret }}}
    {{- end }}
    {{- if ne .role "topics" }}
    ports:
      - {name: metrics, containerPort: 9464}
    startupProbe:
      httpGet: {path: /healthz, port: metrics}
      periodSeconds: 5
      failureThreshold: 60
    livenessProbe:
      httpGet: {path: /healthz, port: metrics}
      periodSeconds: 15
      timeoutSeconds: 5
      failureThreshold: 4
    readinessProbe:
      httpGet: {path: /healthz, port: metrics}
      periodSeconds: 10
      timeoutSeconds: 5
    {{- end }}
    {{- with .settings.resources }}
    resources:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    securityContext:
      {{- toYaml $values.securityContext | nindent 6 }}
    volumeMounts:
      - {name: {{ ternary "whole-config" "config" (not (empty $values.kafka.existingSecret)) }}, mountPath: /etc/keytrail, readOnly: true}
      - {name: tmp, mountPath: /tmp}
      {{- if .data }}
      - {name: data, mountPath: /var/lib/keytrail}
      {{- end }}
      {{- if and (eq .role "collect") $values.fingerprintKey.existingSecret }}
      - {name: fingerprint-key, mountPath: /var/lib/keytrail/keys, readOnly: true}
      {{- end }}
      {{- with .settings.extraVolumeMounts }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
volumes:
  - name: config
    configMap: {name: {{ .configMap }}}
  - name: tmp
    emptyDir: {sizeLimit: 1Gi}
  {{- if $values.kafka.existingSecret }}
  - name: kafka
    secret: {secretName: {{ $values.kafka.existingSecret }}}
  - name: whole-config
    emptyDir: {medium: Memory, sizeLimit: 1Mi}
  {{- end }}
  {{- if and (eq .role "collect") $values.fingerprintKey.existingSecret }}
  - name: fingerprint-key
    secret: {secretName: {{ $values.fingerprintKey.existingSecret }}, defaultMode: 0440}
  {{- end }}
  {{- if eq .role "forward" }}
  - name: data
    persistentVolumeClaim: {claimName: {{ include "keytrail.fullname" $root }}-forward}
  {{- end }}
  {{- with .settings.extraVolumes }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}

{{/* What a role's process is started with. */}}
{{- define "keytrail.args" -}}
- {{ . }}
- --config
- /etc/keytrail/keytrail.toml
- --metrics-listen
- 0.0.0.0:9464
{{- end }}
