using Isthmus.Core.Collections;
using Isthmus.Core.Net;

namespace Isthmus.Mesh.Model;

/// <param name="Hosts">As written: <c>host</c> or <c>namespace/host</c>.</param>
/// <param name="Bind">Null: every address.</param>
public sealed record GatewayServer(int Port, string PortName, Protocol Protocol, int TargetPort, Address? Bind, ValueList<string> Hosts, ServerTls? Tls)
{
    /// <summary>Its hosts without the namespaces whose routes they take.</summary>
    public IEnumerable<string> HostNames => Hosts.Select(host => host[(host.IndexOf('/', StringComparison.Ordinal) + 1)..]);
}

/// <summary>Servers for the gateway workloads that <paramref name="Selector"/> picks.</summary>
public sealed record Gateway(ObjectRef Source, ValueMap<string> Selector, ValueList<GatewayServer> Servers, long CreatedAt)
{
    public string Namespace => Source.Namespace;
    public string Name => Source.Name;

    /// <summary>The object that asks for it, if that is not a Gateway.</summary>
    public ObjectRef? Owner { get; init; }

    /// <summary>The only namespace of the Pods that it selects; empty: any.</summary>
    public string PodNamespace { get; init; } = "";

    /// <summary>The account whose Pods get its certificates without a right to read Secrets: they are deployed for it; empty for none.</summary>
    public string Account { get; init; } = "";

    /// <summary>The certificate that its Pods show to backends where these demand TLS by a BackendTLSPolicy; null for none.</summary>
    public NamedCredential? BackendCredential { get; init; }

    /// <summary>Requests for a host get the routes of the server with the narrowest name for it only, among those of a port that say so.</summary>
    public bool IsolatesHosts { get; init; }

    /// <summary>What its author wrote, as problems name it.</summary>
    public string Author => Owner is { } owner ? $"{owner.Kind} {owner.Namespace}/{owner.Name}" : $"Gateway {FullName}";

    /// <summary>The name by which VirtualServices refer to it.</summary>
    public string FullName => $"{Namespace}/{Name}";

    /// <summary>Whether it passes connections of other networks on to the service that their SNI names.</summary>
    public bool PassesBySni => Servers.Any(server => server.Tls is { Mode: ServerTlsMode.AutoPassthrough });

    /// <summary>Whether it passes calls by names in the zone <c>global</c> only: clusters that are joined by such names do not watch each other.</summary>
    public bool PassesGlobalNames =>
        Servers.Any(server => server.Tls is { Mode: ServerTlsMode.AutoPassthrough } && server.Hosts.Count > 0
            && server.Hosts.All(host => host.EndsWith(".global", StringComparison.Ordinal)));
}
