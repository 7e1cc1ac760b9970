using System.Text.RegularExpressions;
using Isthmus.Testing;
using Isthmus.Tests.Mesh.Guides;
using Isthmus.Tests.Mesh.Meshes;
using Xunit;
using static Isthmus.Tests.Mesh.Envoys.EnvoyPods;

namespace Isthmus.Tests.Mesh.Envoys;

/// <summary>Pods whose data plane is a real Envoy, in one cluster of a mesh on two networks. The proxies of the other cluster and all gateways are
/// ours.</summary>
public sealed class EnvoyPlaneTests
{
    private const string Mesh = """
        apiVersion: mesh.isthmus.internal/v1alpha1
        kind: Mesh
        metadata: {name: mixed}
        spec:
          install: {profile: minimal}
          networks: [{name: north}, {name: south}]
          clusters:
          - {name: cluster1, network: north}
          - {name: cluster2, network: south}

        """;

    [Fact]
    public async Task Envoys_and_our_proxies_are_one_mesh()
    {
        Assert.SkipWhen(RealEnvoy.Find() is null, RealEnvoy.Missing);
        await using var shell = await GuideShell.CreateAsync();
        await shell.WriteAsync("mesh.yaml", Mesh);
        await shell.WriteAsync("cluster1.yaml", Workload("cluster1", ByEnvoy) + Strict);
        await shell.WriteAsync("cluster2.yaml", Workload("cluster2", "") + Strict);
        await LabUpAsync(shell, "./mesh.yaml");
        foreach (var cluster in (string[])["cluster1", "cluster2"])
            await ExpectAsync(shell,
                $"kubectl --context={cluster} apply -f {cluster}.yaml && kubectl --context={cluster} -n mixed rollout status deployment tide --timeout=100s");

        await EachHearsBothAsync(shell);
        await ToolsReadItAsync(shell);
        await CallsOfEnvoyThatFailAsync(shell);
        await PolicyTakesEffectAsync(shell);
        await FiltersOfEnvoyAsync(shell);
        await CertificateIsRenewedAsync(shell);
        await NoCallIsLostAsync(shell);
        await PodRestartsWithItsEnvoyAsync(shell);
        Assert.DoesNotMatch(new Regex("\t(warning|error|critical)\t", RegexOptions.None),
            await ExpectAsync(shell, "kubectl --context=cluster1 -n mixed logs deploy/tide -c istio-proxy"));
    }

    [Fact]
    public async Task Gateways_between_networks_are_Envoys()
    {
        Assert.SkipWhen(RealEnvoy.Find() is null, RealEnvoy.Missing);
        await using var shell = await GuideShell.CreateAsync();
        await shell.WriteAsync("mesh.yaml", Mesh);
        await LabUpAsync(shell, "./mesh.yaml");
        foreach (var cluster in (string[])["cluster1", "cluster2"])
        {
            await shell.WriteAsync($"{cluster}.yaml", Workload(cluster, cluster == "cluster1" ? ByEnvoy : "") + Strict);
            await BecomesEnvoyAsync(shell, cluster, "istio-eastwestgateway");
            await ExpectAsync(shell, $$"""
                kubectl --context={{cluster}} apply -f {{cluster}}.yaml
                kubectl --context={{cluster}} -n mixed rollout status deployment tide --timeout=100s
                """);
        }
        await EachHearsBothAsync(shell);
        // Asked to connect to the other network's gateway, the agent beside Envoy does.
        Assert.Matches(new Regex(@"cluster1 +path to gateway +\S+, istio-system/istio-eastwestgateway in cluster2 +ok"),
            await ExpectAsync(shell, "isthmus verify"));
    }

    [Fact]
    public async Task A_program_that_is_not_there_is_named()
    {
        await using var shell = await GuideShell.CreateAsync();
        await shell.WriteAsync("mesh.yaml", Mesh.Split("  networks")[0] + "  clusters: [{name: cluster1}]\n");
        await shell.WriteAsync("cluster1.yaml", Workload("cluster1", """proxy.istio.io/config: "{binaryPath: /usr/bin/true}" """) + Strict);
        await ExpectAsync(shell, "isthmus lab up --topology ./mesh.yaml && kubectl --context=cluster1 apply -f cluster1.yaml");
        await UntilAsync(shell, "kubectl --context=cluster1 -n mixed logs -l app=tide -c istio-proxy --tail=5",
            "/usr/bin/true: Envoy ended with exit status 0 before it was ready");
    }

    private static async Task ToolsReadItAsync(GuideShell shell)
    {
        const string pod = "POD=$(kubectl --context=cluster1 -n mixed get pods -l app=tide -o name | head -1 | cut -d/ -f2)";
        var status = await ExpectAsync(shell, "isthmus proxy-status --context=cluster1");
        Assert.Matches(new Regex(@"tide-\S+\.mixed +cluster1 +SYNCED +SYNCED +SYNCED +SYNCED"), status);
        foreach (var (cluster, program) in new[] { ("cluster1", "envoy"), ("cluster2", "isthmus") })
            Assert.Matches(new Regex($@"tide-\S+\.mixed .* {program} \d+\.\d+\.\d+ *(\n|$)"),
                await ExpectAsync(shell, $"isthmus proxy-status --context={cluster} -o wide"));
        Assert.Contains("Cert Chain     ACTIVE", await ExpectAsync(shell, $"{pod}; isthmus proxy-config secret $POD.mixed --context=cluster1"),
            StringComparison.Ordinal);
        Assert.Contains("outbound|5000||tide.mixed.svc.cluster.local",
            await ExpectAsync(shell, $"{pod}; isthmus proxy-config endpoint $POD.mixed --context=cluster1"), StringComparison.Ordinal);
        Assert.Contains("✔ The call gets through.", await ExpectAsync(shell, "isthmus trace deployment/tide.mixed http://tide:5000/hello --context=cluster2"),
            StringComparison.Ordinal);
        var made = await ExpectAsync(shell, $"{pod}; isthmus trace $POD.mixed http://tide:5000/hello --context=cluster1");
        Assert.True(Regex.IsMatch(made, @"✔ cluster +outbound\|5000\|\|tide\.mixed\.svc\.cluster\.local")
            && Regex.IsMatch(made, @"✔ application +listens on 5000") && made.Contains("GET /hello of tide:5000 → 200", StringComparison.Ordinal)
            && made.Contains("✔ The call gets through.", StringComparison.Ordinal),
            made);
        Assert.DoesNotContain("isthmus-trace", await ExpectAsync(shell, $"{pod}; isthmus proxy-config listener $POD.mixed --context=cluster1 -o json"),
            StringComparison.Ordinal);
        // A bug report has what the agent knows, so that a trace from it knows as much as one of the mesh.
        await ExpectAsync(shell, $"{pod}; isthmus bug-report --context=cluster1 && isthmus trace --snapshot bug-report.tar.gz $POD.mixed "
            + "http://tide:5000/hello --context=cluster1 > packed && grep '✔ application' packed");
        Assert.Contains("Workload mTLS mode: STRICT", await ExpectAsync(shell, $"{pod}; isthmus describe pod $POD -n mixed --context=cluster1"),
            StringComparison.Ordinal);
        var metrics = await ExpectAsync(shell,
            "kubectl --context=cluster1 -n mixed exec deploy/tide -c istio-proxy -- curl -s localhost:15020/stats/prometheus");
        Assert.Contains("envoy_cluster_upstream_cx_total{cluster_name=\"xds-grpc\"}", metrics, StringComparison.Ordinal);
        Assert.Contains("istio_agent_cert_expiry_seconds{resource_name=\"default\"}", metrics, StringComparison.Ordinal);
        Assert.Contains("drwx--",
            await ExpectAsync(shell, "kubectl --context=cluster1 -n mixed exec deploy/tide -c istio-proxy -- ls -ld /etc/istio/proxy/envoy"),
            StringComparison.Ordinal);
    }

    /// <summary>Refused by the callee's proxy, of either kind, and by an abort that Envoy itself injects.</summary>
    private static async Task CallsOfEnvoyThatFailAsync(GuideShell shell)
    {
        const string trace = "isthmus trace deployment/tide.mixed http://tide:5000/hello --context=cluster1 || true";
        await shell.WriteAsync("closed.yaml", """
            apiVersion: security.istio.io/v1
            kind: AuthorizationPolicy
            metadata: {name: closed, namespace: mixed}
            spec: {action: DENY, rules: [{to: [{operation: {paths: ["/hello"]}}]}]}
            """);
        foreach (var cluster in (string[])["cluster1", "cluster2"]) await ExpectAsync(shell, $"kubectl --context={cluster} apply -f closed.yaml");
        var denied = await UntilAsync(shell, trace, "GET /hello of tide:5000 → 403");
        Assert.Contains("AuthorizationPolicy mixed/closed", denied, StringComparison.Ordinal);
        Assert.DoesNotContain("The call gets through", denied, StringComparison.Ordinal);
        foreach (var cluster in (string[])["cluster1", "cluster2"]) await ExpectAsync(shell, $"kubectl --context={cluster} delete -f closed.yaml");
        await UntilAsync(shell, trace, "✔ The call gets through.");

        await shell.WriteAsync("abort.yaml", """
            apiVersion: networking.istio.io/v1
            kind: VirtualService
            metadata: {name: abort, namespace: mixed}
            spec:
              hosts: [tide]
              http: [{fault: {abort: {httpStatus: 555, percentage: {value: 100}}}, route: [{destination: {host: tide}}]}]
            """);
        await ExpectAsync(shell, "kubectl --context=cluster1 apply -f abort.yaml");
        var aborted = await UntilAsync(shell, trace, "GET /hello of tide:5000 → 555");
        Assert.Contains("VirtualService mixed/abort", aborted, StringComparison.Ordinal);
        Assert.Contains("flags: FI", aborted, StringComparison.Ordinal);
        await ExpectAsync(shell, "kubectl --context=cluster1 delete -f abort.yaml");
        await UntilAsync(shell, trace, "✔ The call gets through.");
        await ConnectionsOfEnvoyAsync(shell);
    }

    /// <summary>Bytes and TLS of the application's own: Envoy accepts before it knows where they go, and its log tells what came of them.</summary>
    private static async Task ConnectionsOfEnvoyAsync(GuideShell shell)
    {
        await shell.WriteAsync("bytes.yaml", """
            apiVersion: v1
            kind: Service
            metadata: {name: bytes, namespace: mixed}
            spec: {selector: {app: tide}, ports: [{name: tcp, port: 5000}, {name: tls, port: 5443, targetPort: 5000}, {name: tcp-none, port: 5999}]}
            ---
            apiVersion: networking.istio.io/v1
            kind: ServiceEntry
            metadata: {name: closed, namespace: mixed}
            spec:
              hosts: [closed.test]
              addresses: [10.99.0.1]
              ports: [{number: 9, name: tcp, protocol: TCP}]
              resolution: STATIC
              endpoints: [{address: 127.0.0.1}]
            ---
            apiVersion: networking.istio.io/v1
            kind: ServiceEntry
            metadata: {name: empty, namespace: mixed}
            spec: {hosts: [empty.test], addresses: [10.99.0.2], ports: [{number: 9, name: tcp, protocol: TCP}], resolution: STATIC}
            """);
        await shell.WriteAsync("deny.yaml", """
            apiVersion: security.istio.io/v1
            kind: AuthorizationPolicy
            metadata: {name: closed, namespace: mixed}
            spec: {action: DENY, rules: [{to: [{operation: {ports: ["5000"]}}]}]}
            """);
        string Trace(string target) => $"isthmus trace deployment/tide.mixed {target} --context=cluster1 || true";
        foreach (var cluster in (string[])["cluster1", "cluster2"]) await ExpectAsync(shell, $"kubectl --context={cluster} apply -f bytes.yaml");
        var through = await UntilAsync(shell, Trace("tcp://bytes:5000"), "✔ The call gets through.");
        Assert.Matches(new Regex(@"✔ call +connect to \S+:5000 → connected; the server \w+"), through);
        var plain = await UntilAsync(shell, Trace("https://bytes:5443/"), "does not answer with TLS");
        Assert.Contains("ISM2078", plain, StringComparison.Ordinal);
        var refused = await UntilAsync(shell, Trace("tcp://closed.test:9"), "flags: UF");
        Assert.Contains("ServiceEntry mixed/closed", refused, StringComparison.Ordinal);
        Assert.Contains("refuses connections", refused, StringComparison.Ordinal);
        await UntilAsync(shell, Trace("tcp://empty.test:9"), "flags: UH");

        foreach (var cluster in (string[])["cluster1", "cluster2"]) await ExpectAsync(shell, $"kubectl --context={cluster} apply -f deny.yaml");
        // The policy is known before each proxy of a server has it.
        var denied = await UntilAsync(shell, $"({Trace("tcp://bytes:5000")}) | tr -s ' '", "✘ call connect to");
        Assert.Contains("AuthorizationPolicy mixed/closed", denied, StringComparison.Ordinal);
        foreach (var cluster in (string[])["cluster1", "cluster2"])
            await ExpectAsync(shell, $"kubectl --context={cluster} delete -f deny.yaml && kubectl --context={cluster} delete -f bytes.yaml");
    }

    /// <summary>The same Envoy takes it and leaves it again: its process is the same.</summary>
    private static async Task PolicyTakesEffectAsync(GuideShell shell)
    {
        const string process = "kubectl --context=cluster1 -n mixed exec deploy/tide -c istio-proxy -- pgrep -x envoy";
        const string calls =
            "kubectl --context=cluster2 -n mixed exec deploy/tide -c caller -- sh -c 'for i in $(seq 20); do curl -s -m 5 -o /dev/null -w \"%{http_code}\\n\" "
                + "tide:5000/hello; done' | sort -u | paste -sd' '";
        var before = await ExpectAsync(shell, process);
        await shell.WriteAsync("deny.yaml", """
            apiVersion: security.istio.io/v1
            kind: AuthorizationPolicy
            metadata: {name: closed, namespace: mixed}
            spec: {action: DENY, rules: [{to: [{operation: {paths: ["/hello"]}}]}]}
            """);
        await ExpectAsync(shell, "kubectl --context=cluster1 apply -f deny.yaml");
        await UntilAsync(shell, calls, "200 403");
        await ExpectAsync(shell, "kubectl --context=cluster1 delete -f deny.yaml");
        await MeshRig.UntilAsync(() => ExpectAsync(shell, calls), text => text.Trim() == "200", "every call passes again");
        Assert.Equal(before, await ExpectAsync(shell, process));
    }

    /// <summary>Filters that our proxies do not know reach Envoy, which takes them, and no proxy of ours.</summary>
    private static async Task FiltersOfEnvoyAsync(GuideShell shell)
    {
        await shell.WriteAsync("filters.yaml", """
            apiVersion: networking.istio.io/v1alpha3
            kind: EnvoyFilter
            metadata: {name: only-envoy, namespace: mixed}
            spec:
              configPatches:
              - applyTo: HTTP_FILTER
                match: {context: SIDECAR_INBOUND, listener: {filterChain: {filter: {name: envoy.filters.network.http_connection_manager, subFilter: {name: envoy.filters.http.router}}}}}
                patch:
                  operation: INSERT_BEFORE
                  value:
                    name: envoy.filters.http.lua
                    typed_config:
                      "@type": type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua
                      default_source_code: {inline_string: "function envoy_on_response(handle) handle:headers():add('x-lua', 'ran') end"}
              - applyTo: HTTP_FILTER
                match: {context: SIDECAR_INBOUND, listener: {filterChain: {filter: {name: envoy.filters.network.http_connection_manager, subFilter: {name: envoy.filters.http.router}}}}}
                patch:
                  operation: INSERT_BEFORE
                  value:
                    name: envoy.filters.http.compressor
                    typed_config:
                      "@type": type.googleapis.com/envoy.extensions.filters.http.compressor.v3.Compressor
                      response_direction_config: {common_config: {min_content_length: 1, content_type: [text/html, text/plain]}}
                      compressor_library:
                        name: gzip
                        typed_config: {"@type": type.googleapis.com/envoy.extensions.compression.gzip.compressor.v3.Gzip, memory_level: 3}
              - applyTo: HTTP_FILTER
                match: {context: SIDECAR_INBOUND, listener: {filterChain: {filter: {name: envoy.filters.network.http_connection_manager, subFilter: {name: envoy.filters.http.router}}}}}
                patch:
                  operation: INSERT_BEFORE
                  value:
                    name: envoy.filters.http.buffer
                    typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.buffer.v3.Buffer, max_request_bytes: 8}
            """);
        foreach (var cluster in (string[])["cluster1", "cluster2"])
        {
            var applied = await ExpectAsync(shell, $"kubectl --context={cluster} apply -f filters.yaml");
            Assert.Contains("proxies of Isthmus have no envoy.extensions.filters.http.lua.v3.Lua: the patch applies only to Pods whose proxy is Envoy", applied,
                StringComparison.Ordinal);
        }
        // Both Pods answer the Service's name; which of them did is in the answer.
        await shell.WriteAsync("heads.sh", """
            for i in $(seq 20); do
              curl -s -i -m 5 --compressed tide:5000/hello | tr -d '\r' | grep -E '^(x-lua|content-encoding|Hello)' | cut -d, -f1 | paste -sd' '
            done | sort -u
            """);
        const string ask = "kubectl --context=cluster2 -n mixed exec -i deploy/tide -c caller -- bash < heads.sh";
        await UntilAsync(shell, ask, "x-lua: ran");
        var heard = (await ExpectAsync(shell, ask)).Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Contains(heard, line => line.Contains("in-cluster2", StringComparison.Ordinal));
        Assert.All(heard,
            line => Assert.Equal(line.Contains("in-cluster1", StringComparison.Ordinal),
                line.Contains("x-lua: ran", StringComparison.Ordinal) && line.Contains("content-encoding: gzip", StringComparison.Ordinal)));
        Assert.DoesNotContain("ERROR", await ExpectAsync(shell, "isthmus proxy-status --context=cluster1"), StringComparison.Ordinal);
        foreach (var cluster in (string[])["cluster1", "cluster2"]) await ExpectAsync(shell, $"kubectl --context={cluster} delete -f filters.yaml");
    }

    private static async Task CertificateIsRenewedAsync(GuideShell shell)
    {
        const string serial =
            "kubectl --context=cluster1 -n mixed exec deploy/tide -c istio-proxy -- curl -s localhost:15000/certs | grep serial_number | sort -u | md5sum";
        var before = await ExpectAsync(shell, serial);
        await MeshRig.UntilAsync(() => ExpectAsync(shell, serial), text => text != before, "Envoy has a new certificate");
        await EachHearsBothAsync(shell);
    }

    private static async Task NoCallIsLostAsync(GuideShell shell)
    {
        await ExpectAsync(shell,
            "kubectl --context=cluster1 -n mixed scale deployment tide --replicas=2 && kubectl --context=cluster1 -n mixed rollout status deployment tide "
                + "--timeout=100s");
        await shell.WriteAsync("load.sh", "while [ ! -e /tmp/enough ]; do curl -s -o /dev/null -w '%{http_code}\\n' -m 10 tide:5000/hello; done\n");
        var answers = await ExpectAsync(shell, """
            kubectl --context=cluster2 -n mixed exec -i deploy/tide -c caller -- bash < load.sh > answers & load=$!
            kubectl --context=cluster1 -n mixed rollout restart deployment tide
            kubectl --context=cluster1 -n mixed rollout status deployment tide --timeout=100s
            for try in $(seq 60); do [ "$(kubectl --context=cluster1 -n mixed get pods -l app=tide -o name | wc -l)" = 2 ] && break; sleep 1; done
            kubectl --context=cluster2 -n mixed exec deploy/tide -c caller -- touch /tmp/enough
            wait $load
            sort answers | uniq -c
            """);
        Assert.Matches(new Regex(@"\d\d+ 200"), answers);
        Assert.DoesNotMatch(new Regex(@"^ +\d+ (?!200)\d+$", RegexOptions.Multiline), answers);
    }

    private static async Task PodRestartsWithItsEnvoyAsync(GuideShell shell)
    {
        await ExpectAsync(shell, "kubectl --context=cluster1 -n mixed scale deployment tide --replicas=1");
        await UntilAsync(shell, "kubectl --context=cluster1 -n mixed get pods -l app=tide -o name | wc -l", "1");
        await ExpectAsync(shell, "kubectl --context=cluster1 -n mixed exec deploy/tide -c istio-proxy -- sh -c 'kill -9 $(pgrep -x envoy)'");
        await UntilAsync(shell, "kubectl --context=cluster1 -n mixed logs deploy/tide -c istio-proxy --previous | tail -1",
            "/usr/local/bin/envoy: Envoy was killed by signal 9");
        await EachHearsBothAsync(shell);
    }
}
