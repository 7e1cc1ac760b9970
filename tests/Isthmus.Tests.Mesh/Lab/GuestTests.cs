using Isthmus.Lab.Machine.Linux;
using Isthmus.Lab.Supervisor;
using Xunit;

namespace Isthmus.Tests.Mesh.Lab;

/// <summary>Programs that nobody here wrote, as Pods: they know Kubernetes only from real clusters.</summary>
public sealed class GuestTests
{
    /// <summary>A directory that Pods see, and that is empty on Debian.</summary>
    private const string Guests = "/usr/local/games";

    private const string Patroni = """
        apiVersion: v1
        kind: ServiceAccount
        metadata: {name: patroni}
        ---
        apiVersion: rbac.authorization.k8s.io/v1
        kind: Role
        metadata: {name: patroni}
        rules:
        - {apiGroups: [""], resources: [configmaps, endpoints], verbs: [create, get, list, patch, update, watch, delete, deletecollection]}
        - {apiGroups: [""], resources: [services], verbs: [create]}
        - {apiGroups: [""], resources: [pods], verbs: [get, list, patch, update, watch]}
        ---
        apiVersion: rbac.authorization.k8s.io/v1
        kind: RoleBinding
        metadata: {name: patroni}
        roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: patroni}
        subjects: [{kind: ServiceAccount, name: patroni}]
        ---
        apiVersion: v1
        kind: Service
        metadata: {name: demo, labels: {application: patroni, cluster-name: demo}}
        spec: {ports: [{port: 5432, targetPort: 5432}]}
        ---
        apiVersion: v1
        kind: Service
        metadata: {name: members}
        spec: {clusterIP: None, selector: {application: patroni}, ports: [{name: metrics, port: 8008}]}
        ---
        apiVersion: v1
        kind: ConfigMap
        metadata: {name: patroni}
        data:
          patroni.yml: |
            bootstrap:
              dcs: {ttl: 20, loop_wait: 1, retry_timeout: 5}
              initdb: [{auth-host: md5}, {auth-local: trust}, {encoding: UTF8}, {locale: C.UTF-8}]
              pg_hba: ["local all all trust", "host all all 0.0.0.0/0 md5", "host replication standby 0.0.0.0/0 md5"]
            postgresql:
              parameters: {unix_socket_directories: /tmp, shared_buffers: 16MB, jit: "off"}
        ---
        apiVersion: apps/v1
        kind: StatefulSet
        metadata: {name: demo}
        spec:
          replicas: 2
          serviceName: members
          podManagementPolicy: Parallel
          selector: {matchLabels: {application: patroni, cluster-name: demo}}
          template:
            metadata: {labels: {application: patroni, cluster-name: demo}}
            spec:
              serviceAccountName: patroni
              terminationGracePeriodSeconds: 10
              securityContext: {runAsUser: 65534, runAsGroup: 65534}
              containers:
              - name: patroni
                image: host.lab.internal/rootfs
                command: [/usr/bin/python3, GUESTS/usr/bin/patroni, /config/patroni.yml]
                readinessProbe: {httpGet: {path: /readiness, port: 8008}, periodSeconds: 1}
                env:
                - {name: PYTHONPATH, value: GUESTS/usr/lib/python3/dist-packages}
                - {name: LD_LIBRARY_PATH, value: GUESTS/usr/lib/x86_64-linux-gnu}
                - {name: PATRONI_KUBERNETES_POD_IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}
                - {name: PATRONI_KUBERNETES_NAMESPACE, valueFrom: {fieldRef: {fieldPath: metadata.namespace}}}
                - {name: PATRONI_KUBERNETES_USE_ENDPOINTS, value: "true"}
                - {name: PATRONI_KUBERNETES_LABELS, value: "{application: patroni, cluster-name: demo}"}
                - {name: PATRONI_KUBERNETES_PORTS, value: '[{"port": 5432}]'}
                - {name: PATRONI_SCOPE, value: demo}
                - {name: PATRONI_NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
                - {name: PATRONI_SUPERUSER_USERNAME, value: postgres}
                - {name: PATRONI_SUPERUSER_PASSWORD, value: secret}
                - {name: PATRONI_REPLICATION_USERNAME, value: standby}
                - {name: PATRONI_REPLICATION_PASSWORD, value: secret}
                - {name: PATRONI_POSTGRESQL_DATA_DIR, value: /data/db}
                - {name: PATRONI_POSTGRESQL_BIN_DIR, value: GUESTS/usr/lib/postgresql/15/bin}
                - {name: PATRONI_POSTGRESQL_PGPASS, value: /tmp/pgpass}
                - {name: PATRONI_POSTGRESQL_LISTEN, value: "0.0.0.0:5432"}
                - {name: PATRONI_POSTGRESQL_CONNECT_ADDRESS, value: "$(PATRONI_KUBERNETES_POD_IP):5432"}
                - {name: PATRONI_RESTAPI_LISTEN, value: "0.0.0.0:8008"}
                - {name: PATRONI_RESTAPI_CONNECT_ADDRESS, value: "$(PATRONI_KUBERNETES_POD_IP):8008"}
                volumeMounts: [{name: data, mountPath: /data}, {name: config, mountPath: /config}]
              volumes:
              - {name: data, emptyDir: {}}
              - {name: config, configMap: {name: patroni}}
        """;

    // Debian builds Prometheus without discovery by Kubernetes' API: it asks the cluster's DNS.
    private const string Prometheus = """
        apiVersion: v1
        kind: ConfigMap
        metadata: {name: prometheus}
        data:
          prometheus.yml: |
            global: {scrape_interval: 1s}
            scrape_configs:
            - job_name: services
              dns_sd_configs: [{names: [_metrics._tcp.members.default.svc.cluster.local], refresh_interval: 1s}]
            - job_name: addresses
              dns_sd_configs: [{names: [members.default.svc.cluster.local], type: A, port: 8008, refresh_interval: 1s}]
            - job_name: dns
              static_configs: [{targets: ["kube-dns.kube-system:9153"]}]
        ---
        apiVersion: v1
        kind: Pod
        metadata: {name: prometheus, labels: {app: prometheus}}
        spec:
          terminationGracePeriodSeconds: 0
          containers:
          - name: prometheus
            image: host.lab.internal/rootfs
            command: [GUESTS/usr/bin/prometheus, --config.file=/config/prometheus.yml, --storage.tsdb.path=/tmp/data]
            readinessProbe: {httpGet: {path: /-/ready, port: 9090}, periodSeconds: 1}
            volumeMounts: [{name: config, mountPath: /config}]
          volumes: [{name: config, configMap: {name: prometheus}}]
        ---
        apiVersion: v1
        kind: Service
        metadata: {name: prometheus}
        spec: {selector: {app: prometheus}, ports: [{name: web, port: 80, targetPort: 9090}]}
        """;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    [Trait("runs", "soak")]
    public async Task Patroni_elects_leaders_through_the_API_and_Prometheus_finds_its_members_by_name()
    {
        await using var rig = await LabRig.CreateAsync();
        Assert.SkipWhen((await Preflight.RunAsync(Stop)).Kind == LabModeKind.Single, "PostgreSQL refuses to run as root, and this user has no other user IDs");
        Assert.SkipUnless(Environment.GetEnvironmentVariable("ISTHMUS_TEST_NAMESPACE") == "1", "mounts the guests: run it with ./test --soak");
        Mounts.Bind(Path.Combine(BuiltProgram.Artifacts, "guests"), Guests, recursive: false);
        try
        {
            (await rig.IsthmusAsync("lab", "up", "--clusters", "1")).Expect(0);
            var file = Path.Combine(Path.GetDirectoryName(rig.Kubeconfig)!, "guests.yaml");
            await File.WriteAllTextAsync(file, $"{Patroni}\n---\n{Prometheus}".Replace("GUESTS", Guests, StringComparison.Ordinal), Stop);
            (await rig.KubectlAsync("apply", "-f", file)).Expect(0);
            File.Delete(file);
            (await rig.KubectlAsync("rollout", "status", "statefulset/demo", "--timeout=90s")).Expect(0);
            (await rig.KubectlAsync("wait", "--for=condition=Ready", "pod/prometheus", "--timeout=90s")).Expect(0);
            var first = await LeaderAsync(rig, "demo-");
            // A primary with a standby, reached by the name of the Service, whose Endpoints Patroni writes.
            await LabRig.UntilAsync(() => QueryAsync(rig, first), "f|1");

            var second = first == "demo-0" ? "demo-1" : "demo-0";
            (await rig.KubectlAsync("delete", "pod", first, "--wait=false")).Expect(0);
            Assert.Equal(second, await LeaderAsync(rig, second));
            await LabRig.UntilAsync(() => rig.KubectlAsync("get", "pods", "-l", "role=master", "-o", "name"), $"pod/{second}");
            await LabRig.UntilAsync(() => QueryAsync(rig, second), "f|1", 60);

            // Both members, by both kinds of DNS records: Prometheus counts two leaders, and four standbys and leaders.
            await LabRig.UntilAsync(() => PrometheusAsync(rig, "sum(patroni_primary)"), "\"2\"");
            await LabRig.UntilAsync(() => PrometheusAsync(rig, "count(patroni_postgres_running==1)"), "\"4\"");
            await LabRig.UntilAsync(() => PrometheusAsync(rig, "up{job='dns'}"), "\"1\"");
        }
        finally
        {
            (await rig.IsthmusAsync("lab", "down")).Expect(0);
            Mounts.Unmount(Guests);
        }
    }

    private static Task<string> LeaderAsync(LabRig rig, string name) =>
        LabRig.UntilAsync(() => rig.KubectlAsync("get", "endpoints", "demo", "-o", "jsonpath={.metadata.annotations.leader}"), name, 60);

    private static Task<Outcome> QueryAsync(LabRig rig, string member) => rig.KubectlAsync(
        "exec", member, "--", "env", "PGPASSWORD=secret", "PGCONNECT_TIMEOUT=2", $"{Guests}/usr/lib/postgresql/15/bin/psql", "-h", "demo", "-U", "postgres",
        "-Atc",
        "select pg_is_in_recovery(), (select count(*) from pg_stat_replication)");

    private static Task<Outcome> PrometheusAsync(LabRig rig, string query) =>
        rig.KubectlAsync("get", "--raw", $"/api/v1/namespaces/default/services/prometheus:web/proxy/api/v1/query?query={Uri.EscapeDataString(query)}");
}
