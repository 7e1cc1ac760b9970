using Isthmus.Core.Collections;

namespace Isthmus.Operate.Inventory;

/// <summary>What a proxy trusts, and since when it runs.</summary>
public sealed record ProxyTrust(string Namespace, string Pod, DateTimeOffset? Started, Root Root);

/// <summary>Where the trust of one cluster comes from.</summary>
/// <param name="Given">The root of Secret <c>cacerts</c>.</param>
/// <param name="GivenAt">When that Secret was made.</param>
/// <param name="Own">The root that a control plane made for itself (Secret <c>istio-ca-secret</c>).</param>
/// <param name="InForce">What the control plane tells proxies to trust (ConfigMap <c>istio-ca-root-cert</c> of its namespace).</param>
/// <param name="InstalledAt">When the control plane's Deployment was made.</param>
/// <param name="ControlPlaneStarted">When the oldest Pod of the control plane began.</param>
/// <param name="Namespaces">Namespaces whose own ConfigMap names another root.</param>
public sealed record TrustFacts(
    bool HasIstio, Root Given, DateTimeOffset? GivenAt, Root Own, DateTimeOffset? OwnAt, Root InForce, DateTimeOffset? InstalledAt, DateTimeOffset? ControlPlaneStarted,
    ValueMap<Root> Namespaces, ValueList<ProxyTrust> Proxies)
{
    public static readonly TrustFacts None = new(false, Root.None, null, Root.None, null, Root.None, null, null, default, default);
}
