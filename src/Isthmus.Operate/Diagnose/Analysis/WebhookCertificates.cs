using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json.Nodes;
using Isthmus.Core.Problems;
using Isthmus.Mesh.Certificates;
using Isthmus.Operate.Inventory;
using Isthmus.Wire.Tls;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>What a control plane's webhook port presented in a handshake.</summary>
/// <param name="Chain">The certificate that it serves, and those above it.</param>
internal sealed record ServedChain(string Namespace, string Pod, IReadOnlyList<X509Certificate2> Chain);

/// <summary>Webhooks of the mesh: what API servers trust them by, and whether that is what they serve. Pure.</summary>
internal static class WebhookCertificates
{
    public static IEnumerable<MeshCertificate> Of(ClusterInventory cluster, IEnumerable<JsonObject> configurations, IReadOnlyList<ServedChain> served,
        DateTimeOffset now)
    {
        foreach (var chain in served)
            yield return CertificateRecord.Of(cluster.Context, CertificateRole.ControlPlane, $"Pod {chain.Namespace}/{chain.Pod}",
                chain.Chain[0]) with { NeededBy = "proxies and API servers", RenewedBy = "the control plane" };
        foreach (var configuration in configurations)
        {
            var owner = $"{configuration["kind"]} {configuration["metadata"]?["name"]}";
            var clients = (configuration["webhooks"] as JsonArray ?? []).Select(webhook => webhook?["clientConfig"] as JsonObject).OfType<JsonObject>()
                .DistinctBy(client => client.ToJsonString());
            foreach (var client in clients.DistinctBy(client => (client["caBundle"]?.ToString(), client["service"]?["name"]?.ToString())))
            {
                var bundle = Text(client["caBundle"]?.ToString());
                var (fault, isProven) = Judge(cluster, client, bundle, served, now);
                var certificates = CertificateRecord.All(cluster.Context, CertificateRole.WebhookBundle, owner, bundle).ToList();
                if (certificates.Count == 0)
                    certificates.Add(new(cluster.Context, CertificateRole.WebhookBundle, owner, "", null,
                        null) { Fault = "has no CA bundle, so API servers do not trust it" });
                foreach (var certificate in certificates)
                {
                    yield return certificate with
                    {
                        Field = "webhooks[*].clientConfig.caBundle", NeededBy = "API servers", RenewedBy = "the control plane",
                        Fault = certificate.Fault.Length > 0 ? certificate.Fault : fault, Root = isProven && fault.Length == 0 ? certificate.Fingerprint : "",
                    };
                }
            }
        }
    }

    /// <summary>Whether a handshake of each control plane behind the webhook's Service would succeed, and whether there was one.</summary>
    private static (string Fault, bool IsProven) Judge(ClusterInventory cluster, JsonObject client, string bundle, IReadOnlyList<ServedChain> served,
        DateTimeOffset now)
    {
        var (ns, name) = (client["service"]?["namespace"]?.ToString() ?? "", client["service"]?["name"]?.ToString() ?? "");
        if (cluster.Service(ns, name) is not { Spec.Selector.Count: > 0 } service) return ("", false);
        var behind = served.Where(chain => cluster.Pods.Any(pod => pod.Metadata.Namespace == ns && chain.Namespace == ns && pod.Metadata.Name == chain.Pod
            && service.Spec.Selector.All(label => pod.Metadata.Labels.GetValueOrDefault(label.Key) == label.Value)))
            .ToList();
        TrustBundle trust;
        try { trust = new(CertificateText.ReadAny(bundle, "caBundle")); }
        catch (ProblemException e) { return (e.Problem.Message, false); }
        foreach (var chain in behind)
        {
            if (trust.Reject(chain.Chain[0], chain.Chain.Skip(1), CertificateUse.Server, now) is { } reason)
                return ($"API servers refuse the certificate of Pod {ns}/{chain.Pod}: {reason}", true);
            var host = $"{name}.{ns}.svc";
            if (!SubjectNames.Of(chain.Chain[0]).DnsNames.Contains(host, StringComparer.OrdinalIgnoreCase))
                return ($"the certificate of Pod {ns}/{chain.Pod} is not for {host}", true);
        }
        return ("", behind.Count > 0);
    }

    private static string Text(string? base64)
    {
        var bytes = new byte[base64?.Length ?? 0];
        return Convert.TryFromBase64String(base64 ?? "", bytes, out var length) ? Encoding.UTF8.GetString(bytes, 0, length) : "";
    }
}
