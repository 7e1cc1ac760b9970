using System.Globalization;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json.Nodes;
using Isthmus.Mesh.Model;
using static Isthmus.Operate.Diagnose.ConfigDump;

namespace Isthmus.Operate.Diagnose;

/// <summary>Rows of <c>proxy-config</c> tables: pure functions of a dump, with istioctl's columns.</summary>
public static class ProxyTables
{
    public static (string[] Header, IReadOnlyList<string[]> Rows) Clusters(IEnumerable<JsonObject> clusters)
    {
        var rows = clusters.Select(cluster =>
        {
            var name = cluster["name"]?.ToString() ?? "";
            var (direction, port, subset, host) = Split(name);
            var rule = At(cluster, "metadata", "filter_metadata", "istio", "config")?.ToString() ?? "";
            return (string[])[host, port, subset, direction, At(cluster, "type")?.ToString() ?? At(cluster, "cluster_type", "name")?.ToString() ?? "STATIC",
                Rule(rule)];
        });
        return (["SERVICE FQDN", "PORT", "SUBSET", "DIRECTION", "TYPE", "DESTINATION RULE"], Sorted(rows, 0, 1, 2));
    }

    public static (string[] Header, IReadOnlyList<string[]> Rows) Listeners(IEnumerable<JsonObject> listeners)
    {
        var rows = new List<string[]>();
        foreach (var listener in listeners)
        {
            var address = At(listener, "address", "socket_address", "address")?.ToString()
                ?? (At(listener, "internal_listener") is null ? "" : $"envoy://{listener["name"]}");
            var port = At(listener, "address", "socket_address", "port_value")?.ToString() ?? "";
            var chains = (At(listener, "filter_chains") as JsonArray ?? []).ToList();
            if (At(listener, "default_filter_chain") is { } last) chains.Add(last);
            foreach (var chain in chains) rows.Add([address, port, Match(At(chain, "filter_chain_match")), Destination(chain)]);
            if (chains.Count == 0) rows.Add([address, port, "ALL", "Non-HTTP/Non-TCP"]);
        }
        return (["ADDRESS", "PORT", "MATCH", "DESTINATION"],
            [.. rows.OrderBy(row => int.TryParse(row[1], out var port) ? port : 0).ThenBy(row => row[0], StringComparer.Ordinal)]);
    }

    public static (string[] Header, IReadOnlyList<string[]> Rows) Routes(IEnumerable<JsonObject> routes)
    {
        var rows = new List<string[]>();
        foreach (var config in routes)
        {
            foreach (var host in (At(config, "virtual_hosts") as JsonArray ?? []).OfType<JsonObject>())
            {
                var domains = (At(host, "domains") as JsonArray ?? []).Select(domain => domain?.ToString() ?? "").ToList();
                var shown = domains.Count <= 2 ? string.Join(", ", domains) : $"{domains[0]}, {domains[1]} + {domains.Count - 2} more...";
                foreach (var route in (At(host, "routes") as JsonArray ?? []).OfType<JsonObject>())
                {
                    var service = At(route, "metadata", "filter_metadata", "istio", "config")?.ToString() ?? "";
                    rows.Add([config["name"]?.ToString() ?? "", host["name"]?.ToString() ?? "", shown, Path(At(route, "match")), Rule(service)]);
                }
            }
        }
        return (["NAME", "VHOST NAME", "DOMAINS", "MATCH", "VIRTUAL SERVICE"], Sorted(rows, 0, 1));
    }

    /// <param name="clusters">The response of the admin path <c>/clusters?format=json</c>, which reports health.</param>
    public static (string[] Header, IReadOnlyList<string[]> Rows) Endpoints(JsonNode clusters, EndpointSources sources, Func<string, bool> clusterMatches)
    {
        var rows = new List<string[]>();
        foreach (var cluster in (At(clusters, "cluster_statuses") as JsonArray ?? []).OfType<JsonObject>())
        {
            var name = cluster["name"]?.ToString() ?? "";
            if (!clusterMatches(name)) continue;
            foreach (var host in (At(cluster, "host_statuses") as JsonArray ?? []).OfType<JsonObject>())
            {
                var place = HostPlace.Of(At(host, "address"));
                var address = place.Listener.Length > 0 ? $"envoy://{place.Listener}/{At(host, "address", "envoy_internal_address", "endpoint_id")}"
                    : place.Address.Length > 0 ? $"{place.Address}:{place.Port}" : $"unix://{At(host, "address", "pipe", "path")}";
                var status = FailsChecks(host) ? "UNHEALTHY" : At(host, "health_status", "eds_health_status")?.ToString() ?? "HEALTHY";
                var failed = IsTakenOut(host) && (!FailsChecks(host) || (bool?)At(host, "health_status", "failed_outlier_check") == true);
                rows.Add([address, status, failed ? "FAILED" : "OK", name, sources.Of(place.Address)]);
            }
        }
        return (["ENDPOINT", "STATUS", "OUTLIER CHECK", "CLUSTER", "KNOWN FROM"], Sorted(rows, 3, 0));
    }

    /// <summary>The host fails active health checks. A proxy of Isthmus says the same of hosts that it could not reach, with a field of its own.</summary>
    private static bool FailsChecks(JsonObject host) =>
        (bool?)At(host, "health_status", "failed_active_health_check") == true && (bool?)At(host, "health_status", "isthmus_unreachable") != true;

    /// <summary>The proxy avoids the host while it has others, because the host returned errors or could not be
    /// reached.</summary>
    internal static bool IsTakenOut(JsonObject host) =>
        (bool?)At(host, "health_status", "failed_outlier_check") == true || (bool?)At(host, "health_status", "failed_active_health_check") == true;

    /// <summary>A cluster in the admin interface's response: each host, with the entries that reported it.</summary>
    public static JsonNode WithSources(JsonNode cluster, EndpointSources sources)
    {
        var copy = cluster.DeepClone();
        foreach (var host in (At(copy, "host_statuses") as JsonArray ?? []).OfType<JsonObject>())
            host["known_from"] = sources.Json(HostPlace.Of(At(host, "address")).Address);
        return copy;
    }

    public static (string[] Header, IReadOnlyList<string[]> Rows) Secrets(ConfigDump dump, DateTimeOffset now)
    {
        var rows = dump.Secrets.SelectMany(entry =>
        {
            var chain = At(entry.Secret, "tls_certificate", "certificate_chain", "inline_bytes")?.ToString();
            var root = At(entry.Secret, "validation_context", "trusted_ca", "inline_bytes")?.ToString();
            // Of a chain, the leaf; of roots, each: two are trusted while one replaces the other.
            var certificates = chain is null && Certificates(root) is { Count: > 0 } roots ? roots : [Certificate(chain)];
            return certificates.Select(certificate => (Entry: entry, IsRoot: chain is null && root is not null, Certificate: certificate));
        }).Select(row =>
        {
            var (entry, certificate) = (row.Entry, row.Certificate);
            var valid = certificate is not null && certificate.NotBefore.ToUniversalTime() <= now && certificate.NotAfter.ToUniversalTime() > now;
            return (string[])
            [
                entry.Secret["name"]?.ToString() ?? "", !row.IsRoot ? "Cert Chain" : "CA", entry.State, valid ? "true" : "false",
                certificate is null ? "" : Convert.ToHexStringLower(certificate.GetSerialNumber().Reverse().ToArray()),
                certificate is null ? "" : certificate.NotAfter.ToUniversalTime().ToString("yyyy-MM-ddTHH:mm:ssZ", CultureInfo.InvariantCulture),
                certificate is null ? "" : certificate.NotBefore.ToUniversalTime().ToString("yyyy-MM-ddTHH:mm:ssZ", CultureInfo.InvariantCulture),
            ];
        });
        return (["RESOURCE NAME", "TYPE", "STATUS", "VALID CERT", "SERIAL NUMBER", "NOT AFTER", "NOT BEFORE"], Sorted(rows, 0));
    }

    /// <summary>All certificates of base64-encoded PEM; none when they cannot be read.</summary>
    private static IReadOnlyList<X509Certificate2?> Certificates(string? base64)
    {
        var bytes = new byte[base64?.Length ?? 0];
        if (!Convert.TryFromBase64String(base64 ?? "", bytes, out var length)) return [];
        var found = new X509Certificate2Collection();
        try { found.ImportFromPem(Encoding.UTF8.GetString(bytes, 0, length)); }
        catch (System.Security.Cryptography.CryptographicException) { return []; }
        return [.. found];
    }

    /// <summary>The first certificate of base64-encoded PEM, or null when it cannot be read.</summary>
    public static X509Certificate2? Certificate(string? base64)
    {
        if (string.IsNullOrEmpty(base64)) return null;
        var bytes = new byte[base64.Length];
        if (!Convert.TryFromBase64String(base64, bytes, out var length)) return null;
        try { return X509Certificate2.CreateFromPem(Encoding.UTF8.GetString(bytes, 0, length)); }
        catch (System.Security.Cryptography.CryptographicException) { return null; }
    }

    /// <summary>Names of outbound and inbound clusters describe what they are; other names are shown as they are.</summary>
    public static (string Direction, string Port, string Subset, string Host) Split(string name)
    {
        var parts = name.Split('|');
        if (parts.Length != 4) parts = name.StartsWith("outbound_.", StringComparison.Ordinal) ? name.Split("_.", 4) : parts;
        return parts.Length == 4 ? (parts[0], parts[1], parts[2].Length == 0 || parts[2] == Subset.Any.Name ? "-" : parts[2], parts[3]) : ("-", "-", "-", name);
    }

    private static string Rule(string config)
    {
        var parts = config.Split('/');
        var ns = Array.IndexOf(parts, "namespaces");
        return ns < 0 || ns + 3 >= parts.Length ? config : $"{parts[ns + 3]}.{parts[ns + 1]}";
    }

    private static string Match(JsonNode? match)
    {
        if (match is not JsonObject { Count: > 0 }) return "ALL";
        var parts = new List<string>();
        if ((At(match, "server_names") as JsonArray)?.Select(name => name?.ToString()) is { } names) parts.Add($"SNI: {string.Join(",", names)}");
        if (At(match, "transport_protocol")?.ToString() is { Length: > 0 } transport) parts.Add($"Trans: {transport}");
        if ((At(match, "application_protocols") as JsonArray)?.Select(name => name?.ToString()) is { } protocols)
            parts.Add($"App: {string.Join(",", protocols)}");
        foreach (var range in At(match, "prefix_ranges") as JsonArray ?? []) parts.Add($"Addr: {At(range, "address_prefix")}/{At(range, "prefix_len")}");
        if (At(match, "destination_port")?.ToString() is { Length: > 0 } port) parts.Add($"Addr: *:{port}");
        return parts.Count == 0 ? "ALL" : string.Join("; ", parts);
    }

    private static string Destination(JsonNode? chain)
    {
        var filters = (At(chain, "filters") as JsonArray ?? []).Select(filter => At(filter, "typed_config")).OfType<JsonObject>().ToList();
        foreach (var filter in filters)
        {
            if (At(filter, "rds", "route_config_name")?.ToString() is { } route) return $"Route: {route}";
            if (At(filter, "route_config") is { } inline)
            {
                var cluster = At(inline, "virtual_hosts", "0", "routes", "0", "route", "cluster")?.ToString();
                return cluster is null ? "Inline Route" : $"Cluster: {cluster}";
            }
            if (At(filter, "cluster")?.ToString() is { } target && filter["@type"]?.ToString().EndsWith(".TcpProxy", StringComparison.Ordinal) == true)
                return target.Contains("BlackHole", StringComparison.Ordinal) || target.Contains("Passthrough", StringComparison.Ordinal)
                    ? target
                    : $"Cluster: {target}";
            if (At(filter, "weighted_clusters") is not null) return "Cluster: weighted";
        }
        return "Non-HTTP/Non-TCP";
    }

    private static string Path(JsonNode? match)
    {
        if (At(match, "prefix")?.ToString() is { } prefix) return prefix == "/" ? "/*" : $"{prefix}*";
        if (At(match, "path")?.ToString() is { } path) return path;
        return At(match, "safe_regex", "regex")?.ToString() is { } regex ? $"regex {regex}" : "/*";
    }

    private static List<string[]> Sorted(IEnumerable<string[]> rows, params int[] columns)
    {
        var ordered = rows.OrderBy(_ => 0);
        foreach (var column in columns) ordered = ordered.ThenBy(row => row[column], StringComparer.Ordinal);
        return [.. ordered];
    }
}
