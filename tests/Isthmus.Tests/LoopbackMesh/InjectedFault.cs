using System.Text.Json.Nodes;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Testing;

namespace Isthmus.Tests.LoopbackMesh;

/// <summary>A fault of faults.yaml or operator-faults.yaml, and what each command must say of it.</summary>
/// <param name="Caller">Who calls.</param>
/// <param name="Trace">Code, object and a part of the message of the first cause, separated by bars.</param>
/// <param name="Verify">The finding of <c>verify</c>, a line of <see cref="ReportTests.Verified"/>; or why it cannot know.</param>
/// <param name="Analyze">The finding of <c>analyze</c>, a line of <see cref="ReportTests.Analyzed"/>; or why it cannot know.</param>
internal sealed record InjectedFault(string Caller, string Target, string Trace, string Verify, string Analyze)
{
    /// <summary>Objects alone do not show it: what listens where, which protocol it speaks, and what a caller asks for.</summary>
    internal const string Call = "only a call shows it";

    /// <summary>Objects say so, and somebody may want it: what is denied, hidden or scaled to zero.</summary>
    internal const string Meant = "it may be meant";

    /// <summary>It is a matter of objects, which analyze reads, or of what runs, which verify reads.</summary>
    internal const string Other = "the other command names it";

    /// <summary>What the caller sends; null: a plain GET.</summary>
    internal Func<FaultyServices, SentRequest>? Sent { get; init; }

    /// <summary>Whether a trace without the call finds nothing wrong.</summary>
    internal bool IsSeenOnlyByCall { get; init; }

    internal static bool IsReason(string text) => text is Call or Meant or Other;

    internal SentRequest Request(FaultyServices services) => Sent?.Invoke(services) ?? SentRequest.Plain;

    internal static JsonObject Claims(FaultyServices services, double hours) =>
        new() { ["iss"] = services.Name("issuer"), ["sub"] = "ann", ["exp"] = TimeProvider.System.GetUtcNow().AddHours(hours).ToUnixTimeSeconds() };

    internal static IReadOnlyList<InjectedFault> All { get; } =
    [
        .. OperatorFaults.All,

        // Names and ports
        new("$caller", "x$both:18081/hello", "ISM2010 | host x$both | did you mean $both.$ns", Call, Call),
        new("$caller", "$both:18082/hello", "ISM2030 | Service $ns/$both in cluster1 | no port 18082", Call, Call),
        new("$caller", "$deaf/", "ISM2070 | Service $ns/$deaf in cluster1 | 5055", Call, Call),
        new("$caller", "$inward/", "ISM2071 | Pod $ns/$here | 127.0.0.1:INWARD", Call, Call),
        new("$caller", "$misnamed/", "ISM2046 | Service $ns/$misnamed in cluster1 | portal", Other,
            "cluster1 ISM1420 Service $ns/$misnamed: spec.ports[0].targetPort"),
        new("$caller", "$ported:8010/hello", "ISM2030 | Service $ns/$ported in cluster2 | has no port 8010: it has 8011",
            "IST0170 Service $ns/$ported: spec.ports", "cluster2 IST0170 Service $ns/$ported: spec.ports"),
        new("$caller", "$rpc/hello", "ISM2074 | Service $ns/$rpc in cluster1 | declares GRPC", Call, Call) { IsSeenOnlyByCall = true },
        new("$caller", "$webs:8443/hello", "ISM2078 | Service $ns/$webs in cluster1 | declares HTTPS", Call, Call) { IsSeenOnlyByCall = true },

        // Endpoints
        new("$caller", "$adrift/", "ISM2049 | Service $ns/$adrift in cluster1 | Deployment $here have app=$here", Other,
            "cluster1 ISM1417 Service $ns/$adrift: spec.selector"),
        new("$caller", "$asleep/", "ISM2048 | Deployment $ns/$asleep in cluster1 | is 0", Meant, Meant),
        new("$caller", "$sick/", "ISM2047 | Pod $ns/$sick | readiness probe of container web", "ISM2047 Pod $ns/$sick in cluster1: status", Other),
        new("$caller", "$faraway/", "ISM2051 | Pod $ns/$faraway | gateway of network2",
            "ISM2051 Pod $ns/$faraway in cluster2: metadata.labels[sidecar.istio.io/inject]", Other),
        new("$caller", "$astray/hello", "ISM1016 | Pod $ns/$astray | is $astray, but no cluster and no gateway is in that network", Other,
            "cluster2 ISM1414 Pod $ns/$astray: metadata.labels[topology.istio.io/network]") { IsSeenOnlyByCall = true },
        new("$caller", "$hollow/", "ISM2045 | Service $ns/$hollow in cluster1 | is empty, and the Service has no endpoints", Meant, Meant),
        new("$caller", "$stale.example.com/", "ISM2090 | ServiceEntry $ns/$stale in cluster1 | 127.0.0.1:1 refuses connections", Call,
            Call) { IsSeenOnlyByCall = true },
        new("$caller", "$machine.example.com/", "ISM2090 | WorkloadEntry $ns/$machine in cluster1 | 127.0.0.1:1 refuses connections", Call,
            Call) { IsSeenOnlyByCall = true },
        new("$caller", "$vacant.example.com/", "ISM2042 | ServiceEntry $ns/$vacant in cluster1 | selects no WorkloadEntry and no Pod of namespace $ns", Other,
            "cluster1 IST0127 ServiceEntry $ns/$vacant: spec.workloadSelector"),

        new("$caller", "$nameless.example.com/", "ISM2098 | ServiceEntry $ns/$nameless in cluster1 | no-such-name.invalid has no address", Call, Call),
        new("$caller", "$nodebound/hello", "ISM2099 | Service $ns/$nodebound in cluster1 | no ready Pod of the Service runs on Node", Meant, Meant),
        new("$caller", "$wordless.example.com/", "ISM2074 | ServiceEntry $ns/$wordless in cluster1 | answers with something else", Call,
            Call) { IsSeenOnlyByCall = true },

        // Routes and subsets
        new("$caller", "$split/lost", "ISM2034 | DestinationRule $ns/$split in cluster1 | version=none", Other,
            "cluster1 IST0173 DestinationRule $ns/$split: spec.subsets[2].labels"),
        new("$caller", "$split/hello", "ISM2034 | DestinationRule $ns/$split in cluster1 | version=none", Other,
            "cluster1 IST0173 DestinationRule $ns/$split: spec.subsets[2].labels") { Sent = _ => SentRequest.Parse("", ["Tier: gold"], "", "") },
        new("$caller", "$split/unknown", "ISM2032 | VirtualService $ns/$split in cluster1 | subset three", Other,
            "cluster1 IST0101 VirtualService $ns/$split: spec.http[2].route[0].destination.subset"),
        new("$caller", "$split/half", "ISM2035 | DestinationRule $ns/$split in cluster2 | subset four", Other,
            "cluster2 ISM1421 DestinationRule $ns/$split: spec.subsets"),
        new("$caller", "$split/nowhere", "ISM2010 | VirtualService $ns/$split in cluster1 | $gone", Other,
            "cluster1 IST0101 VirtualService $ns/$split: spec.http[3].route[0].destination.host"),
        new("$caller", "$split/aborted", "ISM2026 | VirtualService $ns/$split in cluster1 | 503", Meant,
            "cluster1 ISM1427 VirtualService $ns/$split: spec.http[4].fault"),
        new("$caller", "$split/sometimes", "ISM2026 | VirtualService $ns/$split in cluster1 | 70 %", Meant,
            "cluster1 ISM1427 VirtualService $ns/$split: spec.http[5].fault") { IsSeenOnlyByCall = true },
        new("$caller", "$split/other", "ISM2024 | VirtualService $ns/$split in cluster1 | /other", Meant, Meant),
        new("$caller", "$elseport/hello", "ISM2024 | VirtualService $ns/$elseport in cluster1 | is 81, and the call is for port 80", Call, Call),
        new("$caller", "$elsewho/hello", "ISM2024 | VirtualService $ns/$elsewho in cluster1 | is app=somebody, and the caller has other labels", Call, Call),
        new("$caller", "$twice/hello", "ISM2024 | VirtualService $ns/$twice in cluster1 | VirtualService $ns/$twice-b is for the same host", Other,
            "cluster1 IST0109 VirtualService $ns/$twice: spec.hosts"),
        new("$caller", "$short/hello", "ISM2010 | VirtualService $other/$short in cluster1 | routes to $both.$other.svc.cluster.local", Other,
            "cluster1 IST0101 VirtualService $other/$short: spec.http[0].route[0].destination.host"),
        new("$caller", "$late/delay/2", "ISM2088 | VirtualService $ns/$late in cluster1 | gives up after 200 ms", Call, Call) { IsSeenOnlyByCall = true },
        new("$caller", "$hasty/delay/2", "ISM2088 | VirtualService $ns/$hasty in cluster1 | gives each try 200 ms", Call, Call) { IsSeenOnlyByCall = true },
        new("$caller", "$late/status/200", "ISM2087 | VirtualService $ns/$late in cluster1 | a delay of 20 s for 100 %", Meant,
            "cluster1 ISM1427 VirtualService $ns/$late: spec.http[0].fault") { IsSeenOnlyByCall = true },

        // What callers may see and reach
        new("$caller", "$secret.$other/", "ISM2012 | Service $other/$secret in cluster2 | namespace $ns", Meant, Meant),
        new("$narrow", "$remote:8000/hello", "ISM2013 | Sidecar $ns/$narrow in cluster1 | $remote", Meant, Meant),
        new("$narrow", "http://10.98.0.1:7777/", "ISM2027 | host 10.98.0.1 | REGISTRY_ONLY", Meant, Meant),
        new("$leaky", "$guarded.$other/hello", "ISM2020 | Pod $ns/$leaky | port 80 is excluded", Meant, Meant),

        // TLS
        new("$caller", "$loud.$other/", "ISM2057 | DestinationRule $ns/$loudly in cluster1 | PeerAuthentication $other/$locked in cluster1 is STRICT", Other,
            "cluster1 IST0113 DestinationRule $ns/$loudly: spec.trafficPolicy.tls.mode"),
        new("$caller", "$stiff/hello", "ISM2067 | DestinationRule $ns/$stiffly in cluster1 | no sidecar", Other,
            "cluster1 IST0113 DestinationRule $ns/$stiffly: spec.trafficPolicy.tls.mode"),
        new("$caller", "$mistaken/hello", "ISM2089 | DestinationRule $ns/$mistaken in cluster1 | accepts only mesh TLS and plain text", Call,
            "cluster1 IST0113 DestinationRule $ns/$mistaken: spec.trafficPolicy.tls.mode"),
        new("$caller", "$named/hello", "ISM2062 | DestinationRule $ns/$named in cluster1 | accepts spiffe://cluster.local/ns/$ns/sa/somebody", Call, Call),
        new("$plain", "$guarded.$other/hello", "ISM2058 | Pod $ns/$plain | PeerAuthentication $other/$locked in cluster1 is STRICT", Meant, Meant),
        new("$plain", "$ruled/hello", "ISM2058 | Pod $ns/$plain | PeerAuthentication $ns/$ruled in cluster1 is STRICT", Meant, Meant),

        // Policies
        new("$caller", "$domain/hello", "ISM2064 | AuthorizationPolicy $ns/$domain in cluster1 | the trust domain is cluster.local, not example.org", Other,
            "cluster1 ISM1415 AuthorizationPolicy $ns/$domain: spec.rules[0].from[0].source.principals"),
        new("$caller", "$tokened/hello", "ISM2064 | AuthorizationPolicy $ns/$tokened in cluster1 | this one carries no valid token", Meant, Meant),
        new("$caller", "$tokened/hello", "ISM2082 | RequestAuthentication $ns/$issuer in cluster1 | Jwt is expired", Call,
            Call) { Sent = services => SentRequest.Parse("", [], "", services.Tokens.Sign(Claims(services, -1))) },
        new("$caller", "$tokened/hello", "ISM2082 | RequestAuthentication $ns/$issuer in cluster1 | Jwt verification fails", Call, Call) { Sent = OfStranger },
        new("$caller", "$asked/hello", "ISM2064 | AuthorizationPolicy $ns/$asked in cluster1 | names $nobody, which is no external authorizer", Other,
            "cluster1 IST0101 AuthorizationPolicy $ns/$asked: spec.provider.name"),
        new("$caller", "$closed/hello", "ISM2064 | AuthorizationPolicy $ns/$closed in cluster1 | has no rules", Meant, Meant),
        new("$caller", "$ruled/rooted", "ISM2064 | AuthorizationPolicy istio-system/$rooted in cluster1 | denies spiffe://cluster.local/ns/$ns/sa/default",
            Meant, Meant),
        new("$caller", "$ruled/nearby", "ISM2064 | AuthorizationPolicy $ns/$nearby in cluster1 | allows $other only", Meant, Meant),
        new("$caller", "$ruled/banned", "ISM2064 | AuthorizationPolicy $ns/$banned in cluster1 | denies spiffe://cluster.local/ns/$ns/sa/default", Meant,
            Meant),

        new("$caller", "tcp://$piped:17002",
            "ISM2064 | AuthorizationPolicy $ns/$piped in cluster1 | is about HTTP requests, and proxies know none on this port", Meant, Meant),

        // The application
        new("$caller", "$bin/status/503", "ISM2073 | Pod $ns/$here | its application responded with status 503", Call, Call) { IsSeenOnlyByCall = true },
    ];

    /// <summary>A token with the right claims that somebody else signed.</summary>
    private static SentRequest OfStranger(FaultyServices services)
    {
        using var stranger = TokenMint.OfStranger();
        return SentRequest.Parse("", [], "", stranger.Sign(Claims(services, 1)));
    }
}
