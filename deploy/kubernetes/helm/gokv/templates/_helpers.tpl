{{- define "gokv.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 52 | trimSuffix "-" -}}
{{- end -}}

{{/* At most 52 bytes: the pods' controller-revision-hash is a label made from it. */}}
{{- define "gokv.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else if contains (include "gokv.name" .) .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "gokv.name" .) | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "gokv.selector" -}}
app.kubernetes.io/name: {{ include "gokv.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{- define "gokv.labels" -}}
{{ include "gokv.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end -}}

{{- define "gokv.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (ternary (include "gokv.fullname" .) "default" .Values.serviceAccount.create) -}}
{{- end -}}

{{- define "gokv.secret" -}}
{{- .Values.secret.existing | default (printf "%s-secret" (include "gokv.fullname" .)) -}}
{{- end -}}

{{- define "gokv.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{/*
Most of the replicas. With two that would be both, and one that is missing would keep
the other from starting; with one a pod that is added by hand would not look for the
first.
*/}}
{{- define "gokv.bootstrapExpect" -}}
{{- if not (kindIs "string" .Values.bootstrapExpect) -}}
{{- int .Values.bootstrapExpect -}}
{{- else if lt (int .Values.replicas) 3 -}}
0
{{- else -}}
{{- add (div (int .Values.replicas) 2) 1 -}}
{{- end -}}
{{- end -}}

{{- define "gokv.ipFamilies" -}}
{{- with .Values.ipFamilyPolicy }}
ipFamilyPolicy: {{ . }}
{{- end }}
{{- with .Values.ipFamilies }}
ipFamilies:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* What a schema cannot say, since it is about two values at a time. */}}
{{- define "gokv.validate" -}}
{{- if not (or .Values.secret.enabled .Values.tls.existing) -}}
{{- fail "secret.enabled is false and tls.existing is empty: nodes need at least one of the two to prove themselves" -}}
{{- end -}}
{{- if gt (int (include "gokv.bootstrapExpect" .)) (int .Values.replicas) -}}
{{- fail (printf "bootstrapExpect is %v and replicas is %d: so many would never meet" .Values.bootstrapExpect (int .Values.replicas)) -}}
{{- end -}}
{{- if lt (int .Values.terminationGracePeriodSeconds) (int (add .Values.preStopSleepSeconds 15)) -}}
{{- fail (printf "terminationGracePeriodSeconds is %d: at least %d, preStopSleepSeconds and the 15 in which a node hands over and leaves" (int .Values.terminationGracePeriodSeconds) (int (add .Values.preStopSleepSeconds 15))) -}}
{{- end -}}
{{- if or (eq (int .Values.ports.peers) (int .Values.ports.clients)) (eq (int .Values.ports.clients) (int .Values.ports.http)) -}}
{{- fail (printf "ports: peers %d, clients %d, http %d: the clients' port is used over TCP and UDP, so that none of the others can be the same" (int .Values.ports.peers) (int .Values.ports.clients) (int .Values.ports.http)) -}}
{{- end -}}
{{- end -}}
