using Isthmus.Explain.Tracing.Calls;

namespace Isthmus.Tests.LoopbackMesh;

/// <summary>The faults of operator-faults.yaml: what operators do to a running mesh, and what each command must say of it.</summary>
internal static class OperatorFaults
{
    private const string Call = InjectedFault.Call, Meant = InjectedFault.Meant, Other = InjectedFault.Other;

    internal static IReadOnlyList<InjectedFault> All { get; } =
    [
        // What only the proxy at the other end, or the namespace of the caller, shows
        new("$caller", "$diverted/hello", "ISM2070 | Sidecar $ns/$diverted in cluster1 | sends calls of port 5000 to 127.0.0.1:5999", Call, Call),
        new("$caller", "$headered/hello", "ISM2064 | AuthorizationPolicy $ns/$headered in cluster1 | does not look for one: it reads header x-user-token", Call,
            Call) { Sent = services => SentRequest.Parse("", [], "", services.Tokens.Sign(InjectedFault.Claims(services, 1))) },
        new("$caller", "$nested/hello", "ISM2064 | AuthorizationPolicy $ns/$nested in cluster1 | has a token without a claim realm.roles: its claims are", Call,
            Call) { Sent = OfRealm },
        new("$caller", "$subless/hello", "ISM2064 | AuthorizationPolicy $ns/$subless in cluster1 | carries a valid token without the claim sub", Call, Call)
            { Sent = OfClient },
        new("$caller", "$addressed/hello", "ISM2064 | AuthorizationPolicy $ns/$addressed in cluster2 | the address of the gateway of its network", Call,
            Call),
        new("$caller", "$unshared.$other/hello", "ISM2032 | DestinationRule $other/$unshared in cluster1 | is exported to", Call,
            "cluster1 ISM1515 VirtualService $other/$unshared: spec.http[0].route[0].destination.subset"),
        new("$caller", "$shaded.$other/hello", "ISM2032 | DestinationRule $ns/$shade in cluster1 | takes the place of DestinationRule $other/$shaded", Call,
            Call),
        new("$caller", "$bank.example.com/hello", "ISM2089 | DestinationRule $ns/$bank in cluster1 | names /nowhere/ca.pem, which the proxy", Call,
            Call) { IsSeenOnlyByCall = true },
        new("$caller", "$clear.example.com/",
            "ISM2074 | ServiceEntry $ns/$clear in cluster1 | accepts the connection and ends it without an answer, as a server of TLS does", Call,
            Call) { IsSeenOnlyByCall = true },
        new("$caller", "$idled/delay/2", "ISM2088 | EnvoyFilter $ns/$idled in cluster1 | its proxy gave up after", Call, Call) { IsSeenOnlyByCall = true },

        new("$caller", "http://$waiting:17031/delay/3", "ISM2166 | DestinationRule $ns/$waiting in cluster1 | is 1 s", Call,
            Call) { IsSeenOnlyByCall = true },
        new("$caller", "http://$farwaiting:17032/delay/3", "ISM2166 | DestinationRule $ns/$farwaiting in cluster2 | is 1 s: the proxy of Pod $ns/$farwaiting",
            Call, Call) { IsSeenOnlyByCall = true },

        new("$caller", "http://10.244.0.251:5000/hello", "ISM2168 | address 10.244.0.251:5000 | is in the range of Pods of cluster1 (10.244.0.0/24, Node node)",
            Call, Call) { IsSeenOnlyByCall = true },

        // What objects say, and their authors did not mean
        new("$caller", "$datagram/hello", "ISM2030 | Service $ns/$datagram in cluster1 | is UDP at port 80", Call, Call),
        new("$caller", "$upgraded/hello", "ISM2074 | DestinationRule $ns/$upgraded in cluster1 | is UPGRADE, so the caller's proxy speaks HTTP/2", Call,
            Call) { IsSeenOnlyByCall = true },
        new("$slit", "$bin/status/200", "ISM2013 | Sidecar $ns/$slit in cluster1 | for port 18080 only, and the call is for port 80", Meant, Meant),
        new("$plain", "$nearonly/hello", "ISM2064 | AuthorizationPolicy $ns/$nearonly in cluster1 | since the caller has no sidecar to show one", Call, Call),
        new("$caller", "$nearonly/hello",
            "ISM2082 | RequestAuthentication $ns/$nearonly in cluster1 | the rule is for members.example.com, and the token is for no audience", Call, Call)
            { Sent = services => SentRequest.Parse("", [], "", services.Tokens.Sign(InjectedFault.Claims(services, 1))) },
        new("$caller", "$nickname:8090/", "ISM2030 | Service $ns/$nickname in cluster1 | is an alias of Service $ns/$bin in cluster1, which has no port 8090",
            Call, Call),
        new("$caller", "$written/hello", "ISM2045 | EndpointSlice $ns/$written-1 in cluster1 | belong to no Service", Call, Call),
        new("$caller", "$bin.$ns.svc.clusterset.local/", "ISM2108 | host $bin.$ns.svc.clusterset.local | no cluster exports Service $ns/$bin in cluster1", Call,
            Call),

        // Ports that are declared otherwise than what is spoken there
        new("$caller", "grpc://$untyped/", "ISM2074 | Service $ns/$untyped in cluster1 | the call is gRPC, which needs HTTP/2", Call,
            Call) { IsSeenOnlyByCall = true },
        new("$fenced", "https://$sealedweb:443/", "ISM2093 | Service $ns/$sealedweb in cluster1 | declares HTTP, and the call is HTTPS", Call, Call),
        new("$fenced", "http://$sealedweb:443/", "ISM2074 | Service $ns/$sealedweb in cluster1 | it probably speaks something else, such as TLS", Call,
            Call) { IsSeenOnlyByCall = true },
        new("$caller", "https://$sealedweb:443/", "ISM2093 | Service $ns/$sealedweb in cluster1 | declares HTTP, and the call is HTTPS", Call, Call),
        new("$caller", "grpc://$agreed-b/",
            "ISM2074 | Service $ns/$agreed-b in cluster1 | while Service $ns/$agreed in cluster1 declares HTTP for the same port 8093", Call,
            "cluster1 IST0116 Deployment $ns/$speaker: spec.template") { IsSeenOnlyByCall = true },
        new("$caller", "http://$bytes:17005/", "ISM2101 | cluster1, network1: Pod $ns/$speaker | probably speaks no HTTP/1.1", Call,
            Call) { IsSeenOnlyByCall = true },

        // What callers may reach
        new("$fenced", "https://10.98.0.1:7443/", "ISM2027 | host 10.98.0.1 | REGISTRY_ONLY", Meant, Meant),
        new("$fenced", "$alias/", "ISM2098 | Service $ns/$alias in cluster1 | which has no address", Meant, Meant),
        new("$fenced", "$both:18081/hello", "ISM2027 | host elsewhere.example.com | header Host", Call,
            Call) { Sent = _ => SentRequest.Parse("", ["Host: elsewhere.example.com"], "", "") },

        // TLS
        new("$caller", "$mistakenfar/hello", "ISM2089 | DestinationRule $ns/$mistakenfar in cluster1 | begin TLS of its own", Call,
            "cluster1 ISM1513 DestinationRule $ns/$mistakenfar: spec.trafficPolicy.tls.mode"),
        new("$plain", "$levelled/hello", "ISM2058 | PeerAuthentication $ns/$levelled in cluster1 | leads to port 5000 of the workload", Other,
            "cluster1 ISM1435 PeerAuthentication $ns/$levelled: spec.portLevelMtls[80]"),
        new("$caller", "$opened/hello",
            "ISM2066 | DestinationRule $ns/$opened in cluster1 | PeerAuthentication $ns/$opened in cluster1 disables it on port 5000", Other,
            "cluster1 IST0113 DestinationRule $ns/$opened: spec.trafficPolicy.tls.mode"),

        // Endpoints
        new("$caller", "$probed.$other/hello", "ISM2047 | Pod $other/$probed | it checks port 5000 without mutual TLS, and PeerAuthentication $other/$locked",
            "ISM2047 Pod $other/$probed in cluster1: status", "cluster1 ISM1434 Pod $other/$probed: spec.containers[0].readinessProbe.httpGet"),
        new("$caller", "$gated/hello", "ISM2047 | Pod $ns/$gated | example.com/balanced", "ISM2047 Pod $ns/$gated in cluster1: status", Other),

        // Policies
        new("$caller", "$prefixed/hello", "ISM2064 | AuthorizationPolicy $ns/$prefixed in cluster1 | spiffe://", Other,
            "cluster1 ISM1415 AuthorizationPolicy $ns/$prefixed: spec.rules[0].from[0].source.principals"),
        new("$caller", "$keyless/hello", "ISM2096 | RequestAuthentication $ns/$keyless in cluster1 | it cannot fetch them from",
            "ISM1466 RequestAuthentication $ns/$keyless: spec.jwtRules[0].jwksUri",
            "cluster1 ISM1466 RequestAuthentication $ns/$keyless: spec.jwtRules[0].jwksUri")
            { Sent = services => SentRequest.Parse("", [], "", services.Tokens.Sign(InjectedFault.Claims(services, 1))) },
        new("$caller", "$limited/hello", "ISM2094 | EnvoyFilter $ns/$limited in cluster1 | local rate limit", Call, Call) { IsSeenOnlyByCall = true },

        // Routes
        new("$caller", "$circle/hello", "ISM2113 | VirtualService $ns/$circle in cluster1 | to itself: whoever follows it never gets an answer", Call, Call),
        new("$caller", "ws://$bin/hello", "ISM2073 | Pod $ns/$here | and not with 101, which begins a WebSocket", Call, Call) { IsSeenOnlyByCall = true },
        new("$caller", "$parent/hello", "ISM2024 | VirtualService $ns/$parent in cluster1 | $ns/$orphan, which does not exist", Other,
            "cluster1 ISM1431 VirtualService $ns/$parent: spec.http[0].delegate"),
    ];

    /// <summary>A token with roles in a claim of its own.</summary>
    /// <summary>The token of a program: no person is its subject.</summary>
    private static SentRequest OfClient(FaultyServices services)
    {
        var claims = InjectedFault.Claims(services, 1);
        claims.Remove("sub");
        return SentRequest.Parse("", [], "", services.Tokens.Sign(claims));
    }

    private static SentRequest OfRealm(FaultyServices services)
    {
        var claims = InjectedFault.Claims(services, 1);
        claims["realm"] = new System.Text.Json.Nodes.JsonObject { ["roles"] = new System.Text.Json.Nodes.JsonArray("admin") };
        return SentRequest.Parse("", [], "", services.Tokens.Sign(claims));
    }
}
