using System.Net;
using System.Text.RegularExpressions;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Objects;
using Isthmus.Proxy.Balancing;
using Isthmus.Proxy.Capture;
using Isthmus.Proxy.Http;
using Isthmus.Proxy.Policy;
using Isthmus.Proxy.Snapshot;
using Isthmus.Wire.Tls;

namespace Isthmus.Operate.Diagnose.Tracing;

/// <summary>The callee: its proxy's inbound side, the certificates of both ends, and the application.</summary>
internal sealed partial class TraceWalk
{
    /// <param name="way">How the caller's proxy speaks to it; null when no proxy does: then in plain text, or as the application will.</param>
    /// <param name="address">The Pod's address and the port there.</param>
    private void WalkPod(EndpointWay? way, ClusterObjects cluster, Pod pod, IPEndPoint address, ProxyView? client)
    {
        var name = PodRef.Of(cluster, pod);
        var (own, their) = (Home.NetworkOf(facts.ClientPod), cluster.NetworkOf(pod));
        if (way is { Endpoint.IsGateway: false } && cluster != Home && own != their && own.Length > 0 && way.Endpoint.Address.Equals(address))
            Warn("network", $"{address} of {their} is called directly from {own}", _causes.CalledDirectly(their, cluster));
        if (ClusterObjects.Sidecar(pod) is null)
        {
            if (way is { IsMeshTls: true })
                Fail("TLS", "mutual TLS of the mesh", _causes.MeshTlsToPlain(way.DestinationRule, name), ("destination rule", way.DestinationRule));
            else
            {
                Ok("TLS", _kind == "tls" ? "the application's own" : way?.Tls is null ? "plain text: the callee has no sidecar" : $"begun by the caller's proxy, {way.Tls.Sni}");
                Add("application", HopStatus.Unknown, $"{address}: no proxy there to ask whether it listens", null);
            }
            return;
        }
        if (View(name, "callee") is not { } view) return;
        if (!IsCapturedInbound(pod, address.Port))
        {
            if (way is { IsMeshTls: true }) Fail("inbound", $"port {address.Port} is not captured", Faults.Of("ISM2050", name.ToString(), "metadata.annotations[traffic.sidecar.istio.io/excludeInboundPorts]",
                $"port {address.Port} goes past its proxy, so nobody ends mesh TLS", "take the port out of the annotation, or set trafficPolicy.tls.mode DISABLE in a DestinationRule"));
            else WalkApplication(name, cluster, pod, view, address);
            return;
        }
        if (view.Inbound is not { } listener)
        {
            Fail("inbound", "no listener", _causes.Unconfigured(name, "its proxy has no inbound listener"));
            return;
        }
        var chain = ChooseInbound(way, listener, address);
        if (!WalkTls(way, name, cluster, pod, address, chain, view, client)) return;
        if (WalkInbound(way, name, cluster, chain!, view, address, client) is { } target) WalkApplication(name, cluster, pod, view, target);
    }

    private FilterChainSnapshot? ChooseInbound(EndpointWay? way, ListenerSnapshot listener, IPEndPoint address)
    {
        if (way?.Tls is { } tls) return listener.Chains.Find(new(address, ClientEnd, tls.Sni.ToLowerInvariant(), "tls", way.Alpn));
        if (_kind == "tls") return listener.Chains.Find(new(address, ClientEnd, facts.Target.Host, "tls", []));
        var looks = listener.Chains.NeedsBytes(address.Port) && (listener.InspectHttp?.Contains(address.Port) ?? false) && _kind == "http";
        return listener.Chains.Find(new(address, ClientEnd, "", "raw_buffer", looks ? PlainHttp : []));
    }

    private bool WalkTls(EndpointWay? way, PodRef name, ClusterObjects cluster, Pod pod, IPEndPoint address, FilterChainSnapshot? chain, ProxyView view, ProxyView? client)
    {
        var mesh = way is { IsMeshTls: true };
        if (chain is null)
        {
            return mesh
                ? Fail("TLS", "mutual TLS of the mesh", _causes.NoMeshTlsAt(name, cluster, pod, address.Port, way!.DestinationRule))
                : Fail("TLS", _kind == "tls" ? "the application's own TLS" : "plain text", _causes.PlainToStrict(name, cluster, pod, address.Port, way?.DestinationRule ?? "", _sidecar is not null && way is null));
        }
        if (!mesh) return Ok("TLS", _kind == "tls" ? "the application's own, carried as it is" : way?.Tls is null ? "plain text" : $"begun by the caller's proxy, {way.Tls.Sni}");
        if (chain.Tls is not { } server)
            return Fail("TLS", "mutual TLS of the mesh", _causes.NoMeshTlsAt(name, cluster, pod, address.Port, way!.DestinationRule));
        return WalkCertificates(way!.Tls!, server, name, cluster, view, client);
    }

    private bool WalkCertificates(TlsSettings ours, TlsSettings theirs, PodRef name, ClusterObjects cluster, ProxyView view, ProxyView? client)
    {
        var (own, their) = (client?.Certificate(ours.Certificate), view.Certificate(theirs.Certificate));
        if (own is null || their is null)
        {
            var lacking = own is null ? facts.Client : name;
            return Fail("TLS", "mutual TLS of the mesh", Faults.Of("ISM2060", lacking.ToString(), "", "its proxy has no certificate: the control plane did not sign one", $"kubectl --context={lacking.Context} -n {lacking.Namespace} logs {lacking.Name} -c istio-proxy"));
        }
        var details = ((string, string)[])
        [
            ("caller", $"{own.Identity}, {Until(own)}"), ("callee", $"{their.Identity}, {Until(their)}"),
            ("root", Fingerprint(client!.Roots(ours.Root))), ("callee must be", string.Join(", ", ours.Peers.Select(peer => peer.ToString()))),
        ];
        foreach (var (shown, who, roots, whose, use) in ((ShownCertificate, PodRef, TrustBundle?, PodRef, CertificateUse)[])
            [(their, name, client.Roots(ours.Root), facts.Client, CertificateUse.Server), (own, facts.Client, view.Roots(theirs.Root), name, CertificateUse.Client)])
        {
            if (shown.Expires <= facts.Now)
                return Fail("TLS", "mutual TLS of the mesh", Faults.Of("ISM2061", who.ToString(), "", $"its certificate expired at {shown.Expires:u}", "its proxy renews it by itself: see its log, and whether it reaches its control plane"), details);
            if (roots?.Reject(shown.Leaf, shown.Rest, use, facts.Now) is { } why)
                return Fail("TLS", "mutual TLS of the mesh", _causes.Untrusted(who, whose, shown, roots, why), details);
        }
        if (ours.Peers.Count > 0 && !ours.Peers.Any(peer => peer.IsMatch(their.Identity)))
        {
            if (OtherDomain(own.Identity, their.Identity) is { } domain && ours.Peers.Any(peer => peer.IsMatch(domain)))
                return Fail("TLS", "mutual TLS of the mesh", _causes.OtherTrustDomain(name, cluster, their.Identity, facts.Client, own.Identity), details);
            return Fail("TLS", "mutual TLS of the mesh", Faults.Of("ISM2062", name.ToString(), "spec.serviceAccountName", $"is {their.Identity}, and the caller accepts other identities only",
                "endpoints that have just changed take a moment; otherwise look at subjectAltNames of the DestinationRule or ServiceEntry"), details);
        }
        if (theirs.Peers.Count > 0 && !theirs.Peers.Any(peer => peer.IsMatch(own.Identity)))
            return Fail("TLS", "mutual TLS of the mesh", _causes.OtherTrustDomain(facts.Client, Home, own.Identity, name, their.Identity), details);
        return Ok("TLS", "mutual TLS of the mesh", details);
    }

    /// <summary>An identity with the trust domain of another: what it would be if both were of one.</summary>
    private static string? OtherDomain(string own, string their) =>
        SpiffeDomain().Match(own) is { Success: true } mine && SpiffeDomain().Match(their) is { Success: true } other && mine.Value != other.Value ? mine.Value + their[other.Length..] : null;

    [GeneratedRegex("^spiffe://[^/]+")]
    private static partial Regex SpiffeDomain();

    /// <summary>Where the callee's proxy sends it; null when the way ends here, which is said.</summary>
    private IPEndPoint? WalkInbound(EndpointWay? way, PodRef name, ClusterObjects callee, FilterChainSnapshot chain, ProxyView view, IPEndPoint address, ProxyView? client)
    {
        var caller = way is { IsMeshTls: true } ? client?.Certificate(way.Tls!.Certificate)?.Identity ?? "" : "";
        var (http, tcp) = (chain.Action as HttpAction, chain.Action as TcpAction);
        var request = http is null ? null : Request();
        var peer = caller.Length == 0 ? null : new Proxy.Tcp.TlsPeer([caller], [], "", "-", "", way!.Tls!.Sni, "");
        var policyFacts = new PolicyFacts(request, "http", peer, ClientEnd, ClientEnd.Address, address, way?.Tls?.Sni ?? "");
        foreach (var policy in chain.Policies.Concat(http?.Policies ?? []))
        {
            if (policy.Decide(policyFacts) is { IsAllowed: false } verdict)
            {
                Fail("inbound", $"{chain.Name}: denied", Denied(name, facts.ConfigOf(callee), verdict.Rule, caller));
                return null;
            }
        }
        var cluster = tcp?.Targets[0].Cluster;
        if (http is not null)
        {
            var table = http.Routes ?? view.Snapshot.Routes.GetValueOrDefault(http.RouteName);
            var route = table is null ? null : RouteDecision.For(table, request!, "http", new Random(1)).Route;
            if (route?.Act is not ForwardAct forward)
            {
                Fail("inbound", $"{chain.Name}: no route", Faults.Of("ISM2065", name.ToString(), $"routes {http.RouteName}", "its proxy has no route for the request", $"isthmus proxy-config routes {name.Name}.{name.Namespace} --context={name.Context}"));
                return null;
            }
            cluster = forward.Targets[0].Cluster;
        }
        Ok("inbound", $"{chain.Name} → {cluster}", ("pod", name.ToString()), ("as", http is null ? "TCP" : "HTTP"), ("caller", caller));
        var inner = view.Snapshot.Clusters.GetValueOrDefault(cluster!);
        return inner?.Config.Inline?.Localities.SelectMany(locality => locality.Endpoints).FirstOrDefault()?.Address as IPEndPoint ?? address;
    }

    /// <param name="rule">The rule that denies, named after the policy that it was made of; empty when it is that none allows.</param>
    private static Problem Denied(PodRef callee, ClusterObjects config, string rule, string caller)
    {
        var who = caller.Length > 0 ? caller : "callers without identity";
        return PolicyRule().Match(rule) is { Success: true } made
            ? Faults.Of("ISM2064", $"AuthorizationPolicy {made.Groups[1].Value}/{made.Groups[2].Value} in {config.Context}", $"spec.rules[{made.Groups[3].Value}]", $"denies {who} at {callee}: the answer is 403", "take the caller out of the rule")
            : Faults.Of("ISM2064", callee.ToString(), "", $"no AuthorizationPolicy that holds for it allows {who}: the answer is 403", $"allow the caller in an AuthorizationPolicy of namespace {callee.Namespace} in {config.Context}");
    }

    [GeneratedRegex(@"^ns\[([^\]]+)\]-policy\[([^\]]+)\]-rule\[(\d+)\]")]
    private static partial Regex PolicyRule();

    private void WalkApplication(PodRef name, ClusterObjects cluster, Pod pod, ProxyView view, IPEndPoint target)
    {
        if (view.Listening is not { } listening)
        {
            Add("application", HopStatus.Unknown, $"{target}: the proxy cannot tell whether it listens", null);
            return;
        }
        if (listening.Any(at => at.Port == target.Port && Accepts(at.Address, target.Address)))
        {
            Ok("application", $"listens on {target.Port}", ("container", pod.Spec.Containers.FirstOrDefault(container => container.Name != "istio-proxy")?.Name ?? ""));
            return;
        }
        Fail("application", $"nothing listens on {target}", Causes.NobodyListens(name, cluster, pod, _host, _port, target, listening));
    }

    private static bool Accepts(IPAddress bound, IPAddress asked) =>
        bound.Equals(IPAddress.Any) || bound.Equals(IPAddress.IPv6Any) || bound.Equals(asked) || (bound.IsIPv4MappedToIPv6 && bound.MapToIPv4().Equals(asked));

    private static bool IsCapturedInbound(Pod pod, int port)
    {
        if (pod.Spec.InitContainers.FirstOrDefault(container => container.Name == "istio-init") is not { } init) return true;
        try
        {
            var settings = CaptureSettings.Parse([.. init.Command.Concat(init.Args).SkipWhile(word => !word.StartsWith('-'))], new Dictionary<string, string>());
            return !settings.ExcludedInboundPorts.Contains(port) && (settings.InboundPorts.All || settings.InboundPorts.Items.Contains(port));
        }
        catch (ProblemException)
        {
            // Flags of another proxy's init container: as good as none.
            return true;
        }
    }

    private static string Fingerprint(TrustBundle? roots) =>
        roots is null ? "" : string.Join(", ", roots.Roots.Select(root => root.GetCertHashString(System.Security.Cryptography.HashAlgorithmName.SHA256)[..16]));
}
