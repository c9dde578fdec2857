{{/* What is in the label app.kubernetes.io/name. */}}
{{- define "holdfast.name" -}}
{{- default "holdfast" .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end }}

{{/* The name of the Deployment. Room is left for the suffixes of other names, since the name of a Service has at most 63 characters.
     A release may have dots in its name and a digit at its beginning, a Service may not. */}}
{{- define "holdfast.fullname" -}}
{{- $name := include "holdfast.name" . -}}
{{- $full := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) -}}
{{- $full = default $full .Values.fullnameOverride | replace "." "-" -}}
{{- if regexMatch "^[0-9]" $full -}}
{{- $full = printf "r%s" $full -}}
{{- end -}}
{{- $full | trunc 50 | trimAll "-" -}}
{{- end }}

{{- define "holdfast.selector" -}}
app.kubernetes.io/name: {{ include "holdfast.name" . }}
{{- end }}

{{/* The labels of every object: those of the user cannot replace the others, by which objects are selected. */}}
{{- define "holdfast.labels" -}}
{{- $own := dict
  "app.kubernetes.io/name" (include "holdfast.name" .)
  "app.kubernetes.io/instance" .Release.Name
  "app.kubernetes.io/version" (.Chart.AppVersion | replace "+" "_" | trunc 63)
  "app.kubernetes.io/managed-by" .Release.Service
  "helm.sh/chart" (printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-") -}}
{{- toYaml (merge $own (.Values.commonLabels | default dict)) -}}
{{- end }}

{{/* metadata: name, namespace, labels, annotations. Takes root, name, and optionally cluster (true: no namespace), labels, annotations. */}}
{{- define "holdfast.metadata" -}}
metadata:
  name: {{ .name | quote }}
  {{- if not .cluster }}
  namespace: {{ .namespace | default .root.Release.Namespace | quote }}
  {{- end }}
  labels:
    {{- $labels := include "holdfast.labels" .root | fromYaml -}}
    {{- toYaml (merge $labels (.labels | default dict)) | nindent 4 }}
  {{- with .annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}

{{- define "holdfast.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "holdfast.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- required "serviceAccount.name is required when serviceAccount.create is false: name the ServiceAccount of the agent" .Values.serviceAccount.name -}}
{{- end -}}
{{- end }}

{{/* The agent as the subject of a binding. */}}
{{- define "holdfast.subject" -}}
kind: ServiceAccount
name: {{ include "holdfast.serviceAccount" . | quote }}
namespace: {{ .Release.Namespace | quote }}
{{- end }}

{{- define "holdfast.image" -}}
{{- $image := .Values.image -}}
{{- if and $image.digest $image.tag -}}
{{ $image.repository }}:{{ $image.tag }}@{{ $image.digest }}
{{- else if $image.digest -}}
{{ $image.repository }}@{{ $image.digest }}
{{- else -}}
{{ $image.repository }}:{{ $image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end }}

{{/* The flags of the agent, one a line. */}}
{{- define "holdfast.args" -}}
{{- $agent := .Values.agent | default dict -}}
{{- $args := list "agent" "--leader-elect" "--cache-dir=/cache" "--listen=0.0.0.0:8080" "--probe-listen=0.0.0.0:8081" -}}
{{- $isCluster := eq .Values.rbac.mode "cluster" -}}
{{- if eq .Values.rbac.mode "namespaced" -}}
{{- $args = append $args (printf "--namespaces=%s" (join "," .Values.rbac.namespaces)) -}}
{{- end -}}
{{- if kindIs "invalid" $agent.allowCrossNamespaceRefs | ternary $isCluster $agent.allowCrossNamespaceRefs -}}
{{- $args = append $args "--allow-cross-namespace-refs" -}}
{{- end -}}
{{- with $agent.defaultServiceAccount | default (ternary "" "deployer" $isCluster) -}}
{{- $args = append $args (printf "--default-service-account=%s" .) -}}
{{- end -}}
{{- with $agent.allowDestinations -}}
{{- $args = append $args (printf "--allow-destinations=%s" (join "," .)) -}}
{{- end -}}
{{- range $flag, $value := dict "cache-limit" $agent.cacheLimit "render-memory" $agent.renderMemory "max-timeout" $agent.maxTimeout "log-format" $agent.logFormat -}}
{{- if $value -}}
{{- $args = append $args (printf "--%s=%s" $flag $value) -}}
{{- end -}}
{{- end -}}
{{- if .Values.tls.secretName -}}
{{- $args = concat $args (list "--tls-cert=/tls/tls.crt" "--tls-key=/tls/tls.key") -}}
{{- end -}}
{{- if .Values.audit.secretName -}}
{{- $args = append $args (printf "--audit-token-file=/audit/%s" .Values.audit.key) -}}
{{- end -}}
{{- if .Values.monitoring.auth.enabled -}}
{{- $args = append $args "--metrics-auth=token" -}}
{{- end -}}
{{- if .Values.ui.enabled -}}
{{- $args = concat $args (list (printf "--ui-auth=%s" .Values.ui.auth) "--ui-listen=0.0.0.0:8082") -}}
{{- if eq .Values.ui.auth "proxy" -}}
{{- $args = append $args (printf "--ui-proxy-from=%s" (join "," .Values.ui.proxy.from)) -}}
{{- with .Values.ui.proxy.userHeader -}}
{{- $args = append $args (printf "--ui-proxy-user-header=%s" .) -}}
{{- end -}}
{{- with .Values.ui.proxy.groupsHeader -}}
{{- $args = append $args (printf "--ui-proxy-groups-header=%s" .) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toYaml (concat $args (.Values.extraArgs | default list)) -}}
{{- end }}

{{/* A probe at the port that serves only probes. Takes path and probe. */}}
{{- define "holdfast.probe" -}}
{{- toYaml (merge (dict "httpGet" (dict "path" .path "port" "probes")) (.probe | default dict)) -}}
{{- end }}

{{/* Values that contradict each other. Included once, by the Deployment. */}}
{{- define "holdfast.check" -}}
{{- $rbac := .Values.rbac -}}
{{- /* Without a cluster (helm template) Helm knows groups and versions only, no kinds; then nothing can be said. */ -}}
{{- $kinds := .Capabilities.APIVersions -}}
{{- $group := "admissionregistration.k8s.io/v1" -}}
{{- if and .Values.admission.enabled ($kinds.Has (print $group "/ValidatingWebhookConfiguration")) (not ($kinds.Has (print $group "/ValidatingAdmissionPolicy"))) -}}
{{- fail (printf "this cluster (%s) does not serve ValidatingAdmissionPolicy v1: upgrade it to Kubernetes 1.30 or newer" .Capabilities.KubeVersion.Version) -}}
{{- end -}}
{{- if and (eq $rbac.mode "namespaced") (not $rbac.namespaces) -}}
{{- fail "rbac.mode namespaced needs rbac.namespaces: list the namespaces that the agent serves, for example --set rbac.namespaces={team-a}" -}}
{{- end -}}
{{- if and (eq $rbac.mode "cluster") $rbac.namespaces -}}
{{- fail "rbac.namespaces has no effect in rbac.mode cluster, where the agent serves all namespaces: set rbac.mode to tenants or namespaced, or remove rbac.namespaces" -}}
{{- end -}}
{{- if and (eq $rbac.mode "cluster") $rbac.aggregateToAdmin -}}
{{- fail "rbac.aggregateToAdmin in rbac.mode cluster would make every admin of a namespace an administrator of the cluster: set rbac.mode to tenants" -}}
{{- end -}}
{{- if and .Values.ui.enabled (eq .Values.ui.auth "proxy") (not .Values.ui.proxy.from) -}}
{{- fail "ui.auth proxy trusts headers, so it needs ui.proxy.from: the addresses or networks of the proxy" -}}
{{- end -}}
{{- range $kind, $route := dict "ingress" .Values.ingress "httpRoute" .Values.httpRoute -}}
{{- if and $route.enabled (not (or $.Values.ui.enabled $.Values.webhooks.enabled)) -}}
{{- fail (printf "%s.enabled leads nowhere: enable ui or webhooks" $kind) -}}
{{- end -}}
{{- end -}}
{{- if and .Values.ingress.enabled (not .Values.ingress.hosts) -}}
{{- fail "ingress.enabled needs ingress.hosts, for example --set ingress.hosts[0].host=holdfast.example.com" -}}
{{- end -}}
{{- if and .Values.httpRoute.enabled (not .Values.httpRoute.parentRefs) -}}
{{- fail "httpRoute.enabled needs httpRoute.parentRefs: name the Gateway" -}}
{{- end -}}
{{- end }}
