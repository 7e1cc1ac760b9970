using Isthmus.Proxy.Clusters;
using Isthmus.Proxy.Tls;

namespace Isthmus.Proxy.Snapshot;

/// <summary>What the resource in use and the waiting one need, by name.</summary>
/// <param name="Endpoints">Load assignments.</param>
/// <param name="Routes">Route tables.</param>
/// <param name="Secrets">Certificates and roots that the control plane provides, those of other identities, and those in files.</param>
internal sealed record ResourceNeeds(IReadOnlySet<string> Endpoints, IReadOnlySet<string> Routes, IReadOnlySet<string> Secrets)
{
    public static ResourceNeeds Of<T>(ResourceEntry<T> entry)
        where T : class
    {
        var (endpoints, routes, secrets) = (Set(), Set(), Set());
        foreach (var resource in (T?[])[entry.Active, entry.Waiting])
        {
            if (resource is ClusterState { Config: var config })
            {
                if (config.Kind == ClusterKind.Eds) endpoints.Add(config.AssignmentName);
                if (config.Zones is not null) endpoints.Add(OwnZones.Assignment);
                secrets.UnionWith(config.Secrets);
            }
            else if (resource is ListenerSnapshot listener)
            {
                foreach (var chain in listener.Chains.All)
                {
                    if (chain.Action is HttpAction { Routes: null } http) routes.Add(http.RouteName);
                    if (chain.Tls is { } tls) secrets.UnionWith(tls.Secrets);
                }
            }
        }
        secrets.RemoveWhere(name => !DiscoveredSecrets.Has(name) && !IdentityNames.Has(name) && !IsNamedFile(name));
        return new(endpoints, routes, secrets);
    }

    /// <summary>The roots of the machine are needed by many, and always there.</summary>
    private static bool IsNamedFile(string secret) => secret.StartsWith("file-", StringComparison.Ordinal) && secret != TlsSettings.SystemRoots;

    private static HashSet<string> Set() => new(StringComparer.Ordinal);
}
