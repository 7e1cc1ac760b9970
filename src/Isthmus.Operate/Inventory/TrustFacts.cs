using Isthmus.Core.Collections;

namespace Isthmus.Operate.Inventory;

/// <summary>What a proxy trusts, and when it started.</summary>
public sealed record ProxyTrust(string Namespace, string Pod, DateTimeOffset? Started, Root Root);

/// <summary>Where the trust of one cluster comes from.</summary>
/// <param name="Given">The root of Secret <c>cacerts</c>.</param>
/// <param name="GivenAt">When that Secret was created.</param>
/// <param name="Own">The root that a control plane generated for itself (Secret <c>istio-ca-secret</c>).</param>
/// <param name="InForce">The root that the control plane distributes to proxies (ConfigMap <c>istio-ca-root-cert</c> of its
/// namespace).</param>
/// <param name="InstalledAt">When the control plane's Deployment was created.</param>
/// <param name="ControlPlaneStarted">When the oldest Pod of the control plane started.</param>
/// <param name="Namespaces">Namespaces whose own ConfigMap names another root.</param>
public sealed record TrustFacts(
    bool HasIstio, Root Given, DateTimeOffset? GivenAt, Root Own, DateTimeOffset? OwnAt, Root InForce, DateTimeOffset? InstalledAt,
    DateTimeOffset? ControlPlaneStarted,
    ValueMap<Root> Namespaces, ValueList<ProxyTrust> Proxies)
{
    /// <summary>Whether the control plane here serves another cluster, where it gives out its root. What is in ConfigMaps of this cluster is of
    /// another control plane then, if there is one.</summary>
    public bool ServesElsewhere { get; init; }

    public static readonly TrustFacts None = new(false, Root.None, null, Root.None, null, Root.None, null, null, default, default);
}
