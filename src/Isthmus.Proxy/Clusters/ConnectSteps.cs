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
internal readonly record struct ConnectPurpose(string Authority, IReadOnlyList<string>? Alpn, bool Exchanges, ProxiedConnection? Carried)
{
    /// <summary>What filters said of the caller, for internal listeners.</summary>
    public FilterState Passed { get => field ?? FilterState.Empty; init; }
}

/// <summary>What the steps of a connection use.</summary>
internal sealed record ConnectParts(ISecretSource Secrets, TimeProvider Time);

/// <summary>Something that is done with a connection before it carries bytes. It returns the transport of the next step.</summary>
internal abstract record ConnectStep
{
    /// <param name="transport">That of the step before.</param>
    /// <param name="endpoint">Where the connection leads.</param>
    /// <param name="purpose">What it is for.</param>
    /// <param name="left">How long the step may take.</param>
    /// <param name="parts">What steps use.</param>
    /// <exception cref="TransportException">The host does not take part, or its identity is wrong.</exception>
    public abstract ValueTask<Transport> TakeAsync(Transport transport, Endpoint endpoint, ConnectPurpose purpose, TimeSpan left, ConnectParts parts);
}

/// <summary>Says whose connection it is, in a header of the PROXY protocol.</summary>
internal sealed record ProxyHeaderStep(ProxyProtocolVersion Version) : ConnectStep
{
    [AsyncMethodBuilder(typeof(PooledMethodBuilder<>))]
    public override async ValueTask<Transport> TakeAsync(
        Transport transport, Endpoint endpoint, ConnectPurpose purpose, TimeSpan left, ConnectParts parts)
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
        Transport transport, Endpoint endpoint, ConnectPurpose purpose, TimeSpan left, ConnectParts parts)
    {
        var alpn = purpose.Alpn ?? (purpose.Exchanges ? Settings.Alpn : Settings.AlpnWithoutExchange);
        return await TlsTransport.ConnectAsync(transport, Settings, purpose.Authority, alpn, parts.Secrets, left, parts.Time).ConfigureAwait(false);
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

    /// <summary>What internal listeners get; null: nothing.</summary>
    public InternalStep? Internal { get; } = All.OfType<InternalStep>().FirstOrDefault();

    /// <summary>The host is told whose connection it gets.</summary>
    public bool TellsClients { get; } = All.OfType<ProxyHeaderStep>().Any();

    /// <summary>Those that can be taken with no request at hand: not TLS whose names are those of requests.</summary>
    public ConnectSteps WithoutRequest => Tls is { SniFromRequest: true } or { NameFromRequest: true }
        ? new(All.Where(step => step is not TlsStep).ToValueList()) : this;

    /// <param name="transport">The dialed socket.</param>
    /// <param name="endpoint">Where the connection leads.</param>
    /// <param name="purpose">What it is for.</param>
    /// <param name="limit">How much time the connection has in all, and the timestamp from which it counts: dialing was a part of it.</param>
    /// <param name="parts">What steps use.</param>
    /// <exception cref="TransportException">A step failed.</exception>
    [AsyncMethodBuilder(typeof(PooledMethodBuilder<>))]
    public async ValueTask<Transport> TakeAsync(
        Transport transport, Endpoint endpoint, ConnectPurpose purpose, (TimeSpan Timeout, long Start) limit, ConnectParts parts)
    {
        foreach (var step in All)
        {
            var left = limit.Timeout - parts.Time.GetElapsedTime(limit.Start);
            if (left <= TimeSpan.Zero) throw new TransportException(TransportFailure.TimedOut, "the connection took too long");
            transport = await step.TakeAsync(transport, endpoint, purpose, left, parts).ConfigureAwait(false);
        }
        return transport;
    }
}
