using System.Text.RegularExpressions;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Causes;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Explain.Tracing.Reading;
using Isthmus.Proxy.Decisions;
using Isthmus.Wire.Tls;

namespace Isthmus.Explain.Tracing.Steps;

/// <summary>Checks TLS between the two proxies: whether both use it, and whether they trust each other's
/// certificates.</summary>
internal sealed partial class TlsStep(TraceFacts facts, TraceRecord record, TraceCauses causes, TracedCall call)
{
    public bool Walk(EndpointWay? way, Callee callee, ChainView? chain, ListenerView listener, ProxyView view, ProxyView? client)
    {
        var (cluster, pod, address) = callee;
        var name = callee.Name;
        var mesh = way is { IsMeshTls: true };
        if (chain is null)
        {
            return mesh
                ? record.Fail("TLS", "mutual TLS of the mesh", causes.Tls.NoMeshTlsAt(name, cluster, pod, address.Port, way!.DestinationRule))
                : way is { Tls: not null, TlsBy: { Length: > 0 } by }
                ? record.Fail("TLS", Originated(way),
                    causes.Tls.OriginatedToSidecar(name, cluster, pod, address.Port, by, listener.Choose(address, call.ClientEnd, null, []) is not null),
                    (HopFacts.OriginFact, by))
                : record.Fail("TLS", call.Kind == CallKinds.Tls ? "the application's own TLS" : "plain text",
                    causes.Tls.PlainToStrict(name, cluster, pod, address.Port, way?.DestinationRule ?? "", call.Sidecar is not null && way is null));
        }
        if (BeginsTwice(way, call))
            return record.Fail("TLS", Originated(way!), causes.Tls.Twice(way!.TlsBy), (HopFacts.OriginFact, way.TlsBy));
        if (!mesh)
            return record.Ok("TLS", call.Kind == CallKinds.Tls ? "the application's own, passed through" : way?.Tls is null ? "plain text" : Originated(way),
                (HopFacts.OriginFact, way?.TlsBy ?? ""));
        if (chain.Tls is not { } server)
            return record.Fail("TLS", "mutual TLS of the mesh", causes.Tls.NoMeshTlsAt(name, cluster, pod, address.Port, way!.DestinationRule));
        return WalkCertificates(way!.Tls!, server, callee, view, client);
    }

    /// <summary>The caller's proxy begins TLS around that of the application, for which no server looks.</summary>
    public static bool BeginsTwice(EndpointWay? way, TracedCall call) => call.Kind == CallKinds.Tls && way is { Tls: not null, IsMeshTls: false };

    /// <summary>How a connection is described whose TLS the caller's proxy adds, not that of the mesh.</summary>
    public static string Originated(EndpointWay way) => $"originated by the caller's proxy{(way.Tls!.Sni.Length > 0 ? $", for {way.Tls.Sni}" : "")}";

    /// <summary>Checks whether the two proxies accept each other's certificates.</summary>
    /// <param name="ours">The TLS of the caller's proxy.</param>
    /// <param name="theirs">The TLS of the callee's proxy.</param>
    public bool WalkCertificates(TlsView ours, TlsView theirs, Callee callee, ProxyView view, ProxyView? client)
    {
        var (name, cluster) = (callee.Name, callee.Cluster);
        var (own, their) = (client?.Certificate(ours.Certificate), view.Certificate(theirs.Certificate));
        if (own is null || their is null)
        {
            var lacking = own is null ? facts.Client : name;
            return record.Fail("TLS", "mutual TLS of the mesh",
                Faults.Of("ISM2060", lacking.ToString(), "", "its proxy has no certificate: the control plane has not signed one",
                    $"kubectl --context={lacking.Context} -n {lacking.Namespace} logs {lacking.Name} -c istio-proxy"));
        }
        var details = ((string, string)[])
        [
            ("caller", $"{own.Identity}, {own.Validity(facts.Now)}"), ("callee", $"{their.Identity}, {their.Validity(facts.Now)}"),
            ("root", Fingerprint(client!.Roots(ours.Root))), ("callee must be", string.Join(", ", ours.Peers)),
        ];
        foreach (var (shown, who, roots, whose, use) in ((ShownCertificate, PodRef, TrustBundle?, PodRef, CertificateUse)[])
            [(their, name, client.Roots(ours.Root), facts.Client, CertificateUse.Server),
                (own, facts.Client, view.Roots(theirs.Root), name, CertificateUse.Client)])
        {
            if (shown.Expires <= facts.Now) return record.Fail("TLS", "mutual TLS of the mesh", causes.Tls.Expired(who, shown), details);
            if (roots?.Reject(shown.Leaf, shown.Rest, use, facts.Now) is { } why)
                return record.Fail("TLS", "mutual TLS of the mesh", causes.Tls.Untrusted(who, whose, shown, roots, why), details);
        }
        if (!ours.Accepts(their.Identity))
        {
            if (OtherDomain(own.Identity, their.Identity) is { } domain && ours.Names(domain))
                return record.Fail("TLS", "mutual TLS of the mesh", causes.Tls.OtherTrustDomain(name, cluster, their.Identity, facts.Client, own.Identity),
                    details);
            var path = SpiffeDomain().Replace(their.Identity, "");
            if (ours.Peers.Select(peer => SpiffeDomain().Match(peer).Value).FirstOrDefault(other => other.Length > 0
                && ours.Names(other + path) && other + path != their.Identity) is { } told)
                return record.Fail("TLS", "mutual TLS of the mesh", causes.Tls.ChangedTrustDomain(name, their.Identity, told["spiffe://".Length..]), details);
            return record.Fail("TLS", "mutual TLS of the mesh", causes.Tls.OtherIdentity(name, their.Identity, call), details);
        }
        if (!theirs.Accepts(own.Identity))
            return record.Fail("TLS", "mutual TLS of the mesh", causes.Tls.OtherTrustDomain(facts.Client, facts.Home, own.Identity, name, their.Identity),
                details);
        return record.Ok("TLS", "mutual TLS of the mesh", details);
    }

    /// <summary><paramref name="their"/> in the trust domain of <paramref name="own"/>; null when both are in the same
    /// one.</summary>
    private static string? OtherDomain(string own, string their) =>
        SpiffeDomain().Match(own) is { Success: true } mine && SpiffeDomain().Match(their) is { Success: true } other && mine.Value != other.Value
            ? mine.Value + their[other.Length..]
            : null;

    [GeneratedRegex("spiffe://[^/]+")]
    private static partial Regex SpiffeDomain();

    private static string Fingerprint(TrustBundle? roots) =>
        roots is null ? "" : string.Join(", ", roots.Roots.Select(root => root.GetCertHashString(System.Security.Cryptography.HashAlgorithmName.SHA256)[..16]));
}
