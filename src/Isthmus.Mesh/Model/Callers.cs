using System.Net.Sockets;
using Isthmus.Core.Collections;

namespace Isthmus.Mesh.Model;

/// <summary>What matches of routes ask about who calls.</summary>
public readonly record struct CallSource(string Namespace, ValueMap<string> Labels)
{
    /// <param name="ns">Empty for any.</param>
    /// <param name="labels">Empty for any.</param>
    public bool Is(string ns, ValueMap<string> labels) => (ns.Length == 0 || ns == Namespace) && Selectors.Matches(labels, Labels);
}

/// <summary>What routes of requests depend on of the proxies that have them.</summary>
/// <param name="Source">In the inputs of a resource, only what a match asks for: see <see cref="For"/>.</param>
/// <param name="CountsAttempts">Whether requests carry the number of their attempt.</param>
public sealed record RouteCaller(CallSource Source, bool CountsAttempts)
{
    /// <summary>The proxy lacks the filter for asking an authorizer: it must not serve rules that ask one.</summary>
    public bool CannotAsk { get; init; }

    /// <summary>Without what these routes do not ask for, so that callers who differ in nothing else share what is made of them.</summary>
    public RouteCaller For(RouteSet? routing)
    {
        var (asksNamespace, asksLabels) = (false, false);
        foreach (var match in routing?.Rules.SelectMany(rule => rule.Matches) ?? [])
        {
            asksNamespace |= match.SourceNamespace.Length > 0;
            asksLabels |= match.SourceLabels.Count > 0;
        }
        return this with
        {
            Source = new(asksNamespace ? Source.Namespace : "", asksLabels ? Source.Labels : default),
            CannotAsk = CannotAsk && routing?.Rules.Any(rule => rule.Filters.Authorizer is not null) == true,
        };
    }
}

/// <summary>What clusters depend on of the proxies that call through them.</summary>
/// <param name="ExchangesMetadata">They speak <c>istio-peer-exchange</c>.</param>
/// <param name="TellsMeshOnly">They tell the mesh about themselves, and nobody else.</param>
/// <param name="IsRecent">As <see cref="ProxySoftware.IsRecent"/>.</param>
public sealed record ClusterCaller(Vantage From, bool ExchangesMetadata, bool TellsMeshOnly, bool IsRecent)
{
    /// <summary>The name under which they get the certificate that they show to backends; empty for none.</summary>
    public string ClientCredential { get; init; } = "";

    /// <summary>They open tunnels to endpoints that accept them (HBONE).</summary>
    public bool SendsTunnels { get; init; }

    /// <summary>Their data plane is Envoy, which does not tell endpoints that are not ready from those that it has ejected.</summary>
    public bool IsEnvoy { get; init; }
}

/// <summary>What the addresses of hosts depend on of the proxies that dial them.</summary>
/// <param name="DnsCapture">Their applications resolve names at the proxy.</param>
/// <param name="DnsAutoAllocate">The proxy then resolves ServiceEntries without addresses, too.</param>
/// <param name="Family">The only family of addresses that they can dial; null for any.</param>
public sealed record AddressCaller(string Cluster, bool DnsCapture, bool DnsAutoAllocate, AddressFamily? Family);

/// <summary>What the domains of virtual hosts depend on of the proxies that have them.</summary>
/// <param name="Namespace">Aliases may be visible to some.</param>
/// <param name="Domain">What resolv.conf's search list lets applications leave out: <c>NAMESPACE.svc.SUFFIX</c>.</param>
public sealed record DomainCaller(AddressCaller Addresses, string Namespace, string Domain);

/// <summary>What outbound listeners depend on of the proxies that have them.</summary>
/// <param name="Network">Endpoints of others are not dialled directly; empty: all are.</param>
public sealed record ListenerCaller(AddressCaller Addresses, string Network, CallSource Source);

/// <summary>What name tables depend on of the proxies that have them.</summary>
/// <param name="Network">Endpoints of others are not dialled directly; empty: all are.</param>
/// <param name="Namespace">Aliases may be visible to some; empty where there are none.</param>
public sealed record NameCaller(AddressCaller Addresses, string Network, string Namespace);
