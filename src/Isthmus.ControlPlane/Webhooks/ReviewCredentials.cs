using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Isthmus.Graph.Settings;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Watch;
using Isthmus.Wire.Tls;
using Microsoft.Extensions.Logging;

namespace Isthmus.ControlPlane.Webhooks;

/// <summary>
/// How API servers prove that reviews are theirs: the certificates and the token that their admission configuration names
/// (<c>--admission-control-config-file</c>). Follows the Secret with them. Without it, nobody has a proof.
/// </summary>
/// <param name="client">Of the cluster that the control plane's Pod is in.</param>
public sealed partial class ReviewCredentials(KubeClient client, DiscoverySettings settings, TimeProvider time, ILogger<ReviewCredentials> log)
{
    private static readonly char[] Separators = [',', '\n', ' ', '\r'];

    private volatile Accepted _accepted = Accepted.Nothing;

    /// <param name="Names">Common names and DNS names, one of which a certificate must have; empty: any certificate of the CA does.</param>
    private sealed record Accepted(TrustBundle? Roots, IReadOnlySet<string> Names, byte[]? Token)
    {
        internal static readonly Accepted Nothing = new(null, new HashSet<string>(), null);
    }

    public async Task RunAsync(CancellationToken stop)
    {
        var name = settings.Webhook.CallersSecret;
        var informer = new Informer<Secret>(client, Kinds.Secret,
            new InformerSettings { Namespace = settings.Namespace, FieldSelector = $"metadata.name={name}" }, time);
        var isRead = false;
        await informer.RunAsync(changes =>
        {
            // A Secret that is not there is no change.
            if (!isRead && !changes.Any()) Take(null);
            isRead = true;
            foreach (var change in changes) Take(change.Object);
            return ValueTask.CompletedTask;
        }, stop);
    }

    /// <param name="secret">Null: it is gone.</param>
    internal void Take(Secret? secret)
    {
        try
        {
            _accepted = secret is null ? Accepted.Nothing : new(
                Text(secret, "ca.crt") is { Length: > 0 } pem ? TrustBundle.FromPem(pem, "ca.crt") : null,
                Text(secret, "names").Split(Separators, StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)
                    .ToHashSet(StringComparer.Ordinal),
                Text(secret, "token").Trim() is { Length: > 0 } token ? Hash(token) : null);
            if (_accepted is { Roots: null, Token: null })
                NoProof(log, settings.Namespace, settings.Webhook.CallersSecret, secret is null ? "it does not exist" : "it has neither ca.crt nor token");
        }
        catch (Exception e) when (e is ProblemException or CryptographicException)
        {
            _accepted = Accepted.Nothing;
            NoProof(log, settings.Namespace, settings.Webhook.CallersSecret, e.Message);
        }
    }

    /// <summary>Whether a caller is an API server.</summary>
    /// <param name="authorization">The header; null if there is none.</param>
    internal bool Prove(X509Certificate2? certificate, string? authorization)
    {
        var accepted = _accepted;
        const string bearer = "Bearer ";
        if (accepted.Token is { } token && authorization?.StartsWith(bearer, StringComparison.OrdinalIgnoreCase) == true
            && CryptographicOperations.FixedTimeEquals(token, Hash(authorization[bearer.Length..].Trim())))
            return true;
        return certificate is not null && accepted.Roots?.Reject(certificate, [], CertificateUse.Client, time.GetUtcNow()) is null && accepted.Roots is not null
            && (accepted.Names.Count == 0 || NamesOf(certificate).Any(accepted.Names.Contains));
    }

    private static IEnumerable<string> NamesOf(X509Certificate2 certificate) =>
        certificate.Extensions.OfType<X509SubjectAlternativeNameExtension>().SelectMany(names => names.EnumerateDnsNames())
            .Append(certificate.GetNameInfo(X509NameType.SimpleName, forIssuer: false));

    private static string Text(Secret secret, string key) => secret.Bytes(key) is { } bytes ? Encoding.UTF8.GetString(bytes) : "";

    private static byte[] Hash(string token) => SHA256.HashData(Encoding.UTF8.GetBytes(token));

    [LoggerMessage(Level = LogLevel.Error, Message = "No review of admission can be taken: Secret {Namespace}/{Name} proves no API server: {Why}")]
    private static partial void NoProof(ILogger log, string @namespace, string name, string why);
}
