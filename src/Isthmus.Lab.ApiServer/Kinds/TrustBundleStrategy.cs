using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json.Nodes;
using Isthmus.Lab.ApiServer.Objects;
using Isthmus.Lab.ApiServer.Registry;
using Isthmus.Lab.ApiServer.Validation;
using Isthmus.Lab.ApiServer.Values;

namespace Isthmus.Lab.ApiServer.Kinds;

/// <summary>ClusterTrustBundles: PEM of CA certificates and nothing else, under a name that begins with the signer's if they have one.</summary>
internal sealed class TrustBundleStrategy : ObjectStrategy
{
    private const string Bundle = "spec.trustBundle", Omitted = "<value omitted>";

    public override void Default(JsonObject o) => o.Ensure("spec");

    /// <summary>What it must be depends on the signer: see <see cref="Validate"/>.</summary>
    public override string? NameProblem(string name) => name.Contains('/', StringComparison.Ordinal) ? "may not contain '/'" : null;

    public override IEnumerable<FieldError> Validate(JsonObject o, WriteContext context)
    {
        var (name, signer) = (o.TextAt("metadata", "name"), o.TextAt("spec", "signerName"));
        if (NameProblem(name, signer) is { } problem) yield return FieldError.Invalid("metadata.name", name, problem);
        if (signer.Length > 0 && SignerProblem(signer) is { } wrong) yield return FieldError.Invalid("spec.signerName", signer, wrong);
        foreach (var error in Anchors(o.TextAt("spec", "trustBundle"))) yield return FieldError.Invalid(Bundle, Omitted, error);
    }

    public override IEnumerable<FieldError> ValidateUpdate(JsonObject old, JsonObject next, WriteContext context) =>
        Check.Unchanged("spec.signerName", old.TextAt("spec", "signerName"), next.TextAt("spec", "signerName"));

    private static string? NameProblem(string name, string signer)
    {
        if (signer.Length == 0)
            return name.Contains(':', StringComparison.Ordinal) ? "ClusterTrustBundle without signer name must not have \":\" in its name"
                : ObjectNames.SubdomainProblem(name);
        var prefix = signer.Replace('/', ':') + ":";
        return name.StartsWith(prefix, StringComparison.Ordinal) ? ObjectNames.SubdomainProblem(name[prefix.Length..])
            : $"ClusterTrustBundle for signerName {signer} must be named with prefix {prefix}";
    }

    private static string? SignerProblem(string signer) => signer.Split('/') is not [var domain, var path] || path.Length == 0
        ? "must be a fully qualified domain and path of the form 'example.com/signer-name'"
        : ObjectNames.SubdomainProblem(domain) ?? ObjectNames.SubdomainProblem(path);

    /// <summary>What is wrong with the certificates.</summary>
    private static IEnumerable<string> Anchors(string pem)
    {
        var seen = new Dictionary<string, int>(StringComparer.Ordinal);
        var (rest, count) = (pem.AsMemory(), 0);
        while (PemEncoding.TryFind(rest.Span, out var fields))
        {
            var (label, body) = (rest[fields.Label].ToString(), rest[fields.Base64Data].ToString().ReplaceLineEndings(""));
            rest = rest[fields.Location.End..];
            if (Problem(label, body) is { } problem) yield return $"entry {count} {problem}";
            else if (!seen.TryAdd(body, count)) yield return $"duplicate trust anchor (indices [{seen[body]} {count}])";
            count++;
        }
        if (count == 0) yield return "at least one trust anchor must be provided";
    }

    private static string? Problem(string label, string body)
    {
        if (label != "CERTIFICATE") return $"has bad block type: {label}";
        try
        {
            using var certificate = X509CertificateLoader.LoadCertificate(Convert.FromBase64String(body));
            return certificate.Extensions.OfType<X509BasicConstraintsExtension>().Any(rule => rule.CertificateAuthority)
                ? null : "does not have the CA bit set";
        }
        catch (CryptographicException)
        {
            return "does not parse as X.509";
        }
    }
}
