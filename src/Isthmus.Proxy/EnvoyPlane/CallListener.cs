using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Google.Protobuf;
using Isthmus.Core.Names;
using Isthmus.Proxy.Trace;
using Isthmus.Proxy.Transports;
using Isthmus.Wire;
using Isthmus.Wire.Envoy;
using Isthmus.Wire.Envoy.ListenerFilters;
using Isthmus.Wire.Envoy.Listeners;
using Isthmus.Wire.Xds;

namespace Isthmus.Proxy.EnvoyPlane;

/// <summary>
/// The listener at which traced calls enter Envoy: that of outbound connections once more, at a Unix socket, where a header of the PROXY protocol says what the
/// kernel says of redirected connections. The agent adds it to what the control plane sends, which never hears of it.
/// </summary>
/// <param name="path">The socket, in the directory of the agent.</param>
internal sealed class CallListener(string path)
{
    /// <summary>The listener of redirected outbound connections (Istio).</summary>
    private const string Original = "virtualOutbound";

    private const string Filter = "envoy.filters.listener.proxy_protocol";

    private const uint OwnerOnly = 0b110_000_000;

    private volatile bool _isKnown;

    public string Path => path;

    /// <summary>What of a request of Envoy the control plane must hear.</summary>
    public DeltaDiscoveryRequest Heard(DeltaDiscoveryRequest request)
    {
        if (request.Node is { } node) _isKnown = node.Extensions.Any(extension => extension.Name == Filter && !extension.Disabled);
        if (request.TypeUrl != TypeUrls.Listener || !request.InitialResourceVersions.ContainsKey(AgentListeners.Calls)) return request;
        var rest = request.Clone();
        rest.InitialResourceVersions.Remove(AgentListeners.Calls);
        return rest;
    }

    /// <summary>Adds the listener where its original is sent, and removes it with that.</summary>
    public DeltaDiscoveryResponse Told(DeltaDiscoveryResponse response)
    {
        if (response.TypeUrl != TypeUrls.Listener || !_isKnown) return response;
        if (response.RemovedResources.Contains(Original))
        {
            var less = response.Clone();
            less.RemovedResources.Add(AgentListeners.Calls);
            return less;
        }
        if (response.Resources.FirstOrDefault(resource => resource.Name == Original) is not { } original || Copy(original) is not { } copy) return response;
        var more = response.Clone();
        more.Resources.Add(copy);
        return more;
    }

    /// <returns>Null when it cannot be read; Envoy then rejects the original.</returns>
    private Resource? Copy(Resource original)
    {
        Listener listener;
        try
        {
            listener = Listener.Parser.ParseFrom(original.Resource_.Value);
        }
        catch (InvalidProtocolBufferException)
        {
            return null;
        }
        listener.Name = AgentListeners.Calls;
        listener.StatPrefix = AgentListeners.Calls;
        listener.Address = new() { Pipe = new() { Path = path, Mode = OwnerOnly } };
        listener.AdditionalAddresses.Clear();
        listener.SocketOptions.Clear();
        // What sockets of TCP have only.
        (listener.Transparent, listener.Freebind, listener.TcpFastOpenQueueLength, listener.EnableReusePort) = (null, null, null, false);
        listener.ListenerFilters.Insert(0, new ListenerFilter { Name = Filter, TypedConfig = TypeNames.Pack(new ProxyProtocol()) });
        var copy = original.Clone();
        (copy.Name, copy.Resource_) = (AgentListeners.Calls, TypeNames.Pack(listener));
        return copy;
    }
}

/// <summary>Hands a traced call to Envoy.</summary>
/// <param name="own">The address of the Pod.</param>
internal sealed class EnvoyEntry(CallListener listener, IPAddress? own, ISocketFactory sockets) : ICallEntry
{
    /// <summary>A port of the caller, which nothing depends on.</summary>
    private const int CallerPort = 40000;

    public async ValueTask<EnteredCall?> EnterAsync(CallRequest call, CancellationToken limit, CancellationToken stop)
    {
        var socket = sockets.Create(AddressFamily.Unix);
        try
        {
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(listener.Path), limit).ConfigureAwait(false);
            await socket.SendAsync(Header(call.To), SocketFlags.None, limit).ConfigureAwait(false);
        }
        catch (SocketException)
        {
            socket.Dispose();
            return null;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
        return new(socket, (result, _) => Task.FromResult(EnvoyAnswer.Seen(call.Kind, result)));
    }

    private byte[] Header(IPEndPoint to)
    {
        var family = to.AddressFamily == AddressFamily.InterNetworkV6 ? "TCP6" : "TCP4";
        var source = own ?? IPAddress.Loopback;
        if (source.AddressFamily != to.AddressFamily)
            source = to.AddressFamily == AddressFamily.InterNetworkV6 ? source.MapToIPv6() : IPAddress.Loopback;
        return Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"PROXY {family} {source} {to.Address} {CallerPort} {to.Port}\r\n"));
    }
}
