using System.Runtime.CompilerServices;
using System.Text.RegularExpressions;
using Isthmus.Kubernetes.Client;
using Isthmus.Operate.Diagnose.Tracing;
using Xunit;

namespace Isthmus.Tests.Mesh.Mesh;

/// <summary>
/// <c>isthmus trace</c> against live meshes: it names the first cause of faults that are injected under random names, and
/// finds nothing wrong with unusual meshes that are correct.
/// </summary>
[Collection(nameof(SharedMesh))]
[Trait("shard", nameof(SharedMesh))]
public sealed partial class TraceTests(MeshRig mesh)
{
    private const string Gateway = "istio-eastwestgateway";

    private static readonly Dictionary<string, string> Names = new(StringComparer.Ordinal);
    private static bool _ready;

    /// <summary>Who calls what, and the expected report: code, object and a part of the message; empty for calls that get
    /// through.</summary>
    private static readonly (string Caller, string Target, string Cause)[] Odd =
    [
        ("$caller", "$both:18081/hello", ""), // a port of its own, leading to a named one
        ("$caller", "$both:17001", ""), // TCP
        ("$caller", "tcp://$both.$ns.svc.cluster.local:17001", ""),
        ("$caller", "$remote:8000/hello", ""), // only in the other cluster
        ("$caller", "$bare:5000/hello", ""), // headless
        ("$caller", "$sealed", ""), // TLS of the application's own
        ("$caller", "$split/hello", ""), // subsets in both clusters
        ("$caller", "$guarded.$other/hello", ""), // STRICT
        ("$caller", "$open/hello", ""), // without a sidecar, called in plain text
        ("$plain", "$both:18081/hello", ""), // a caller without a sidecar
        ("$caller", "$bin/status/404", ""), // the application's own answer
    ];

    private static readonly (string Caller, string Target, string Cause)[] Faulty =
    [
        ("$caller", "x$both:18081/hello", "ISM2010 | host x$both | did you mean $both.$ns"),
        ("$caller", "$both:18082/hello", "ISM2030 | Service $ns/$both in cluster1 | no port 18082"),
        ("$caller", "$deaf/", "ISM2070 | Service $ns/$deaf in cluster1 | 5055"),
        ("$caller", "$inward/", "ISM2071 | Pod $ns/$here | 127.0.0.1:8099"),
        ("$caller", "$misnamed/", "ISM2046 | Service $ns/$misnamed in cluster1 | portal"),
        ("$caller", "$adrift/", "ISM2049 | Service $ns/$adrift in cluster1 | Deployment $here have app=$here"),
        ("$caller", "$asleep/", "ISM2048 | Deployment $ns/$asleep in cluster1 | is 0"),
        ("$caller", "$sick/", "ISM2047 | Pod $ns/$sick | readiness probe of container web"),
        ("$caller", "$loud.$other/", "ISM2057 | DestinationRule $ns/$loudly in cluster1 | PeerAuthentication $other/$locked in cluster1 is STRICT"),
        ("$caller", "$stiff/hello", "ISM2067 | DestinationRule $ns/$stiffly in cluster1 | no sidecar"),
        ("$caller", "$secret.$other/", "ISM2012 | Service $other/$secret in cluster2 | namespace $ns"),
        ("$caller", "$faraway/", "ISM2051 | Pod $ns/$faraway | gateway of network2"),
        ("$caller", "$split/lost", "ISM2034 | DestinationRule $ns/$split in cluster1 | version=none"),
        ("$caller", "$split/unknown", "ISM2032 | VirtualService $ns/$split in cluster1 | subset three"),
        ("$caller", "$split/half", "ISM2035 | DestinationRule $ns/$split in cluster2 | subset four"),
        ("$caller", "$split/nowhere", "ISM2010 | VirtualService $ns/$split in cluster1 | $gone"),
        ("$caller", "$split/aborted", "ISM2026 | VirtualService $ns/$split in cluster1 | 503"),
        ("$caller", "$split/other", "ISM2024 | VirtualService $ns/$split in cluster1 | /other"),
        ("$caller", "$bin/status/503", "ISM2073 | Pod $ns/$here | its application responded with status 503"),
        ("$narrow", "$remote:8000/hello", "ISM2013 | Sidecar $ns/$narrow in cluster1 | $remote"),
        ("$plain", "$guarded.$other/hello", "ISM2058 | Pod $ns/$plain | PeerAuthentication $other/$locked in cluster1 is STRICT"),
    ];

    [Fact]
    public async Task Nothing_is_wrong_with_odd_meshes_that_are_in_order()
    {
        await ReadyAsync();
        await mesh.KubectlAsync("cluster2", $"-n istio-system scale deployment/{Gateway} --replicas=2");
        foreach (var call in Odd) await ExpectAsync(call, patient: true);
    }

    [Fact]
    public async Task The_first_cause_of_each_fault_is_named_with_its_object()
    {
        await ReadyAsync();
        // Until the last workload answers, calls fail only because workloads are starting.
        await ExpectAsync(("$caller", "$split/hello", ""), patient: true);
        foreach (var call in Faulty) await ExpectAsync(call, patient: true);
    }

    [Fact]
    public async Task Faults_of_the_mesh_itself_are_named_whatever_service_is_called()
    {
        await ReadyAsync();
        await ExpectAsync(("$caller", "$remote:8000/hello", ""), patient: true);

        await mesh.KubectlAsync("cluster2", $"-n istio-system scale deployment/{Gateway} --replicas=0");
        await ExpectAsync(("$caller", "$remote:8000/hello", $"ISM2048 | Deployment istio-system/{Gateway} in cluster2 | is 0"), patient: true);
        await mesh.KubectlAsync("cluster2", $"-n istio-system scale deployment/{Gateway} --replicas=1");

        var gateway = await mesh.KubectlAsync("cluster2", "-n istio-system get gateways.networking.istio.io -o yaml");
        await mesh.KubectlAsync("cluster2", "-n istio-system delete gateways.networking.istio.io --all");
        await ExpectAsync(("$caller", "$remote:8000/hello", "ISM1015 | cluster cluster2 | AUTO_PASSTHROUGH"), patient: true);
        await mesh.WithFileAsync(gateway, path => mesh.KubectlAsync("cluster2", $"create -f {path}"));

        await mesh.KubectlAsync("cluster2", $"-n istio-system label service {Gateway} topology.istio.io/network={Name("net")} --overwrite");
        await ExpectAsync(("$caller", "$remote:8000/hello", $"ISM1016 | Service istio-system/{Gateway} in cluster2 | is {Name("net")}"), patient: true);
        await mesh.KubectlAsync("cluster2", $"-n istio-system label service {Gateway} topology.istio.io/network=network2 --overwrite");

        var secret = await mesh.KubectlAsync("cluster1", "-n istio-system get secret istio-remote-secret-cluster2 -o yaml");
        await mesh.KubectlAsync("cluster1", "-n istio-system delete secret istio-remote-secret-cluster2");
        await ExpectAsync(("$caller", "$remote:8000/hello", "ISM1021 | control plane of cluster1 | does not watch cluster2"), patient: true);
        await mesh.WithFileAsync(Regex.Replace(secret, @"^  (resourceVersion|uid|creationTimestamp):.*\n", "", RegexOptions.Multiline), path => mesh.KubectlAsync("cluster1", $"create -f {path}"));
        await ExpectAsync(("$caller", "$remote:8000/hello", ""), patient: true);
    }

    [Fact]
    public async Task The_command_prints_the_way_and_fails_when_the_call_does()
    {
        await ReadyAsync();
        var lab = await mesh.LabAsync();
        await ExpectAsync(("$caller", "$remote:8000/hello", ""), patient: true);
        var begun = TimeProvider.System.GetTimestamp();
        var found = (await lab.IsthmusAsync("trace", $"deployment/{Name("caller")}.{Name("ns")}", $"{Name("remote")}:8000/hello", "--context=cluster1", "-v")).Expect(0);
        MeshRig.Note($"trace over two networks took {MeshRig.Seconds(TimeProvider.System.GetElapsedTime(begun))}");
        foreach (var word in (string[])["✔ gateway ", "status.loadBalancer", "outbound_.8000_._.", "spiffe://cluster.local/ns/", "callee's proxy", "→ 200 in"]) Assert.Contains(word, found);
        var json = (await lab.IsthmusAsync("trace", $"deployment/{Name("caller")}", "-n", Name("ns"), $"{Name("deaf")}/", "--context=cluster1", "--no-call", "-o", "json")).Expect(1);
        Assert.Contains("\"code\": \"ISM2070\"", json);
        Assert.Contains("is in cluster1, not in cluster2", (await lab.IsthmusAsync("trace", $"deployment/{Name("caller")}.{Name("ns")}", Name("remote"), "--context=cluster2")).Errors);
    }

    /// <summary>Repeats the trace until the answer is as expected: an injected fault takes a moment to reach the
    /// proxies.</summary>
    private async Task ExpectAsync((string Caller, string Target, string Cause) call, bool patient)
    {
        var (target, expected) = (Fill(call.Target), Fill(call.Cause));
        var wanted = expected.Split(" | ", StringSplitOptions.RemoveEmptyEntries);
        await MeshRig.UntilAsync(async () =>
        {
            var trace = await TraceAsync(Fill(call.Caller), target);
            return TraceText.Write(trace, details: false);
        }, text => expected.Length == 0 ? text.Contains("✔ The call", StringComparison.Ordinal) && !text.Contains("✘", StringComparison.Ordinal) && !text.Contains("! ", StringComparison.Ordinal)
            : text.Contains($"({wanted[0]})", StringComparison.Ordinal) && text.Contains($"object  {wanted[1]}", StringComparison.Ordinal) && text[text.IndexOf("✘ The call fails", StringComparison.Ordinal)..].Contains(wanted[2], StringComparison.Ordinal),
            $"{call.Caller} → {target}: {(expected.Length == 0 ? "gets through" : expected)}");
    }

    private async Task<CallTrace> TraceAsync(string caller, string target)
    {
        var kubeconfig = (await mesh.LabAsync()).Kubeconfig;
        using var run = new TraceRun([.. MeshRig.Clusters.Select(context => KubeConfig.Load(kubeconfig, context, _ => null))], "istio-system", TimeProvider.System, new Random());
        return await run.RunAsync(new($"deployment/{caller}", Name("ns"), TraceTarget.Parse(target), true, TimeSpan.FromSeconds(3)), TestContext.Current.CancellationToken);
    }

    private async Task ReadyAsync()
    {
        if (_ready) return;
        var text = Fill(await File.ReadAllTextAsync(Path.Combine(Folder(), "trace.yaml")));
        foreach (var cluster in MeshRig.Clusters)
        {
            var own = text.Split("\n---\n").Where(document => MeshRig.Clusters.All(name => name == cluster || !document.Contains($"in-cluster: {name}", StringComparison.Ordinal)));
            await mesh.WithFileAsync(string.Join("\n---\n", own), path => mesh.KubectlAsync(cluster, $"apply -f {path}"));
        }
        MeshRig.Note($"names: {string.Join(", ", Names.Select(pair => $"{pair.Key} is {pair.Value}"))}");
        _ready = true;
    }

    private static string Fill(string text) => Word().Replace(text, match => Name(match.Groups[1].Value));

    private static string Name(string word)
    {
        if (!Names.TryGetValue(word, out var name)) Names[word] = name = $"{(char)Random.Next('a', 'z' + 1)}{Random.Next(0x100000, 0xffffff):x}";
        return name;
    }

    private static Random Random { get; } = new();

    private static string Folder([CallerFilePath] string path = "") => Path.GetDirectoryName(path)!;

    [GeneratedRegex(@"\$([a-z]+)")]
    private static partial Regex Word();
}
