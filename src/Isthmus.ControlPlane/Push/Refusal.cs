using Isthmus.Core.Problems;
using Isthmus.Mesh.Model;
using Isthmus.Wire.Xds;

namespace Isthmus.ControlPlane.Push;

/// <summary>A proxy refuses a resource and keeps the one that it has: whatever else is in the resource does not reach it either.</summary>
internal static class Refusal
{
    internal const string Code = "ISM1032";

    internal static Problem Of(ProxyIdentity proxy, TypeSync type)
    {
        var (kind, sources) = type.TypeUrl switch
        {
            TypeUrls.Listener => ("listener", "AuthorizationPolicies, RequestAuthentications, PeerAuthentications, Telemetries, Gateways and EnvoyFilters"),
            TypeUrls.Cluster => ("cluster", "DestinationRules, ServiceEntries and EnvoyFilters"),
            TypeUrls.Route => ("route", "VirtualServices and EnvoyFilters"),
            TypeUrls.Endpoints => ("endpoints", "Services, ServiceEntries and DestinationRules"),
            TypeUrls.Secret => ("certificate", "the Secrets and ConfigMaps"),
            _ => (type.TypeUrl, "all objects"),
        };
        var remedy = type.TypeUrl == TypeUrls.Secret
            ? "put PEM certificates, and the key that belongs to them, into the Secret or ConfigMap that the reason names"
            : "correct or remove the object that the reason points to, most likely an EnvoyFilter";
        return new(
            Code, $"proxy {proxy.Id}", kind,
            $"refused by the proxy: {type.Error}; it keeps the last version that it accepted, so changes of {sources} that are part of the same {kind} have no "
                + $"effect on the proxy",
            remedy);
    }
}
