using System.Security.Cryptography;
using System.Text;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Operate.Diagnose;
using Isthmus.WebConsole.Reading;
using Isthmus.Wire.Tls;

namespace Isthmus.WebConsole.Answers;

/// <param name="Note">What could not be read, and why; empty when nothing is missing.</param>
internal sealed record CertificatesPage(DateTimeOffset Now, IReadOnlyList<CertificateRow> Authorities, IReadOnlyList<ProxyCertificate> Proxies, IReadOnlyList<string> Notes);

/// <param name="Role"><c>root</c> or <c>intermediate</c>.</param>
/// <param name="From">The object that has it.</param>
internal sealed record CertificateRow(string Cluster, string Role, string From, string Subject, string Issuer, DateTimeOffset Begins, DateTimeOffset Ends, string Fingerprint);

/// <param name="Error">Why the proxy did not answer; empty when it did.</param>
internal sealed record ProxyCertificate(string Cluster, string Namespace, string Pod, string Identity, string Root, DateTimeOffset? Ends, string Error);

/// <summary>Reads the certificates of the mesh: what clusters trust, what signs, and what proxies have.</summary>
internal sealed class CertificateAnswer(MeshStateReader reader, string istioNamespace, TimeProvider time)
{
    private const int AtOnce = 16, MostProxies = 300;

    public async Task<CertificatesPage> ReadAsync(MeshState mesh, CancellationToken stop)
    {
        var notes = new List<string>();
        var readable = mesh.Clusters.Where(cluster => cluster.Facts.Error.Length == 0).ToList();
        var authorities = new List<CertificateRow>();
        foreach (var cluster in readable) authorities.AddRange(await AuthoritiesAsync(cluster, notes, stop));
        var pods = readable.SelectMany(cluster => cluster.Proxies.Select(pod => (Cluster: cluster, Pod: pod))).ToList();
        if (pods.Count > MostProxies) notes.Add($"only {MostProxies} of {pods.Count} proxies were asked");
        var proxies = new List<ProxyCertificate>();
        foreach (var some in pods.Take(MostProxies).Chunk(AtOnce)) proxies.AddRange(await Task.WhenAll(some.Select(one => ProxyAsync(one.Cluster, one.Pod, stop))));
        return new(time.GetUtcNow(), authorities, [.. proxies.OrderBy(proxy => proxy.Ends ?? DateTimeOffset.MinValue)], notes);
    }

    private async Task<IReadOnlyList<CertificateRow>> AuthoritiesAsync(ClusterState cluster, List<string> notes, CancellationToken stop)
    {
        var (client, ns) = (reader.Client(cluster.Context), cluster.Facts.SystemNamespace.Length > 0 ? cluster.Facts.SystemNamespace : istioNamespace);
        var rows = new List<CertificateRow>();
        try
        {
            var trusted = await client.FindAsync<ConfigMap>(Kinds.ConfigMap, ns, WellKnown.RootCertConfigMap, stop);
            rows.AddRange(Rows(cluster.Context, $"ConfigMap {ns}/{WellKnown.RootCertConfigMap}", trusted?.Data.GetValueOrDefault(WellKnown.RootCertKey)));
            foreach (var name in (string[])[WellKnown.CaCerts, WellKnown.SelfSignedCa])
            {
                // Only certificates are taken from the Secret, never keys.
                if (await client.FindAsync<Secret>(Kinds.Secret, ns, name, stop) is not { } secret) continue;
                var chain = secret.Bytes("cert-chain.pem") is { Length: > 0 } bytes ? bytes : secret.Bytes("ca-cert.pem");
                rows.AddRange(Rows(cluster.Context, $"Secret {ns}/{name}", chain is null ? null : Encoding.UTF8.GetString(chain)));
                break;
            }
        }
        catch (Exception e) when (e is KubeException or HttpRequestException or ProblemException)
        {
            notes.Add($"{cluster.Context}: {e.Message}");
        }
        return [.. rows.DistinctBy(row => row.Fingerprint)];
    }

    private static IEnumerable<CertificateRow> Rows(string cluster, string from, string? pem) => string.IsNullOrWhiteSpace(pem) ? [] : CertificateText.ReadAny(pem, from).Select(certificate => new CertificateRow(
        cluster, certificate.SubjectName.RawData.AsSpan().SequenceEqual(certificate.IssuerName.RawData) ? "root" : "intermediate", from, certificate.Subject, certificate.Issuer,
        certificate.NotBefore.ToUniversalTime(), certificate.NotAfter.ToUniversalTime(), certificate.GetCertHashString(HashAlgorithmName.SHA256)));

    private async Task<ProxyCertificate> ProxyAsync(ClusterState cluster, Pod pod, CancellationToken stop)
    {
        var row = new ProxyCertificate(cluster.Context, pod.Metadata.Namespace, pod.Metadata.Name, "", "", null, "");
        try
        {
            var dump = new ConfigDump(await new MeshQuery(reader.Client(cluster.Context), istioNamespace).AskProxyAsync(row.Namespace, row.Pod, ConfigDump.SecretsPath, stop));
            var secrets = dump.Secrets.Select(entry => entry.Secret).ToList();
            using var own = ProxyTables.Certificate(ConfigDump.At(secrets.FirstOrDefault(secret => secret["name"]?.ToString() == "default"), "tls_certificate", "certificate_chain", "inline_bytes")?.ToString());
            using var root = ProxyTables.Certificate(ConfigDump.At(secrets.FirstOrDefault(secret => secret["name"]?.ToString() == "ROOTCA"), "validation_context", "trusted_ca", "inline_bytes")?.ToString());
            if (own is null) return row with { Error = "it has no certificate" };
            return row with { Identity = SubjectNames.Of(own).Uris.FirstOrDefault() ?? "", Root = root?.GetCertHashString(HashAlgorithmName.SHA256) ?? "", Ends = own.NotAfter.ToUniversalTime() };
        }
        catch (Exception e) when (e is ProblemException or KubeException or HttpRequestException)
        {
            return row with { Error = e.Message };
        }
    }
}
