using System.Runtime.CompilerServices;
using Isthmus.Explain.Tracing;
using Isthmus.Kubernetes.Objects;
using Xunit;

namespace Isthmus.Tests.LoopbackMesh;

/// <summary>The remedy that <c>isthmus trace</c> prints for a fault ends it: remedies.yaml has the faults, and the objects as the remedies have them.</summary>
[Collection(nameof(SharedLoopbackMesh))]
public sealed class RemedyTests(LoopbackMeshRig mesh) : IAsyncLifetime
{
    private const string Separator = "\n# Remedy: ";

    private readonly FaultyServices _services = new();

    /// <summary>The fault, what is called, the code that the trace gives, and a part of the remedy that it prints.</summary>
    private static readonly (string Fault, string Target, string Code, string Remedy)[] All =
    [
        ("adrift", "$adrift/hello", "ISM2049", "fix the selector"),
        ("deaf", "$deaf/hello", "ISM2070", "set targetPort to the port of the application, "),
        ("misnamed", "$misnamed/hello", "ISM2046", "use the name of a container port"),
        ("rpc", "$rpc/status/200", "ISM2074", "name the port http"),
        ("nodebound", "$nodebound/hello", "ISM2099", "set it to Cluster"),
        ("elseport", "$elseport/hello", "ISM2024", "correct the match"),
        ("elsewho", "$elsewho/hello", "ISM2024", "or add a route without match at the end"),
        ("split", "$split/hello", "ISM2032", "add a DestinationRule for $split.$ns.svc.cluster.local with subset one"),
        ("aborted", "$aborted/hello", "ISM2026", "remove the fault"),
        ("named", "$named/hello", "ISM2062", "add spiffe://cluster.local/ns/$ns/sa/default there"),
        ("piped", "tcp://$piped:17002", "ISM2064", "use fields of connections in the rule (ports"),
        ("plain", "$plain/hello", "ISM2067", "set trafficPolicy.tls.mode DISABLE"),
        ("locked", "$locked.$other/hello", "ISM2064", "add cluster.local/ns/$ns/sa/default there"),
        ("secret", "$secret.$other/hello", "ISM2012", "add $ns to the annotation"),
    ];

    public async ValueTask InitializeAsync()
    {
        foreach (var cluster in LoopbackMeshRig.Clusters) await mesh.ApplyAsync(cluster, Part(0));
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var cluster in LoopbackMeshRig.Clusters)
        {
            foreach (var ns in (string[])["ns", "other"]) await mesh.Client(cluster).DeleteAsync(Kinds.Namespace, null, _services.Name(ns), default);
        }
        _services.Dispose();
    }

    [Fact]
    public async Task The_printed_remedy_of_a_fault_ends_it()
    {
        foreach (var (fault, target, code, remedy) in All)
            await UntilAsync(target, text => text.Contains($"({code})", StringComparison.Ordinal)
                && Remedy(text).Contains(_services.Fill(remedy), StringComparison.Ordinal),
                $"{code} with the remedy: {_services.Fill(remedy)}");
        for (var i = 0; i < All.Length; i++)
        {
            var documents = Text().Split(Separator).First(part => part.StartsWith($"{All[i].Fault}\n", StringComparison.Ordinal));
            foreach (var cluster in LoopbackMeshRig.Clusters) await mesh.ApplyAsync(cluster,
                _services.Fill(documents[documents.IndexOf('\n', StringComparison.Ordinal)..]));
        }
        foreach (var (fault, target, _, _) in All)
            await UntilAsync(target, text => text.Contains("✔ The call gets through.", StringComparison.Ordinal), $"{fault} is mended");
    }

    private Task UntilAsync(string target, Func<string, bool> wanted, string what) => mesh.UntilAsync(async () =>
        TraceText.Write(await mesh.TraceAsync($"deployment/{_services.Name("caller")}", _services.Name("ns"), _services.Fill(target)), details: false), wanted,
        $"{target}: {what}");

    private static string Remedy(string trace) => trace[Math.Max(0, trace.IndexOf("  remedy ", StringComparison.Ordinal))..];

    private string Part(int index) => _services.Fill(Text().Split(Separator)[index]);

    private static string Text([CallerFilePath] string path = "") => File.ReadAllText(Path.Combine(Path.GetDirectoryName(path)!, "remedies.yaml"));
}
