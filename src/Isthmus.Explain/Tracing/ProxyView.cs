using System.Globalization;
using System.Net;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json.Nodes;
using Google.Protobuf;
using Isthmus.Operate.Diagnose;
using Isthmus.Proxy.Clusters;
using Isthmus.Proxy.Http;
using Isthmus.Proxy.Listeners;
using Isthmus.Proxy.Matching;
using Isthmus.Proxy.Messages;
using Isthmus.Proxy.Snapshot;
using Isthmus.Proxy.Telemetry;
using Isthmus.Reports;
using Isthmus.Wire;
using Isthmus.Wire.Tls;
using ClusterLoadAssignment = Isthmus.Wire.Envoy.Endpoints.ClusterLoadAssignment;
using static Isthmus.Operate.Diagnose.ConfigDump;
using Cluster = Isthmus.Wire.Envoy.Clusters.Cluster;
using Listener = Isthmus.Wire.Envoy.Listeners.Listener;
using RouteConfiguration = Isthmus.Wire.Envoy.Routes.RouteConfiguration;

namespace Isthmus.Explain.Tracing;

/// <summary>A certificate that a proxy presents, with the rest of its chain.</summary>
internal sealed record ShownCertificate(X509Certificate2 Leaf, IReadOnlyList<X509Certificate2> Rest)
{
    public string Identity => SubjectNames.Of(Leaf).Uris.FirstOrDefault() ?? Leaf.Subject;

    public DateTimeOffset Expires => Leaf.NotAfter.ToUniversalTime();

    public string Validity(DateTimeOffset now) => string.Create(CultureInfo.InvariantCulture,
        $"{(Expires > now ? "valid until" : "EXPIRED at")} {Expires:yyyy-MM-dd HH:mm}Z");
}

/// <summary>What the DNS returns to the applications of a Pod for a name.</summary>
/// <param name="By"><c>sidecar</c>, <c>upstream</c>, or empty when it is unknown.</param>
internal sealed record NameAnswer(string Host, string Name, IReadOnlyList<IPAddress> Addresses, string By);

/// <summary>A running proxy's configuration. The proxy's own decoders decode it, so its own tables decide.</summary>
internal sealed class ProxyView
{
    // A dump can hold the system's roots, 140 of them, and a trace follows few of its secrets. So each is read when a step asks for it.
    private readonly Dictionary<string, Lazy<ShownCertificate?>> _certificates = new(StringComparer.Ordinal);
    private readonly Dictionary<string, Lazy<TrustBundle?>> _roots = new(StringComparer.Ordinal);
    private readonly Dictionary<(string Cluster, string Address), HostCounts> _ejected = [];

    private ProxyView()
    {
    }

    public ProxySnapshot Snapshot { get; private init; } = ProxySnapshot.Empty;

    /// <summary>Listeners by the original destination of a redirected connection.</summary>
    public ListenerIndex Index { get; private init; } = new(ProxySnapshot.Empty);

    /// <summary>Where programs of the Pod accept connections; null when the proxy does not report it.</summary>
    public IReadOnlyList<IPEndPoint>? Listening { get; private init; }

    public NameAnswer? Name { get; private init; }

    /// <summary>Whether the sidecar answers DNS queries itself; null when it does not report that.</summary>
    public bool? CapturesDns { get; private init; }

    /// <summary>Whether the proxy, or its agent, can make a call.</summary>
    public bool CanCall { get; private init; }

    /// <summary>What to say of a proxy that is not Isthmus: it reports its configuration, and its agent may make calls. Empty for Isthmus.</summary>
    public string Stranger { get; private init; } = "";

    /// <summary>Resources that were rejected or that this program could not read, each with the reason.</summary>
    public IEnumerable<string> Unread { get; private init; } = [];

    /// <summary>The route that a request has before any filter runs, which says which of them do; null if there is none.</summary>
    public RouteSnapshot? FirstRoute(HttpAction http, RequestHead request, string scheme) =>
        (http.Routes ?? Snapshot.Routes.GetValueOrDefault(http.RouteName)) is { } table
            ? RouteDecision.For(table, request, scheme, new Random(1), null).ForFilters(scheme) : null;

    public ShownCertificate? Certificate(string secret) => _certificates.GetValueOrDefault(secret)?.Value;

    public TrustBundle? Roots(string secret) => _roots.GetValueOrDefault(secret)?.Value;

    public bool IsEjected(string cluster, Endpoint endpoint) => _ejected.ContainsKey((cluster, endpoint.AddressText));

    /// <summary>What the proxy counted of endpoints that are ejected.</summary>
    public HostCounts CountsOf(string cluster, IEnumerable<Endpoint> endpoints) =>
        endpoints.Select(endpoint => _ejected.GetValueOrDefault((cluster, endpoint.AddressText))).Aggregate(default(HostCounts), (sum, one) => sum + one);

    /// <summary>What limits of clusters have refused, by the name of the cluster.</summary>
    public IReadOnlyDictionary<string, PoolRefusals> Refusals { get; private init; } = new Dictionary<string, PoolRefusals>();

    /// <summary>The listener of all inbound connections.</summary>
    public ListenerSnapshot? Inbound =>
        Snapshot.Listeners.Values.FirstOrDefault(l => l is { Direction: Direction.Inbound, BindToPort: true } && l.Address.Port == Core.Names.Ports.Inbound);

    /// <summary>The listener of all outbound connections, which hands them to the other listeners.</summary>
    public ListenerSnapshot? Outbound => Snapshot.Listeners.Values.FirstOrDefault(l => l is { HandOff: true, Direction: Direction.Outbound });

    public static ProxyView Read(InspectReport inspection, TimeProvider time, Random random)
    {
        var dump = new ConfigDump(inspection.ConfigDump ?? []);
        var pod = inspection.Pod;
        var assignments = new DumpedResources<LoadAssignment>(dump.Endpoints, "cluster_name",
            json => EndpointDecoder.Decode(Message<ClusterLoadAssignment>(json)));
        var clusters = new DumpedResources<ClusterState>(dump.Clusters, "name",
            json => State(ClusterDecoder.Decode(Message<Cluster>(json)), assignments, inspection.Clusters, time, random));
        var listeners = new DumpedResources<ListenerSnapshot>(dump.Listeners, "name", json => ListenerDecoder.Decode(Message<Listener>(json)));
        var routes = new DumpedResources<RouteTable>(dump.Routes, "name", json => RouteDecoder.Decode(Message<RouteConfiguration>(json)));
        var snapshot = new ProxySnapshot(1, listeners, clusters, routes);
        var program = dump.OtherProgram;
        var canCall = pod is not null && (program.Length == 0 || pod.Calls == true);
        var view = new ProxyView
        {
            Snapshot = snapshot,
            Unread = assignments.Unread.Concat(clusters.Unread).Concat(listeners.Unread).Concat(routes.Unread),
            Index = new(snapshot),
            Listening = pod?.Listening?.Select(at => IPEndPoint.TryParse(at, out var point) ? point : null).OfType<IPEndPoint>().ToList(),
            Name = pod?.Name is { } name ? new(name.Host, name.Name, Addresses(name.Addresses), name.By) : null,
            CapturesDns = pod?.DnsCapture,
            CanCall = canCall,
            Refusals = PoolRefusals.Read(pod?.Refusals),
            Stranger = program.Length == 0 ? ""
                : pod is null ? $"{program}, not Isthmus: followed by its configuration only, no call is made or seen"
                : canCall ? $"{program}: calls are made, and what it sees of those of others is not known"
                : pod.Calls is null
                    ? $"{program}: followed by its configuration, no call is made, because its agent is of an older release: restart the Pod"
                : $"{program}: followed by its configuration, no call is made, because it lacks the PROXY protocol or access logs by gRPC",
        };
        view.ReadSecrets(dump);
        view.ReadHealth(inspection.Clusters);
        return view;
    }

    private static ClusterState State(ClusterSnapshot config, DumpedResources<LoadAssignment> assignments, JsonNode? statuses, TimeProvider time, Random random)
    {
        var cluster = new ClusterState(config, time, random);
        if (config.Kind == ClusterKind.Eds && assignments.TryGetValue(config.AssignmentName, out var known)) cluster.Update(known);
        if (config.Kind is ClusterKind.StrictDns or ClusterKind.LogicalDns) cluster.Update(Resolved(config, statuses));
        return cluster;
    }

    /// <summary>Addresses that a proxy resolved appear only in its host list. Each gets the properties of the first
    /// name.</summary>
    private static LoadAssignment Resolved(ClusterSnapshot config, JsonNode? statuses)
    {
        if (config.DnsTargets.IsEmpty) return LoadAssignment.Empty;
        var first = config.DnsTargets[0];
        var hosts = Hosts(statuses).Where(host => host.Cluster == config.Name).Select(host => IPEndPoint.TryParse(host.Address, out var point) ? point : null)
            .OfType<IPEndPoint>();
        return new(config.Name, [first.Locality with { Endpoints = [.. hosts.Select(point =>
            (config.DnsTargets.FirstOrDefault(target => target.Hostname == point.Address.ToString() && target.Port == point.Port) ?? first).Template with
            {
                Address = point
            })] }]);
    }

    private static T Message<T>(JsonObject json)
        where T : IMessage<T>, new()
    {
        var copy = (JsonObject)DirectorySource.Replace(json, static _ => { })!;
        copy.Remove("@type");
        return WireTypes.Lenient.Parse<T>(copy.ToJsonString());
    }

    private void ReadSecrets(ConfigDump dump)
    {
        foreach (var (secret, _, _) in dump.Secrets)
        {
            var name = Text(secret["name"]);
            if (At(secret, "tls_certificate", "certificate_chain", "inline_bytes") is { } chain) _certificates[name] = new(() => Shown(Pem(chain)));
            if (At(secret, "validation_context", "trusted_ca", "inline_bytes") is { } roots) _roots[name] = new(() => Bundle(Pem(roots)));
        }
    }

    private static ShownCertificate? Shown(X509Certificate2Collection chain) => chain.Count > 0 ? new(chain[0], [.. chain.Skip(1)]) : null;

    private static TrustBundle? Bundle(X509Certificate2Collection roots) => roots.Count > 0 ? new(roots) : null;

    private void ReadHealth(JsonNode? clusters)
    {
        foreach (var (cluster, address, ejected) in Hosts(clusters))
            if (ejected is { } counts) _ejected[(cluster, address)] = counts;
    }

    private static IEnumerable<(string Cluster, string Address, HostCounts? Ejected)> Hosts(JsonNode? clusters) =>
        from cluster in (At(clusters, "cluster_statuses") as JsonArray ?? []).OfType<JsonObject>()
        from host in (At(cluster, "host_statuses") as JsonArray ?? []).OfType<JsonObject>()
        let socket = At(host, "address", "socket_address")
        where socket is not null
        select (Text(cluster["name"]), string.Create(CultureInfo.InvariantCulture, $"{At(socket, "address")}:{At(socket, "port_value")}"),
            ProxyTables.IsTakenOut(host) ? HostCounts.Of(host) : (HostCounts?)null);

    private static X509Certificate2Collection Pem(JsonNode base64)
    {
        var certificates = new X509Certificate2Collection();
        try { certificates.ImportFromPem(Encoding.UTF8.GetString(Convert.FromBase64String(Text(base64)))); }
        catch (Exception e) when (e is FormatException or System.Security.Cryptography.CryptographicException) { }
        return certificates;
    }

    private static List<IPAddress> Addresses(IReadOnlyList<string>? list) =>
        [.. (list ?? []).Select(item => IPAddress.TryParse(item, out var address) ? address : null).OfType<IPAddress>()];

    private static string Text(JsonNode? node) => node?.ToString() ?? "";
}
