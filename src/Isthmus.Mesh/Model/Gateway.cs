using Isthmus.Core.Collections;

namespace Isthmus.Mesh.Model;

/// <param name="Hosts">As written: <c>host</c> or <c>namespace/host</c>.</param>
/// <param name="Bind">Address or unix socket; empty: every address.</param>
public sealed record GatewayServer(int Port, string PortName, Protocol Protocol, int TargetPort, string Bind, ValueList<string> Hosts, ServerTls? Tls);

/// <summary>Servers for the gateway workloads that <paramref name="Selector"/> picks.</summary>
public sealed record Gateway(ObjectRef Source, ValueMap<string> Selector, ValueList<GatewayServer> Servers, long CreatedAt)
{
    public string Namespace => Source.Namespace;
    public string Name => Source.Name;

    /// <summary>The name by which VirtualServices refer to it.</summary>
    public string FullName => $"{Namespace}/{Name}";
}
