using System.Text.RegularExpressions;
using Isthmus.Explain.Tracing;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Kubernetes.Client;
using Isthmus.Tests.Mesh.Lab;
using Isthmus.Tests.Mesh.Meshes;
using Xunit;

namespace Isthmus.Tests.Mesh.MeshFile;

/// <summary>
/// <c>isthmus trace</c> and <c>isthmus verify</c> in every topology. They find calls between all clusters correct on the
/// whole path, and name faults that only such a topology can have. Every service has a random name.
/// </summary>
public sealed partial class TopologyTraceTests : IAsyncDisposable
{
    /// <summary>A fault: how to cause it, who calls whom, the expected report (code, object, a part of the cause), and how
    /// to undo it.</summary>
    private sealed record Fault(string Break, int Caller, string Target, string Cause, string Mend);

    private sealed record Topology(string[] Up, int[] Workloads, string Also, Fault[] Faults)
    {
        /// <summary>The name that callers use for a service; <c>$NAME.$ns</c> if clusters are joined by names.</summary>
        public string Suffix { get; init; } = "";

        /// <summary>Steps before the workloads exist.</summary>
        public string Before { get; init; } = "";

        /// <summary>The revision that injects workloads of cluster1; empty for the default one.</summary>
        public string Revision { get; init; } = "";
    }

    private const string Head = "apiVersion: mesh.isthmus.internal/v1alpha1\nkind: Mesh\nmetadata: {name: mixed}\nspec:\n  install: {profile: minimal}\n";

    private const string Unlabel = "cluster1: kubectl -n istio-system label secret istio-remote-secret-cluster2 istio/multiCluster-";
    private const string Relabel = "cluster1: kubectl -n istio-system label secret istio-remote-secret-cluster2 istio/multiCluster=true";
    private const string Plain = """
        cluster1: apply # a rule
        apiVersion: networking.istio.io/v1beta1
        kind: DestinationRule
        metadata: {name: $plain, namespace: $ns}
        spec: {host: $two, trafficPolicy: {tls: {mode: DISABLE}}}
        """;

    private static readonly Dictionary<string, Topology> Topologies = new(StringComparer.Ordinal)
    {
        ["multi-primary"] = new(["--topology", "multi-primary"], [1, 2], "",
        [
            new(Unlabel, 1, "$two", "ISM1021 | control plane of cluster1 | does not watch cluster2", Relabel),
            new("cluster2: kubectl -n $ns scale deployment $two --replicas=0", 1, "$two", "ISM2048 | Deployment $ns/$two in cluster2 | is 0",
                "cluster2: kubectl -n $ns scale deployment $two --replicas=1"),
        ]),
        ["multi-primary-multi-network"] = new(["--topology", "multi-primary-multi-network"], [1, 2], "",
        [
            new("cluster2: kubectl -n istio-system label service istio-eastwestgateway topology.istio.io/network=$net --overwrite", 1, "$two",
                "ISM1016 | Service istio-system/istio-eastwestgateway in cluster2 | is $net",
                "cluster2: kubectl -n istio-system label service istio-eastwestgateway topology.istio.io/network=network2 --overwrite"),
            new(Plain, 1, "$two", "ISM2056 | DestinationRule $ns/$plain in cluster1 | only mesh TLS can pass",
                "cluster1: kubectl -n $ns delete destinationrules --all"),
        ]),
        ["primary-remote"] = new(["--topology", "primary-remote"], [1, 2], "",
        [
            new("cluster1: kubectl -n istio-system scale deployment istiod --replicas=0\ncluster2: kubectl -n $ns delete pod -l app=$two --force "
                + "--grace-period=0",
                1, "$two", "ISM1003 | Deployment istio-system/istiod in cluster1 | is 0",
                "cluster1: kubectl -n istio-system scale deployment istiod --replicas=1"),
            new("cluster1: kubectl -n istio-system delete gateways.networking.istio.io istiod-gateway\ncluster2: kubectl -n $ns delete pod -l app=$two --force "
                + "--grace-period=0",
                2, "$two", "ISM1019 | Service istio-system/istio-eastwestgateway in cluster1 | opens port 15012",
                "cluster1: kubectl -n istio-system apply -f samples/multicluster/expose-istiod.yaml"),
        ]),
        ["primary-remote-multi-network"] = new(["--topology", "primary-remote-multi-network"], [1, 2], "",
        [
            new("cluster2: kubectl -n istio-system scale deployment istio-eastwestgateway --replicas=0", 1, "$two",
                "ISM2048 | Deployment istio-system/istio-eastwestgateway in cluster2 | is 0",
                "cluster2: kubectl -n istio-system scale deployment istio-eastwestgateway --replicas=1"),
            new(Plain.Replace("$two", "$one", StringComparison.Ordinal), 2, "$one", "ISM2056 | DestinationRule $ns/$plain in cluster1 | only mesh TLS can pass",
                "cluster1: kubectl -n $ns delete destinationrules --all"),
            new(Unlabel, 1, "$two", "ISM1021 | control plane of cluster1 | does not watch cluster2", Relabel),
        ]),
        ["external-control-plane"] = new(["--topology", "external-control-plane"], [2], "",
        [
            new("cluster1: kubectl -n external-istiod scale deployment istiod --replicas=0\ncluster2: kubectl -n $ns delete pod -l app=$two --force "
                + "--grace-period=0",
                2, "$two", "ISM1003 | Deployment external-istiod/istiod in cluster1 | is 0",
                "cluster1: kubectl -n external-istiod scale deployment istiod --replicas=1"),
        ]),
        ["replicated-control-planes"] = new(["--topology", "replicated-control-planes"], [1, 2],
            "cluster1: isthmus global export $ns/$one\ncluster2: isthmus global export $ns/$two",
        [
            new("cluster2: kubectl -n istio-system scale deployment istio-ingressgateway --replicas=0", 1, "$two",
                "ISM2048 | Deployment istio-system/istio-ingressgateway in cluster2 | is 0",
                "cluster2: kubectl -n istio-system scale deployment istio-ingressgateway --replicas=1"),
        ]) { Suffix = ".$ns.global" },
        ["two revisions"] = new(["--topology", "multi-primary"], [1, 2], "",
        [
            new("cluster1: kubectl -n istio-system scale deployment istiod-canary --replicas=0\ncluster2: kubectl -n $ns delete pod -l app=$two --force "
                + "--grace-period=0",
                1, "$two", "ISM1003 | Deployment istio-system/istiod-canary in cluster1 | is 0",
                "cluster1: kubectl -n istio-system scale deployment istiod-canary --replicas=1"),
        ])
        {
            Before =
                "cluster1: isthmus install -y --revision canary --set profile=minimal --set values.global.meshID=mesh1 --set "
                    + "values.global.multiCluster.clusterName=cluster1 --set values.global.network=network1",
            Revision = "canary",
        },
        ["a remote with two primaries"] = new(["""
              networks: [{name: north}, {name: south}]
              clusters:
              - {name: cluster1, network: north}
              - {name: cluster2, network: north}
              - {name: cluster3, network: south, primaries: [cluster1, cluster2]}
            """], [1, 2, 3], "",
        [
            new("cluster1: kubectl -n istio-system label secret istio-remote-secret-cluster3 istio/multiCluster-", 1, "$three",
                "ISM1021 | control plane of cluster1 | does not watch cluster3",
                "cluster1: kubectl -n istio-system label secret istio-remote-secret-cluster3 istio/multiCluster=true"),
        ]),
    };

    private readonly Dictionary<string, string> _names = new(StringComparer.Ordinal);
    private LabRig? _lab;

    private LabRig Lab => _lab!;

    public async ValueTask DisposeAsync()
    {
        if (_lab is not null) await _lab.DisposeAsync();
    }

    [Theory]
    [Trait("runs", "soak")]
    [InlineData("multi-primary")]
    [InlineData("multi-primary-multi-network")]
    [InlineData("primary-remote")]
    [InlineData("primary-remote-multi-network")]
    [InlineData("external-control-plane")]
    [InlineData("replicated-control-planes")]
    [InlineData("two revisions")]
    [InlineData("a remote with two primaries")]
    public async Task Calls_in_order_are_followed_and_the_cause_of_faults_is_named(string name)
    {
        var topology = Topologies[name];
        _lab = await LabRig.CreateAsync();
        await UpAsync(topology);
        await DoAsync(topology.Before);
        foreach (var cluster in topology.Workloads) await DeployAsync(topology, cluster);
        await RolledOutAsync(topology);
        await DoAsync(topology.Also);
        await ContentAsync();
        foreach (var caller in topology.Workloads)
            foreach (var callee in topology.Workloads) await HealthyAsync(topology, caller, callee);
        foreach (var fault in topology.Faults)
        {
            await DoAsync(fault.Break);
            await ExpectAsync(fault.Caller, $"{fault.Target}{topology.Suffix}", text => Names(text, Fill(fault.Cause).Split(" | ")), fault.Cause);
            await DoAsync(fault.Mend);
            await RolledOutAsync(topology);
            await ExpectAsync(fault.Caller, $"{fault.Target}{topology.Suffix}", IsHealthy, "gets through when it is mended");
        }
        await ContentAsync();
    }

    private async Task RolledOutAsync(Topology topology)
    {
        foreach (var cluster in topology.Workloads)
            foreach (var workload in (await KubectlAsync($"cluster{cluster}", Fill("-n $ns get deployments -o name")))
                .Split('\n', StringSplitOptions.RemoveEmptyEntries))
                await KubectlAsync($"cluster{cluster}", Fill($"-n $ns rollout status {workload} --timeout=100s"));
    }

    private async Task UpAsync(Topology topology)
    {
        string[] up = topology.Up;
        if (up.Length == 1)
        {
            Directory.CreateDirectory(Lab.Home.Directory);
            var file = Path.Combine(Path.GetDirectoryName(Lab.Home.Directory)!, "mesh.yaml");
            await File.WriteAllTextAsync(file, Head + up[0] + "\n");
            up = ["--topology", file];
        }
        (await Lab.IsthmusAsync(["lab", "up", .. up])).Expect(0);
    }

    /// <summary>Each cluster has a caller and the Services of all clusters. The Pods of a Service are only in its own
    /// cluster.</summary>
    private async Task DeployAsync(Topology topology, int cluster)
    {
        var label = cluster == 1 && topology.Revision.Length > 0 ? $"istio.io/rev: {topology.Revision}" : "istio-injection: enabled";
        var text = new List<string>
        {
            $"apiVersion: v1\nkind: Namespace\nmetadata: {{name: $ns, labels: {{{label}}}}}",
            Workload("$caller", "host.lab.internal/rootfs", ", command: [sleep, infinity]")
        };
        foreach (var other in topology.Workloads)
        {
            if (topology.Suffix.Length == 0 || other == cluster)
                text.Add(
                    $"apiVersion: v1\nkind: Service\nmetadata: {{name: {Service(other)}, namespace: $ns}}\nspec: {{selector: {{app: {Service(other)}}}, ports: "
                        + $"[{{name: http, port: 8000, targetPort: 5000}}]}}");
            // Addresses overlap: a caller that reaches the wrong cluster must not meet a workload with the same account.
            if (other == cluster)
                text.Add(
                    $"apiVersion: v1\nkind: ServiceAccount\nmetadata: {{name: {Service(other)}, namespace: "
                        + $"$ns}}\n---\n{Workload(Service(other), "docker.io/istio/examples-helloworld-v1:1.0", "", Service(other))}");
        }
        await ApplyAsync($"cluster{cluster}", string.Join("\n---\n", text));
    }

    private static string Service(int cluster) => cluster switch { 1 => "$one", 2 => "$two", _ => "$three" };

    private static string Workload(string name, string image, string more, string account = "default") => $$"""
        apiVersion: apps/v1
        kind: Deployment
        metadata: {name: {{name}}, namespace: $ns}
        spec:
          selector: {matchLabels: {app: {{name}} } }
          template:
            metadata: {labels: {app: {{name}} } }
            spec:
              serviceAccountName: {{account}}
              terminationGracePeriodSeconds: 1
              containers: [{name: main, image: {{image}}{{more}} }]
        """;

    private async Task HealthyAsync(Topology topology, int caller, int callee)
    {
        var trace = await ExpectAsync(caller, $"{Service(callee)}{topology.Suffix}", IsHealthy, "gets through");
        Assert.Equal(["client", "name", "capture", "listener", "filter chain", "route", "cluster", "endpoints"],
            trace.Hops.Where(hop => hop.Way == 0 && hop.Name != "call").Select(hop => hop.Name));
        var way = trace.Hops.Where(hop => hop.Way == 1).ToList();
        // A global name of the own cluster leads to a Service there.
        if (topology.Suffix.Length > 0) Assert.Contains(way, hop => hop.Name == (caller == callee ? "service" : "gateway"));
        Assert.Equal(["TLS", "inbound", "application"], way.Select(hop => hop.Name).TakeLast(3));
        Assert.Contains(way,
            hop => hop.Name == "inbound" && hop.Facts.Any(fact => fact.Name == "pod" && fact.Value.EndsWith($" in cluster{callee}", StringComparison.Ordinal)));
        Assert.Contains(way,
            hop => hop.Name == "TLS"
                && hop.Facts.Any(fact => fact is { Name: "callee", Value: var value }
                    && value.Contains("spiffe://cluster.local/ns/", StringComparison.Ordinal)));
        if (way.FirstOrDefault(hop => hop.Name == "gateway") is { } gateway)
        {
            Assert.Contains(gateway.Facts, fact => fact is { Name: "address from", Value.Length: > 0 });
            Assert.Contains(way, hop => hop.Name == "SNI" && hop.Summary.StartsWith("outbound_.8000_._.", StringComparison.Ordinal));
        }
        Assert.Contains(trace.Call!.Times, time => time.Where.StartsWith("callee's proxy", StringComparison.Ordinal));
    }

    /// <summary>Repeats the trace until the answer is as expected: a change takes a moment to reach the proxies.</summary>
    private async Task<CallTrace> ExpectAsync(int caller, string target, Func<string, bool> wanted, string what)
    {
        CallTrace? trace = null;
        await MeshRig.UntilAsync(async () =>
        {
            trace = await TraceAsync(caller, Fill($"{target}:8000/hello"));
            return TraceText.Write(trace, details: false);
        }, wanted, Fill($"cluster{caller} → {target}: {what}"));
        return trace!;
    }

    private static bool IsHealthy(string text) =>
        text.Contains("✔ The call gets through", StringComparison.Ordinal) && !text.Contains("✘", StringComparison.Ordinal)
            && !text.Contains("! ", StringComparison.Ordinal);

    private static bool Names(string text, string[] cause) =>
        text.Contains($"({cause[0]})", StringComparison.Ordinal) && text.Contains($"object  {cause[1]}", StringComparison.Ordinal)
            && text.Contains(cause[2], StringComparison.Ordinal) && text.Contains("  remedy  ", StringComparison.Ordinal);

    private async Task<CallTrace> TraceAsync(int caller, string target)
    {
        var contexts = KubeConfig.Contexts(Lab.Kubeconfig, _ => null).OrderByDescending(context => context == $"cluster{caller}");
        using var run = new TraceRun([.. contexts.Select(context => KubeConfig.Load(Lab.Kubeconfig, context, _ => null))], "istio-system", TimeProvider.System,
            new Random());
        return await run.RunAsync(new($"deployment/{Fill("$caller")}", Fill("$ns"), TraceTarget.Parse(target), true, TimeSpan.FromSeconds(5)),
            TestContext.Current.CancellationToken);
    }

    private Task ContentAsync() =>
        MeshRig.UntilAsync(async () => (await Lab.IsthmusAsync("verify")).Output, text => text.Contains("✔ The clusters form", StringComparison.Ordinal),
            "verify is content");

    /// <summary>Runs lines like <c>cluster1: kubectl …</c>, or one <c>cluster1: apply</c> with objects after it.</summary>
    private async Task DoAsync(string script)
    {
        var text = Fill(script);
        if (text.Split('\n')[0] is var first && first.Contains(": apply", StringComparison.Ordinal))
        {
            await ApplyAsync(first.Split(':')[0], text[(text.IndexOf('\n', StringComparison.Ordinal) + 1)..]);
            return;
        }
        foreach (var line in text.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
        {
            var (cluster, words) = (line.Split(": ")[0], line[(line.IndexOf(": ", StringComparison.Ordinal) + 2)..].Split(' '));
            var arguments = words[1..].Select(word => word.StartsWith("samples/", StringComparison.Ordinal) ? Path.Combine(Root(), word) : word)
                .Append($"--context={cluster}").ToArray();
            (words[0] == "kubectl" ? await Lab.KubectlAsync(arguments) : await Lab.IsthmusAsync(arguments)).Expect(0);
        }
    }

    private async Task ApplyAsync(string cluster, string text)
    {
        var path = Path.Combine(Path.GetDirectoryName(Lab.Home.Directory)!, $"{Guid.NewGuid():N}.yaml");
        await File.WriteAllTextAsync(path, Fill(text));
        await KubectlAsync(cluster, $"apply -f {path}");
    }

    private async Task<string> KubectlAsync(string cluster, string words) => (await Lab.KubectlAsync([$"--context={cluster}", .. words.Split(' ')])).Expect(0);

    private string Fill(string text) => Word().Replace(text, match =>
    {
        if (!_names.TryGetValue(match.Groups[1].Value, out var name))
            _names[match.Groups[1].Value] = name = $"{(char)Random.Shared.Next('a', 'z' + 1)}{Random.Shared.Next(0x100000, 0xffffff):x}";
        return name;
    });

    private static string Root()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (folder is not null && !File.Exists(Path.Combine(folder.FullName, "Isthmus.slnx"))) folder = folder.Parent;
        return folder?.FullName ?? throw new InvalidOperationException("the tests run outside of the repository");
    }

    [GeneratedRegex(@"\$([a-z]+)")]
    private static partial Regex Word();
}
