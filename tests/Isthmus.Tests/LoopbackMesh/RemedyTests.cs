using System.Runtime.CompilerServices;
using Isthmus.Explain.Tracing;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Kubernetes.Objects;
using Xunit;

namespace Isthmus.Tests.LoopbackMesh;

/// <summary>The remedy that <c>isthmus trace</c> prints for a fault ends it: remedies.yaml has the faults, and the objects as the remedies have them.</summary>
[Collection(nameof(SharedLoopbackMesh))]
public sealed class RemedyTests(LoopbackMeshRig mesh) : IAsyncLifetime
{
    private const string Separator = "\n# Remedy: ";

    private readonly FaultyServices _services = new();

    /// <param name="Code">The code that the trace gives.</param>
    /// <param name="Remedy">A part of the remedy that it prints.</param>
    /// <param name="Caller">The Deployment of the caller.</param>
    private sealed record Case(string Fault, string Target, string Code, string Remedy, string Caller = "caller")
    {
        /// <summary>What the remedy says to call; empty: the same as before.</summary>
        public string Then { get; init; } = "";

        /// <summary>The Deployment that the remedy says to create again; empty: none.</summary>
        public string Deletes { get; init; } = "";

        /// <summary>Whether the request has a valid token.</summary>
        public bool HasToken { get; init; }
    }

    private static readonly Case[] All =
    [
        new("adrift", "$adrift/hello", "ISM2049", "fix the selector"),
        new("deaf", "$deaf/hello", "ISM2070", "set targetPort to the port of the application, "),
        new("misnamed", "$misnamed/hello", "ISM2046", "use the name of a container port"),
        new("rpc", "$rpc/status/200", "ISM2074", "name the port http"),
        new("nodebound", "$nodebound/hello", "ISM2099", "set it to Cluster"),
        new("elseport", "$elseport/hello", "ISM2024", "correct the match"),
        new("elsewho", "$elsewho/hello", "ISM2024", "or add a route without match at the end"),
        new("split", "$split/hello", "ISM2032", "add a DestinationRule for $split.$ns.svc.cluster.local with subset one"),
        new("aborted", "$aborted/hello", "ISM2026", "remove the fault"),
        new("named", "$named/hello", "ISM2062", "add spiffe://cluster.local/ns/$ns/sa/default there"),
        new("piped", "tcp://$piped:17002", "ISM2064", "use fields of connections in the rule (ports"),
        new("plain", "$plain/hello", "ISM2067", "set trafficPolicy.tls.mode DISABLE"),
        new("locked", "$locked.$other/hello", "ISM2064", "add cluster.local/ns/$ns/sa/default there"),
        new("secret", "$secret.$other/hello", "ISM2012", "add $ns to the annotation"),
        new("unlabelled", "$unlabelled/hello", "ISM2034", "fix the labels of the subset"),
        new("half", "$half/hello", "ISM2035", "apply DestinationRule $ns/$half of cluster1 in cluster2 as well"),
        new("nowhere", "$nowhere/hello", "ISM2010", "create the Service, or a ServiceEntry"),
        new("hollow", "$hollow/hello", "ISM2045", "add a selector"),
        new("portless", "$portless:8123/hello", "ISM2030", "add port 8123 to it"),
        new("asleep", "$asleep/hello", "ISM2048", "scale deployment $asleep --replicas=1"),
        new("faraway", "$faraway/hello", "ISM2051", "remove the label sidecar.istio.io/inject from the Pod's template"),
        new("astray", "$astray/hello", "ISM1016", "remove the label from the Pod's template"),
        new("passing", "$passing/hello", "ISM2110", "choose another algorithm"),
        new("delayed", "$delayed/hello", "ISM2087", "remove the fault"),
        new("webs", "$webs:8443/status/200", "ISM2078", "name the port http"),
        new("mistaken", "$mistaken/hello", "ISM2089", "remove trafficPolicy.tls, or set ISTIO_MUTUAL"),
        new("opened", "$opened/hello", "ISM2066", "set trafficPolicy.tls.mode DISABLE"),
        new("closed", "$closed/hello", "ISM2057", "or set ISTIO_MUTUAL"),
        new("limited", "$limited/hello", "ISM2094", "raise token_bucket"),
        new("narrow", "$hidden/hello", "ISM2013", "add $ns/$hidden.$ns.svc.cluster.local to its hosts", "narrow"),
        new("leaky", "$sealed/hello", "ISM2020", "remove it from the annotation", "leaky"),
        new("vacant", "$vacant.example.com/hello", "ISM2042", "fix the selector"),
        new("strict", "$strict/hello", "ISM2058", "or set the PeerAuthentication to PERMISSIVE", "plain"),
        new("direct", "$direct/hello", "ISM2025", "route to a destination instead"),
        new("outside", "http://10.77.3.2/hello", "ISM2027", "add a ServiceEntry for 10.77.3.2, or", "fenced"),
        new("bypassed", "$bypassed/hello", "ISM2050", "remove the port from the annotation"),
        new("bare", "$bare/hello", "ISM2050", "or set trafficPolicy.tls.mode DISABLE in a DestinationRule"),
        new("shadowed", "$shadowed/hello", "ISM2018", "give the ServiceEntry a host of its own"),
        new("twin", "$twin/hello", "ISM2080", "create the Deployment again with the value $twin: spec.selector cannot be changed") { Deletes = "lost" },
        new("sealedweb", "https://$sealedweb:443/", "ISM2093", "if the application speaks TLS, name the port https or https-"),
        new("", "https://$hidden:80/hello", "ISM2093", "otherwise call http://$hidden:80") { Then = "http://$hidden:80/hello" },
        new("bytes", "$bytes:17006/hello", "ISM2095", "if the application speaks HTTP, name the port http or http-"),
        new("keyless", "$keyless/hello", "ISM2096", "or put the keys into jwks") { HasToken = true },
        new("", "$hidden.$ns.svc.clusterset.local/hello", "ISM2108", "call $hidden.$ns;") { Then = "$hidden.$ns/hello" },
        new("alias", "$alias/hello", "ISM2098", "correct externalName"),
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
        foreach (var one in All)
            await UntilAsync(one, one.Target, text => IsTold(one, text), $"{one.Code} with the remedy: {_services.Fill(one.Remedy)}");
        foreach (var one in All.Where(one => one.Fault.Length > 0))
        {
            if (one.Deletes.Length > 0) await mesh.Client("cluster1").DeleteAsync(Kinds.Deployment, _services.Name("ns"), _services.Name(one.Deletes), default);
            var documents = Text().Split(Separator).First(part => part.StartsWith($"{one.Fault}\n", StringComparison.Ordinal));
            foreach (var cluster in LoopbackMeshRig.Clusters) await mesh.ApplyAsync(cluster,
                _services.Fill(documents[documents.IndexOf('\n', StringComparison.Ordinal)..]));
        }
        foreach (var one in All)
            // A Pod without a sidecar has nobody who makes the call.
            await UntilAsync(one, one.Then.Length > 0 ? one.Then : one.Target, text => !text.Contains(one.Code, StringComparison.Ordinal)
                && (text.Contains("✔ The call gets through.", StringComparison.Ordinal)
                    || text.Contains("✔ The call would get through", StringComparison.Ordinal)), $"{one.Fault} is mended");
    }

    private Task UntilAsync(Case one, string target, Func<string, bool> wanted, string what) => mesh.UntilAsync(async () =>
        TraceText.Write(await mesh.TraceAsync($"deployment/{_services.Name(one.Caller)}", _services.Name("ns"), _services.Fill(target), Sent(one)),
            details: false),
        wanted, $"{target}: {what}");

    private SentRequest Sent(Case one) =>
        one.HasToken ? SentRequest.Parse("", [], "", _services.Tokens.Sign(InjectedFault.Claims(_services, 1))) : SentRequest.Plain;

    /// <summary>Whether a trace has the code with the remedy: as the cause, or as a warning on one line.</summary>
    private bool IsTold(Case one, string trace)
    {
        var remedy = _services.Fill(one.Remedy);
        return (trace.Contains($"({one.Code})", StringComparison.Ordinal)
                && trace[Math.Max(0, trace.IndexOf("  remedy ", StringComparison.Ordinal))..].Contains(remedy, StringComparison.Ordinal))
            || trace.Split('\n').Any(line => line.TrimStart().StartsWith($"{one.Code} ", StringComparison.Ordinal)
                && line.Contains(remedy, StringComparison.Ordinal));
    }

    private string Part(int index) => _services.Fill(Text().Split(Separator)[index]);

    private static string Text([CallerFilePath] string path = "") => File.ReadAllText(Path.Combine(Path.GetDirectoryName(path)!, "remedies.yaml"));
}
