using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Lab.Machine.Network;

namespace Isthmus.Lab.Supervisor;

/// <summary>The objects of every new cluster: its DNS, with the usual names, labels and ports, on which scripts
/// rely.</summary>
internal static class SystemComponents
{
    internal const string Namespace = "kube-system";
    internal const string DnsLabels = "k8s-app=kube-dns";

    /// <summary>Creates missing objects. Existing ones stay: the user may have changed them.</summary>
    internal static async Task EnsureAsync(KubeClient client, ClusterSettings settings, string image, CancellationToken stop)
    {
        foreach (var value in Objects(settings, image))
        {
            var kind = Kinds.Find((string)value["apiVersion"]!, (string)value["kind"]!)!;
            async Task<bool> IsThereAsync() =>
                await client.FindAsync(kind, (string?)value["metadata"]!["namespace"], (string)value["metadata"]!["name"]!, stop) is not null;
            if (await IsThereAsync()) continue;
            try
            {
                await client.CreateAsync(kind, value, stop);
            }
            catch (KubeException)
            {
                // Another command was faster. The error depends on the kind: a Service's address is taken before its name.
                if (!await IsThereAsync()) throw;
            }
        }
    }

    internal static IEnumerable<JsonObject> Objects(ClusterSettings settings, string image) =>
        YamlText.ParseAll(Text(settings, image), "the cluster's DNS").OfType<JsonObject>();

    private static string Text(ClusterSettings settings, string image) => $$"""
        apiVersion: v1
        kind: ServiceAccount
        metadata:
          name: coredns
          namespace: kube-system
        ---
        apiVersion: rbac.authorization.k8s.io/v1
        kind: ClusterRole
        metadata:
          name: system:coredns
        rules:
        - apiGroups: [""]
          resources: [endpoints, services, pods, namespaces]
          verbs: [list, watch]
        - apiGroups: [discovery.k8s.io]
          resources: [endpointslices]
          verbs: [list, watch]
        - apiGroups: [apiextensions.k8s.io]
          resources: [customresourcedefinitions]
          verbs: [get, list, watch]
        - apiGroups: [multicluster.x-k8s.io]
          resources: [serviceimports]
          verbs: [list, watch]
        - apiGroups: [""]
          resources: [events]
          verbs: [create, patch]
        ---
        apiVersion: rbac.authorization.k8s.io/v1
        kind: ClusterRoleBinding
        metadata:
          name: system:coredns
        roleRef:
          apiGroup: rbac.authorization.k8s.io
          kind: ClusterRole
          name: system:coredns
        subjects:
        - kind: ServiceAccount
          name: coredns
          namespace: kube-system
        ---
        apiVersion: v1
        kind: ConfigMap
        metadata:
          name: coredns
          namespace: kube-system
        data:
          Corefile: |
            .:53 {
                errors
                health {
                    lameduck 5s
                }
                ready
                kubernetes cluster.local in-addr.arpa ip6.arpa {
                    pods insecure
                    fallthrough in-addr.arpa ip6.arpa
                    ttl 30
                }
                multicluster clusterset.local
                prometheus :9153
                forward . /etc/resolv.conf {
                    max_concurrent 1000
                }
                cache 30
                loop
                reload
                loadbalance
            }
        ---
        apiVersion: v1
        kind: Service
        metadata:
          name: kube-dns
          namespace: kube-system
          labels:
            k8s-app: kube-dns
            kubernetes.io/cluster-service: "true"
            kubernetes.io/name: CoreDNS
          annotations:
            prometheus.io/port: "9153"
            prometheus.io/scrape: "true"
        spec:
          clusterIP: {{settings.DnsAddress}}
          selector:
            k8s-app: kube-dns
          ports:
          - {name: dns, port: 53, protocol: UDP, targetPort: 53}
          - {name: dns-tcp, port: 53, protocol: TCP, targetPort: 53}
          - {name: metrics, port: 9153, protocol: TCP, targetPort: 9153}
        ---
        apiVersion: apps/v1
        kind: Deployment
        metadata:
          name: coredns
          namespace: kube-system
          labels:
            k8s-app: kube-dns
        spec:
          replicas: 1
          strategy:
            type: RollingUpdate
            rollingUpdate: {maxUnavailable: 1}
          selector:
            matchLabels:
              k8s-app: kube-dns
          template:
            metadata:
              labels:
                k8s-app: kube-dns
            spec:
              serviceAccountName: coredns
              priorityClassName: system-cluster-critical
              dnsPolicy: Default
              tolerations:
              - {key: CriticalAddonsOnly, operator: Exists}
              - {key: node-role.kubernetes.io/control-plane, effect: NoSchedule}
              containers:
              - name: coredns
                image: {{image}}
                imagePullPolicy: IfNotPresent
                args: [dns, -conf, /etc/coredns/Corefile]
                resources:
                  requests: {cpu: 100m, memory: 70Mi}
                  limits: {memory: 170Mi}
                ports:
                - {containerPort: 53, name: dns, protocol: UDP}
                - {containerPort: 53, name: dns-tcp, protocol: TCP}
                - {containerPort: 9153, name: metrics, protocol: TCP}
                readinessProbe:
                  httpGet: {path: /ready, port: 8181, scheme: HTTP}
                  periodSeconds: 1
                livenessProbe:
                  httpGet: {path: /health, port: 8080, scheme: HTTP}
                  initialDelaySeconds: 60
                  timeoutSeconds: 5
                  failureThreshold: 5
                securityContext:
                  allowPrivilegeEscalation: false
                  readOnlyRootFilesystem: true
                  capabilities:
                    add: [NET_BIND_SERVICE]
                    drop: [ALL]
                volumeMounts:
                - {name: config-volume, mountPath: /etc/coredns, readOnly: true}
              volumes:
              - name: config-volume
                configMap:
                  name: coredns
                  items:
                  - {key: Corefile, path: Corefile}
        """;
}
