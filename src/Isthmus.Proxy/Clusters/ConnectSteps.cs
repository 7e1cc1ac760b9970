using System.Runtime.CompilerServices;
using Isthmus.Core.Collections;
using Isthmus.Proxy.Loops;
using Isthmus.Proxy.Tls;
using Isthmus.Proxy.Transports;

namespace Isthmus.Proxy.Clusters;

/// <summary>What a connection to a host is for.</summary>
/// <param name="Authority">The host of the request; empty when there is none.</param>
/// <param name="Alpn">The protocols to offer over TLS; null: those of the cluster.</param>
/// <param name="Exchanges">The caller speaks <c>istio-peer-exchange</c>; otherwise it is not offered.</param>
/// <param name="Carried">The connection that it carries, for hosts that are told; null for none.</param>
internal readonly record struct ConnectPurpose(string Authority, IReadOnlyList<string>? Alpn, bool Exchanges, ProxiedConnection? Carried);

/// <summary>What the steps of a connection use.</summary>
internal sealed record ConnectParts(ISecretSource Secrets, TimeProvider Time);

/// <summary>Something that is done with a connection before it carries bytes. It returns the transport of the next step.</summary>
internal abstract record ConnectStep
{
    /// <exception cref="TransportException">The host does not take part, or its identity is wrong.</exception>
    public abstract ValueTask<Transport> TakeAsync(
        Transport transport, Endpoint endpoint, ClusterState cluster, ConnectPurpose purpose, ConnectParts parts);
}

/// <summary>Says whose connection it is, in a header of the PROXY protocol.</summary>
internal sealed record ProxyHeaderStep(ProxyProtocolVersion Version) : ConnectStep
{
    [AsyncMethodBuilder(typeof(PooledMethodBuilder<>))]
    public override async ValueTask<Transport> TakeAsync(
        Transport transport, Endpoint endpoint, ClusterState cluster, ConnectPurpose purpose, ConnectParts parts)
    {
        await transport.WriteAsync(ProxyHeader.Write(Version, purpose.Carried)).ConfigureAwait(false);
        return transport;
    }
}

/// <summary>Handshakes as client of TLS.</summary>
internal sealed record TlsStep(TlsSettings Settings) : ConnectStep
{
    [AsyncMethodBuilder(typeof(PooledMethodBuilder<>))]
    public override async ValueTask<Transport> TakeAsync(
        Transport transport, Endpoint endpoint, ClusterState cluster, ConnectPurpose purpose, ConnectParts parts)
    {
        var alpn = purpose.Alpn ?? (purpose.Exchanges ? Settings.Alpn : Settings.AlpnWithoutExchange);
        var tls = await TlsTransport.ConnectAsync(transport, Settings, purpose.Authority, alpn, parts.Secrets, cluster.Config.ConnectTimeout, parts.Time)
            .ConfigureAwait(false);
        Interlocked.Increment(ref cluster.Counters.Handshakes);
        return tls;
    }
}

/// <summary>The steps between a dialed socket and the transport that carries bytes, in their order.</summary>
internal sealed record ConnectSteps(ValueList<ConnectStep> All)
{
    /// <summary>Plain bytes.</summary>
    public static readonly ConnectSteps None = new(ValueList<ConnectStep>.Empty);

    /// <summary>The TLS that the bytes are in at last; null for none.</summary>
    public TlsSettings? Tls { get; } = All.OfType<TlsStep>().LastOrDefault()?.Settings;

    /// <summary>What is dialed in place of hosts; null: the hosts are.</summary>
    public ForwardProxyStep? ForwardProxy { get; } = All.OfType<ForwardProxyStep>().FirstOrDefault();

    /// <summary>The host is told whose connection it gets.</summary>
    public bool TellsClients { get; } = All.OfType<ProxyHeaderStep>().Any();

    /// <exception cref="TransportException">A step failed.</exception>
    [AsyncMethodBuilder(typeof(PooledMethodBuilder<>))]
    public async ValueTask<Transport> TakeAsync(
        Transport transport, Endpoint endpoint, ClusterState cluster, ConnectPurpose purpose, ConnectParts parts)
    {
        foreach (var step in All) transport = await step.TakeAsync(transport, endpoint, cluster, purpose, parts).ConfigureAwait(false);
        return transport;
    }
}
