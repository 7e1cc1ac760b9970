using System.Globalization;
using System.Net;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json.Nodes;
using Isthmus.Operate.Diagnose;
using Isthmus.Proxy.Decisions;
using Isthmus.Reports;
using Isthmus.Wire.Tls;
using static Isthmus.Operate.Diagnose.ConfigDump;

namespace Isthmus.Explain.Tracing.Reading;

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

/// <summary>A running proxy, as it reports itself.</summary>
internal sealed class ProxyView
{
    // A dump can hold the system's roots, 140 of them, and a trace follows few of its secrets. So each is read when a step asks for it.
    private readonly Dictionary<string, Lazy<ShownCertificate?>> _certificates = new(StringComparer.Ordinal);
    private readonly Dictionary<string, Lazy<TrustBundle?>> _roots = new(StringComparer.Ordinal);
    private readonly Dictionary<(string Cluster, string Address), HostCounts> _ejected = [];

    private ProxyView()
    {
    }

    /// <summary>What it decides about calls.</summary>
    public required ProxyDecisions Decisions { get; init; }

    /// <summary>Where programs of the Pod accept connections; null when the proxy does not report it.</summary>
    public IReadOnlyList<IPEndPoint>? Listening { get; private init; }

    public NameAnswer? Name { get; private init; }

    /// <summary>Whether the sidecar answers DNS queries itself; null when it does not report that.</summary>
    public bool? CapturesDns { get; private init; }

    /// <summary>Whether the proxy, or its agent, can make a call.</summary>
    public bool CanCall { get; private init; }

    /// <summary>What to say of a proxy that is not Isthmus: it reports its configuration, and its agent may make calls. Empty for Isthmus.</summary>
    public string Stranger { get; private init; } = "";

    public ShownCertificate? Certificate(string secret) => _certificates.GetValueOrDefault(secret)?.Value;

    public TrustBundle? Roots(string secret) => _roots.GetValueOrDefault(secret)?.Value;

    /// <summary>The certificates of CAs that the proxy has, whatever for.</summary>
    public IEnumerable<X509Certificate2> Authorities => _certificates.Values.SelectMany(one => one.Value?.Rest ?? [])
        .Concat(_roots.Values.SelectMany(one => one.Value?.Roots ?? []));

    public bool IsEjected(string cluster, EndpointView endpoint) => _ejected.ContainsKey((cluster, endpoint.AddressText));

    /// <summary>What the proxy counted of endpoints that are ejected.</summary>
    public HostCounts CountsOf(string cluster, IEnumerable<EndpointView> endpoints) =>
        endpoints.Select(endpoint => _ejected.GetValueOrDefault((cluster, endpoint.AddressText))).Aggregate(default(HostCounts), (sum, one) => sum + one);

    /// <summary>How the last call failed at each endpoint that gets none because of that; empty where the proxy does not tell.</summary>
    public IReadOnlyList<EjectionReport> Ejections { get; private init; } = [];

    /// <summary>The endpoints where the last call failed a moment ago; empty where the proxy does not tell.</summary>
    public IReadOnlyList<FailureReport> Failures { get; private init; } = [];

    /// <summary>What limits of clusters have refused, by the name of the cluster.</summary>
    public IReadOnlyDictionary<string, PoolRefusals> Refusals { get; private init; } = new Dictionary<string, PoolRefusals>();

    public static ProxyView Read(InspectReport inspection, TimeProvider time, Random random)
    {
        var dump = new ConfigDump(inspection.ConfigDump ?? []);
        var pod = inspection.Pod;
        var config = new DumpedConfig(Named(dump.Listeners, "name"), Named(dump.Clusters, "name"), Named(dump.Routes, "name"),
            Named(dump.Endpoints, "cluster_name")) { Resolved = name => Resolved(name, inspection.Clusters) };
        var program = dump.OtherProgram;
        var canCall = pod is not null && (program.Length == 0 || pod.Calls == true);
        var view = new ProxyView
        {
            Decisions = ProxyDecisions.Read(config, time, random),
            Listening = pod?.Listening?.Select(at => IPEndPoint.TryParse(at, out var point) ? point : null).OfType<IPEndPoint>().ToList(),
            Name = pod?.Name is { } name ? new(name.Host, name.Name, Addresses(name.Addresses), name.By) : null,
            CapturesDns = pod?.DnsCapture,
            CanCall = canCall,
            Refusals = PoolRefusals.Read(pod?.Refusals),
            Ejections = pod?.Ejections ?? [],
            Failures = pod?.Failures ?? [],
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

    private static IEnumerable<(string Name, JsonObject Json)> Named(IEnumerable<JsonObject> resources, string field) =>
        resources.Select(resource => (Text(At(resource, field)), resource));

    /// <summary>Addresses that a proxy resolved appear only in its host list.</summary>
    private static IEnumerable<IPEndPoint> Resolved(string cluster, JsonNode? statuses) =>
        Hosts(statuses).Where(host => host.Cluster == cluster).Select(host => IPEndPoint.TryParse(host.Address, out var point) ? point : null)
            .OfType<IPEndPoint>();

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
        let place = HostPlace.Of(At(host, "address"))
        where place.Address.Length > 0
        select (Text(cluster["name"]), $"{place.Address}:{place.Port}",
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
