using System.Net;
using System.Net.Sockets;
using System.Text.Json.Nodes;
using Isthmus.Lab.ApiServer.Objects;
using Isthmus.Lab.ApiServer.Storage;
using Isthmus.Lab.ApiServer.Values;

namespace Isthmus.Lab.ApiServer.Endpoints;

/// <summary>The Service or port does not exist, no endpoint is ready, or none answers. The messages are those of a real API server.</summary>
internal sealed class ServiceUnreachableException(string message, Exception? cause = null) : Exception(message, cause);

/// <summary>
/// Connects to a Service of this cluster from the node's network. It goes to a ready endpoint itself, not through the ClusterIP:
/// this works before the node has rules for the Service, and gives a clear error if there is no endpoint.
/// </summary>
internal sealed class ServiceEndpoints(IObjectStore store, Random random)
{
    private const int MaxAttempts = 3;
    private const string ServiceLabel = "kubernetes.io/service-name";

    /// <exception cref="ServiceUnreachableException"/>
    public async Task<NetworkStream> DialAsync(string ns, string service, int port, CancellationToken stop)
    {
        var candidates = Shuffled(Find(ns, service, port));
        for (var i = 0; ; i++)
        {
            try
            {
                return await DialAsync(candidates[i], stop);
            }
            catch (ServiceUnreachableException) when (i + 1 < Math.Min(candidates.Length, MaxAttempts))
            {
                // Another endpoint may answer; the last one's failure is reported.
            }
        }
    }

    /// <summary>A ready endpoint for a port of a Service, by the port's name.</summary>
    /// <exception cref="ServiceUnreachableException"/>
    public EndPoint Any(string ns, string service, string portName)
    {
        var found = Slices(ns, service, portName);
        return found.Length > 0 ? Shuffled(found)[0] : throw new ServiceUnreachableException($"no endpoints available for service \"{service}\"");
    }

    public static async Task<NetworkStream> DialAsync(EndPoint to, CancellationToken stop)
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            await socket.ConnectAsync(to, stop);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch (SocketException e)
        {
            socket.Dispose();
            var shown = to is DnsEndPoint name ? $"{name.Host}:{name.Port}" : to.ToString();
            throw new ServiceUnreachableException($"dial tcp {shown}: connect: {Words(e)}", e);
        }
        catch (OperationCanceledException)
        {
            socket.Dispose();
            throw;
        }
    }

    /// <summary>Addresses of ready endpoints for a port of a Service; never empty.</summary>
    internal EndPoint[] Find(string ns, string service, int port)
    {
        var spec = store.Find(Resources.Services, ns, service)?.Parse()["spec"]
            ?? throw new ServiceUnreachableException($"service \"{service}\" not found");
        var held = Json.Objects(spec["ports"]).FirstOrDefault(p => Json.Whole(p["port"]) == port)
            ?? throw new ServiceUnreachableException($"no service port {port} found for service \"{service}\"");
        if (spec.TextAt("type") == "ExternalName") return [new DnsEndPoint(spec.TextAt("externalName"), port)];
        var name = Json.Text(held["name"]);
        var found = Slices(ns, service, name);
        return found.Length > 0 ? found : throw new ServiceUnreachableException($"no endpoints available for service \"{service}\"");
    }

    private EndPoint[] Shuffled(EndPoint[] endpoints)
    {
        lock (random) // guards the shared generator
        {
            random.Shuffle(endpoints);
        }
        return endpoints;
    }

    private EndPoint[] Slices(string ns, string service, string portName)
    {
        var found = new List<EndPoint>();
        foreach (var stored in store.List(Resources.EndpointSlices, ns).Items)
        {
            if (stored.Labels.GetValueOrDefault(ServiceLabel) != service) continue;
            var slice = stored.Parse();
            var port = Json.Objects(slice["ports"]).FirstOrDefault(p => Json.Text(p["name"]) == portName);
            if (Json.Whole(port?["port"]) is not { } number) continue;
            foreach (var endpoint in Json.Objects(slice["endpoints"]).Where(IsReady))
                foreach (var address in Json.Texts(endpoint["addresses"]))
                    if (IPAddress.TryParse(address, out var ip)) found.Add(new IPEndPoint(ip, (int)number));
        }
        return [.. found];
    }

    // An endpoint without the condition is ready.
    private static bool IsReady(JsonObject endpoint) => Json.Truth(endpoint.At("conditions", "ready")) != false;

    internal static string Words(SocketException e) => e.SocketErrorCode switch
    {
        SocketError.ConnectionRefused => "connection refused",
        SocketError.HostUnreachable => "no route to host",
        SocketError.NetworkUnreachable => "network is unreachable",
        SocketError.TimedOut => "connection timed out",
        SocketError.HostNotFound => "no such host",
        _ => e.Message,
    };
}
