using System.Text;
using System.Text.Json.Nodes;
using Isthmus.Core.Collections;
using Isthmus.Core.Names;
using Isthmus.Mesh.Certificates;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>The certificates and roots of a running proxy: never its keys. Pure.</summary>
/// <param name="Error">Why it did not answer; empty when it did.</param>
internal sealed record ProxySecrets(string Namespace, string Pod, DateTimeOffset? Started, bool IsGateway, ValueList<ProxySecret> Secrets, string Error)
{
    private const string Files = "file-cert:", RootFiles = "file-root:";

    public static ValueList<ProxySecret> Read(ConfigDump dump) => dump.Secrets.Select(entry => new ProxySecret(entry.Secret["name"]?.ToString() ?? "",
        Text(entry.Secret, "tls_certificate", "certificate_chain"), Text(entry.Secret, "validation_context", "trusted_ca"))).ToValueList();

    private string Roots => Secrets.FirstOrDefault(secret => secret.Name == "ROOTCA")?.Roots ?? "";

    /// <summary>Null: it did not answer.</summary>
    public ProxyTrust? Trust => Error.Length > 0 ? null : new(Namespace, Pod, Started, Root.Of(Roots));

    public IEnumerable<MeshCertificate> Certificates(string cluster)
    {
        var owner = $"Pod {Namespace}/{Pod}";
        if (Error.Length > 0)
        {
            yield return new(cluster, CertificateRole.Workload, owner, "", null, null) { Fault = $"it did not answer: {Error}" };
            yield break;
        }
        foreach (var secret in Secrets)
        {
            if (secret.Name == "default")
            {
                var leaf = CertificateRecord.Leaf(cluster, CertificateRole.Workload, owner, secret.Chain)
                    ?? new(cluster, CertificateRole.Workload, owner, "", null, null) { Fault = "it has no certificate" };
                yield return leaf with
                {
                    Root = CertificateRecord.RootOf(secret.Chain, Roots), NeededBy = "its calls", RenewedBy = "the proxy",
                    Trusts = CertificateRecord.All(cluster, CertificateRole.Root, owner, Roots).Select(root => root.Fingerprint).ToValueList(),
                };
            }
            else if (secret.Name.StartsWith(Files, StringComparison.Ordinal)
                && CertificateRecord.Leaf(cluster, IsGateway ? CertificateRole.Gateway : CertificateRole.Origination, owner, secret.Chain) is { } file)
            {
                yield return file with
                {
                    Field = secret.Name[Files.Length..].Split('~')[0], NeededBy = IsGateway ? "its clients" : "its calls to servers outside",
                    RenewedBy = "you: the file that is mounted"
                };
            }
            else if (secret.Name.StartsWith(RootFiles, StringComparison.Ordinal) && secret.Name != $"{RootFiles}system")
            {
                foreach (var root in CertificateRecord.All(cluster, IsGateway ? CertificateRole.ClientAuthority : CertificateRole.ServerAuthority, owner,
                    secret.Roots))
                    yield return root with
                    {
                        Field = secret.Name[RootFiles.Length..], NeededBy = IsGateway ? "its clients" : "its calls to servers outside",
                        RenewedBy = "you: the file that is mounted"
                    };
            }
        }
    }

    private static string Text(JsonObject secret, string part, string field)
    {
        var text = ConfigDump.At(secret, part, field, "inline_bytes")?.ToString() ?? "";
        var bytes = new byte[text.Length];
        return Convert.TryFromBase64String(text, bytes, out var length) ? Encoding.UTF8.GetString(bytes, 0, length) : "";
    }
}

/// <param name="Chain">Its certificates, as PEM; empty when it has none.</param>
/// <param name="Roots">The roots that it trusts by it.</param>
internal sealed record ProxySecret(string Name, string Chain, string Roots);
