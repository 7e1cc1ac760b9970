using System.Net;
using Isthmus.Proxy.Snapshot;
using Isthmus.Proxy.Telemetry;
using Isthmus.Proxy.Tls;

namespace Isthmus.Proxy.Decisions;

/// <summary>A listener of a proxy.</summary>
public sealed class ListenerView
{
    private readonly ListenerSnapshot _listener;
    private readonly ProxySnapshot _snapshot;

    internal ListenerView(ListenerSnapshot listener, ProxySnapshot snapshot) => (_listener, _snapshot) = (listener, snapshot);

    /// <summary>The name of its resource.</summary>
    public string Name => _listener.Name;

    /// <summary>Whether its connections are those to the Pod.</summary>
    public bool IsInbound => _listener.Direction == Direction.Inbound;

    /// <summary>Whether a chain of it ends TLS.</summary>
    public bool EndsTls => _listener.Chains.All.Any(chain => chain.Tls is not null);

    /// <summary>Whether it reads a header of the PROXY protocol at the begin of connections.</summary>
    public bool ReadsProxyHeader => _listener.ProxyHeader is not null;

    /// <summary>Whether it closes connections that do not begin with such a header.</summary>
    public bool DemandsProxyHeader => _listener.ProxyHeader is { IsOptional: false };

    /// <summary>Whether the choice of a chain for a port waits for a ClientHello.</summary>
    public bool ReadsTls(int port) => _listener.Chains.NeedsBytes(port) && _listener.InspectTls?.Contains(port) == true;

    /// <summary>Whether the choice of a chain for a port looks for HTTP in plain bytes.</summary>
    public bool ReadsHttp(int port) => _listener.Chains.NeedsBytes(port) && _listener.InspectHttp?.Contains(port) == true;

    /// <summary>The filters that connections to a port meet, and that the proxy does not have.</summary>
    public IEnumerable<string> Lacked(int port) => _listener.Unsupported.Where(filter => filter.Ports.Contains(port)).Select(filter => filter.Name);

    /// <summary>The chain that takes a connection; null: none does.</summary>
    /// <param name="serverName">From the ClientHello, in lower case; null: no TLS was seen.</param>
    /// <param name="protocols">From the ClientHello's ALPN, or as detected from plain bytes.</param>
    public ChainView? Choose(IPEndPoint destination, IPEndPoint source, string? serverName, IReadOnlyList<string> protocols) =>
        _listener.Chains.Find(new ConnectionFacts(destination, source, serverName ?? "", serverName is null ? "raw_buffer" : "tls", protocols)) is { } chain
            ? new(chain, _listener, _snapshot) : null;
}
