using System.Diagnostics;
using System.Threading.Channels;
using Google.Protobuf.WellKnownTypes;
using Isthmus.Wire.Envoy;
using Isthmus.Wire.Envoy.Endpoints;
using Isthmus.Wire.Grpc;
using Isthmus.Wire.Xds;

namespace Isthmus.Rigs.Mesh;

/// <summary>A proxy as the control plane sees it: it subscribes as a sidecar does, accepts everything, and keeps nothing.</summary>
/// <param name="takesHosts">It says that it takes virtual hosts as resources of their own.</param>
internal sealed class DiscoveryClient(Uri server, int number, bool delta, string ns = LoadedControlPlane.Namespace, bool takesHosts = false)
{
    /// <summary>The services of a <see cref="LoadedControlPlane"/> have HTTP on this port only.</summary>
    private const string RouteName = "80";

    private readonly TaskCompletionSource _complete = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Channel<Seen> _changes = Channel.CreateUnbounded<Seen>();

    /// <summary>A change after the first state.</summary>
    /// <param name="What">The last address of a set of endpoints; or <c>routes</c>.</param>
    /// <param name="Bytes">The size of the response.</param>
    internal readonly record struct Seen(string What, long At, int Bytes);

    /// <summary>Completes when clusters, endpoints, listeners and routes have come; fails when the stream ends before.</summary>
    internal Task Complete => _complete.Task;

    /// <summary>How many clusters, endpoint sets and listeners the first state had.</summary>
    internal (int Clusters, int Endpoints, int Listeners) First { get; private set; }

    /// <summary>The endpoint sets and route tables that changed after the first state.</summary>
    internal ChannelReader<Seen> Changes => _changes.Reader;

    internal async Task RunAsync(CancellationToken stop)
    {
        try
        {
            using var channel = new GrpcChannel(new(server) { MaxMessage = 256 << 20, ConnectTimeout = TimeSpan.FromMinutes(2) });
            await (delta ? DeltaAsync(channel, stop) : StateOfTheWorldAsync(channel, stop));
            throw new InvalidOperationException("the control plane ended the stream");
        }
        catch (Exception e) when (!stop.IsCancellationRequested)
        {
            _complete.TrySetException(e);
            _changes.Writer.TryComplete(e);
        }
        catch (Exception e) when (e is OperationCanceledException or GrpcException or IOException)
        {
            _complete.TrySetCanceled(stop);
        }
    }

    private Node Node
    {
        get
        {
            var address = $"10.{200 + number / 62500}.{number / 250 % 250}.{number % 250 + 1}";
            var node = new Node { Id = $"sidecar~{address}~client-{number}.{ns}~{ns}.svc.cluster.local", Metadata = new() };
            node.Metadata.Fields["CLUSTER_ID"] = Value.ForString(LoadedControlPlane.Cluster);
            node.Metadata.Fields["NAMESPACE"] = Value.ForString(ns);
            if (takesHosts) node.ClientFeatures.Add(VirtualHosts.Feature);
            return node;
        }
    }

    private async Task DeltaAsync(GrpcChannel channel, CancellationToken stop)
    {
        await using var call = channel.Open(AdsMethods.Delta, new(), stop);
        await call.WriteAsync(new() { Node = Node, TypeUrl = TypeUrls.Cluster }, stop);
        while (await call.ReadAsync(stop) is { } response)
        {
            await call.WriteAsync(new() { TypeUrl = response.TypeUrl, ResponseNonce = response.Nonce }, stop);
            var isFirst = !_complete.Task.IsCompleted;
            if (Next(response.TypeUrl, response.Resources.Select(resource => resource.Name)) is { } next)
            {
                var request = new DeltaDiscoveryRequest { TypeUrl = next.Type };
                request.ResourceNamesSubscribe.AddRange(next.Names);
                await call.WriteAsync(request, stop);
            }
            else if (!isFirst) Changed(response.TypeUrl, response.Resources.Select(resource => resource.Resource_), response.CalculateSize());
        }
    }

    private async Task StateOfTheWorldAsync(GrpcChannel channel, CancellationToken stop)
    {
        var subscribed = new Dictionary<string, IReadOnlyCollection<string>>(StringComparer.Ordinal);
        await using var call = channel.Open(AdsMethods.StateOfTheWorld, new(), stop);
        await call.WriteAsync(new() { Node = Node, TypeUrl = TypeUrls.Cluster }, stop);
        while (await call.ReadAsync(stop) is { } response)
        {
            var ack = new DiscoveryRequest { TypeUrl = response.TypeUrl, ResponseNonce = response.Nonce, VersionInfo = response.VersionInfo };
            ack.ResourceNames.AddRange(subscribed.GetValueOrDefault(response.TypeUrl) ?? []);
            await call.WriteAsync(ack, stop);
            var isFirst = !_complete.Task.IsCompleted;
            if (Next(response.TypeUrl, response.Resources.Select(resource => NameOf(response.TypeUrl, resource))) is { } next)
            {
                var request = new DiscoveryRequest { TypeUrl = next.Type };
                request.ResourceNames.AddRange(subscribed[next.Type] = next.Names);
                await call.WriteAsync(request, stop);
            }
            else if (!isFirst) Changed(response.TypeUrl, response.Resources, response.CalculateSize());
        }
    }

    private static string NameOf(string type, Any resource) =>
        type == TypeUrls.Cluster ? Isthmus.Wire.Envoy.Clusters.Cluster.Parser.ParseFrom(resource.Value).Name : "";

    /// <summary>What a sidecar subscribes to after the first response of a type; null after every later one.</summary>
    private (string Type, IReadOnlyCollection<string> Names)? Next(string type, IEnumerable<string> names)
    {
        if (_complete.Task.IsCompleted) return null;
        var all = names.ToList();
        switch (type)
        {
            case TypeUrls.Cluster:
                First = First with { Clusters = all.Count };
                return (TypeUrls.Endpoints, [.. all.Where(name => name.StartsWith("outbound|", StringComparison.Ordinal))]);
            case TypeUrls.Endpoints:
                First = First with { Endpoints = all.Count };
                return (TypeUrls.Listener, []);
            case TypeUrls.Listener:
                First = First with { Listeners = all.Count };
                return (TypeUrls.Route, [RouteName]);
            case TypeUrls.Route when takesHosts:
                return (TypeUrls.VirtualHost, []);
            default:
                _complete.TrySetResult();
                return null;
        }
    }

    private void Changed(string type, IEnumerable<Any> resources, int bytes)
    {
        var now = Stopwatch.GetTimestamp();
        if (type is TypeUrls.Route or TypeUrls.VirtualHost) _changes.Writer.TryWrite(new("routes", now, bytes));
        if (type != TypeUrls.Endpoints) return;
        foreach (var assignment in resources)
        {
            if (ClusterLoadAssignment.Parser.ParseFrom(assignment.Value).Endpoints.SelectMany(group => group.LbEndpoints).LastOrDefault() is { } last)
                _changes.Writer.TryWrite(new(last.Endpoint.Address.SocketAddress.Address, now, bytes));
        }
    }
}
