using System.Globalization;
using System.Text.Json.Nodes;
using Isthmus.Proxy.Snapshot;
using Isthmus.Proxy.Tls;

namespace Isthmus.Proxy.Dumps;

/// <summary><c>/server_info</c>.</summary>
internal static class ServerDumps
{
    public static string Version { get; } = typeof(ServerDumps).Assembly.GetName().Version?.ToString(3) ?? "";

    public static string Info(DataPlane plane)
    {
        var uptime = $"{((long)(plane.Ports.Time.GetUtcNow() - plane.Started).TotalSeconds).ToString(CultureInfo.InvariantCulture)}s";
        return DumpJson.Text(new JsonObject
        {
            ["version"] = $"isthmus/{typeof(ServerDumps).Assembly.GetName().Version}/Release",
            ["state"] = plane.Connections.IsDraining ? "DRAINING" : plane.IsReady ? "LIVE" : "PRE_INITIALIZING",
            ["uptime_current_epoch"] = uptime,
            ["uptime_all_epochs"] = uptime,
            ["node"] = Node(plane),
        });
    }

    private static JsonObject Numbers(Version version) =>
        new() { ["major_number"] = version.Major, ["minor_number"] = version.Minor, ["patch"] = Math.Max(0, version.Build) };

    public static JsonObject Node(DataPlane plane)
    {
        var self = plane.Settings.Identity;
        return new()
        {
            ["id"] = self.NodeId,
            ["cluster"] = $"{self.CanonicalName}.{self.Namespace}",
            ["metadata"] = new JsonObject
            {
                ["ISTIO_VERSION"] = Core.Names.WellKnown.CompatibleRelease, ["CLUSTER_ID"] = self.Cluster, ["NAMESPACE"] = self.Namespace,
                ["WORKLOAD_NAME"] = self.Workload, ["SERVICE_ACCOUNT"] = self.ServiceAccount,
            },
            ["user_agent_name"] = "isthmus",
            ["user_agent_build_version"] = new JsonObject { ["version"] = Numbers(typeof(ServerDumps).Assembly.GetName().Version ?? new()) },
        };
    }
}

/// <summary><c>/listeners</c>.</summary>
internal static class ListenerDumps
{
    public static string Text(DataPlane plane) => string.Concat(Sorted(plane).Select(l =>
        $"{l.Name}::{l.Place}{(plane.ListenerFailures.TryGetValue(l.Name, out var failure) ? $"::not opened: {failure}" : "")}\n"));

    public static string Json(DataPlane plane) => DumpJson.Text(new JsonObject
    {
        ["listener_statuses"] = DumpJson.List(Sorted(plane).Select(l => new JsonObject
        {
            ["name"] = l.Name,
            ["local_address"] = DumpJson.Address(l.Place),
        })),
    });

    private static IEnumerable<ListenerSnapshot> Sorted(DataPlane plane) => plane.State.Current.Listeners.Values.OrderBy(l => l.Name, StringComparer.Ordinal);
}

/// <summary><c>/certs</c>.</summary>
internal static class CertificateDumps
{
    public static string Json(DataPlane plane)
    {
        var views = plane.Secrets.View();
        var roots = views.Where(v => v.RootsPem.Length > 0).SelectMany(v => Read(v, v.RootsPem, plane.Ports.Time)).ToArray();
        var certificates = views.Where(v => v.CertificateChainPem.Length > 0).Select(v => new JsonObject
        {
            ["ca_cert"] = DumpJson.List(roots.Select(r => r.DeepClone())),
            ["cert_chain"] = DumpJson.List(Read(v, v.CertificateChainPem, plane.Ports.Time)),
        });
        return DumpJson.Text(new JsonObject { ["certificates"] = DumpJson.List(certificates) });
    }

    private static IEnumerable<JsonObject> Read(SecretView view, string pem, TimeProvider time)
    {
        var certificates = new System.Security.Cryptography.X509Certificates.X509Certificate2Collection();
        certificates.ImportFromPem(pem);
        foreach (var certificate in certificates)
        {
            var peer = PeerCertificate.Of(certificate.RawData).With("", "");
            yield return new()
            {
                ["path"] = view.Name,
                ["serial_number"] = certificate.SerialNumber.ToLowerInvariant(),
                ["subject_alt_names"] = DumpJson.List(peer.Uris.Select(u => new JsonObject { ["uri"] = u })
                    .Concat(peer.DnsNames.Select(d => new JsonObject { ["dns"] = d }))),
                ["days_until_expiration"] = Math.Max(0, (long)(certificate.NotAfter.ToUniversalTime() - time.GetUtcNow().UtcDateTime).TotalDays)
                    .ToString(CultureInfo.InvariantCulture),
                ["valid_from"] = DumpJson.Time(certificate.NotBefore.ToUniversalTime()),
                ["expiration_time"] = DumpJson.Time(certificate.NotAfter.ToUniversalTime()),
            };
        }
    }
}
