using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json.Nodes;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Graph.History;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Watch;
using Isthmus.Wire.Tls;
using Microsoft.Extensions.Logging;

namespace Isthmus.ControlPlane.Ca;

/// <summary>The CA in force: the signer, the chain to the root, and the trusted roots.</summary>
/// <param name="Source">The Secret that it was read from.</param>
/// <param name="RootsPem">The content of <c>istio-ca-root-cert</c>.</param>
/// <param name="ChainPem">The certificates between leaf and root; empty when the root signs itself.</param>
public sealed record CaSnapshot(string Source, CaBundle Bundle, string RootsPem, string ChainPem)
{
    /// <summary>What signs leaves.</summary>
    public string IssuerPem => CertificateText.Write(Bundle.Issuer.Certificate);

    /// <summary>When the first of the signing certificate and its issuers expires. Every peer would silently reject a leaf that outlives it.</summary>
    public DateTimeOffset End { get; } = Bundle.Intermediates.Prepend(Bundle.Issuer.Certificate)
        .Min(signer => new DateTimeOffset(signer.NotAfter.ToUniversalTime()));
}

/// <summary>
/// Owns the CA: the Secret <c>cacerts</c> if it exists, otherwise its own root in <c>istio-ca-secret</c>. An inconsistent
/// bundle never replaces a consistent one.
/// </summary>
public sealed partial class CaState(KubeClient client, string ns, Func<string> trustDomain, TimeProvider time, ILogger<CaState> log)
{
    private const int RootYears = 10;
    private static readonly TimeSpan Retry = TimeSpan.FromSeconds(1);

    private readonly TaskCompletionSource _ready = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private volatile CaSnapshot? _current;

    /// <summary>Null until the first bundle is in force.</summary>
    public CaSnapshot? Current => _current;

    /// <summary>What is wrong with <c>cacerts</c>; null when nothing is.</summary>
    public Problem? Problem { get; private set; }

    public Task Ready => _ready.Task;

    /// <summary>Raised after another bundle takes effect.</summary>
    public event Action<CaSnapshot>? Changed;

    /// <summary>Raised after <c>cacerts</c> was written or removed, unless it was there at the beginning: with what its metadata says, and no value of
    /// it.</summary>
    public event Action<ChangeVerb, ObjectWrite?>? Written;

    /// <summary>Loads the CA, then follows <c>cacerts</c> until stopped.</summary>
    public async Task RunAsync(CancellationToken stop)
    {
        var informer = new Informer<Secret>(client, Kinds.Secret,
            new InformerSettings { Namespace = ns, FieldSelector = $"metadata.name={WellKnown.CaCerts}", ConsumerFailed = e => NotTaken(log, e) }, time);
        var isRead = false;
        await informer.RunAsync(async changes =>
        {
            // Only if there is none at all: a broken Secret must not silently lead to another root.
            if (changes.Count > 0 && changes[^1].Object is { } secret) Take(secret);
            else await DoWithoutAsync(stop);
            if (isRead && changes.Count > 0) Tell(changes[^1]);
            isRead = true;
        }, stop);
    }

    private void Tell(Change<Secret> change)
    {
        var (before, after) = (change.Before?.Metadata.ResourceVersion, change.Object?.Metadata.ResourceVersion);
        // A list that is read again has what is known.
        if (before == after) return;
        Written?.Invoke(after is null ? ChangeVerb.Deleted : Problem is { Severity: Severity.Error } ? ChangeVerb.Invalid
            : before is null ? ChangeVerb.Created : ChangeVerb.Changed, change.Object is { } secret ? ObjectWrite.Of(secret) : null);
    }

    private async Task DoWithoutAsync(CancellationToken stop)
    {
        Problem = null;
        if (_current is not null)
        {
            SecretGone(log);
            return;
        }
        while (!await TryOwnRootAsync(stop)) await Task.Delay(Retry, time, stop);
    }

    private async Task<bool> TryOwnRootAsync(CancellationToken stop)
    {
        try
        {
            await UseOwnRootAsync(stop);
            return true;
        }
        catch (Exception e) when (e is KubeException or HttpRequestException or IOException)
        {
            OwnRootWaits(log, e.Message);
            return false;
        }
    }

    private void Take(Secret secret)
    {
        try
        {
            var next = Read(secret);
            if (_current is { } current && !SharesRoot(current, next))
            {
                Problem = new("ISM0401", $"Secret {secret.Key}", "data[root-cert.pem]",
                    "has another root than the one in force; it takes effect after a restart",
                    $"restart the control plane and then all workloads: kubectl -n {ns} rollout restart deployment istiod", Severity.Warning);
                BundleWaits(log, Problem.ToString());
                return;
            }
            Problem = null;
            Publish(next);
        }
        catch (ProblemException e)
        {
            Problem = new(e.Problem.Code.Length > 0 ? e.Problem.Code : "ISM1463", $"Secret {secret.Key}", e.Problem.Path.Length > 0 ? e.Problem.Path : "data",
                _current is null
                    ? $"{e.Problem.Message}: no certificate can be signed"
                    : $"{e.Problem.Message}: it is refused, and the CA that was in force before signs, until a restart",
                e.Problem.Remedy);
            BundleRefused(log, e.Message);
        }
    }

    /// <summary>Istio's four files, or the TLS form that cert-manager writes.</summary>
    private CaSnapshot Read(Secret secret)
    {
        string Text(string key) => secret.Bytes(key) is { } bytes ? Encoding.UTF8.GetString(bytes) : "";
        var source = $"Secret {secret.Key}";
        var tls = secret.Data.ContainsKey("tls.crt");
        var (certificate, key, roots) = tls
            ? (Text("tls.crt"), Text("tls.key"), Text("ca.crt"))
            : (Text("ca-cert.pem"), Text("ca-key.pem"), Text("root-cert.pem"));
        var chain = tls ? Text("tls.crt") + "\n" + Text("ca.crt") : Text("cert-chain.pem");
        foreach (var (name, value) in (ReadOnlySpan<(string, string)>)[(tls ? "tls.crt" : "ca-cert.pem", certificate), (tls ? "tls.key" : "ca-key.pem", key),
            (tls ? "ca.crt" : "root-cert.pem", roots)])
        {
            if (value.Length == 0)
                throw new ProblemException(new Problem("ISM0402", source, $"data[{name}]", "is missing",
                    "create the Secret with ca-cert.pem, ca-key.pem, root-cert.pem and cert-chain.pem"));
        }
        var bundle = CaBundle.Load(certificate, key, chain, roots, source, time.GetUtcNow());
        return new(source, bundle, CertificateText.Write(bundle.Trust.Roots), CertificateText.Write(bundle.Intermediates));
    }

    private async Task UseOwnRootAsync(CancellationToken stop)
    {
        while (true)
        {
            if (await client.FindAsync<Secret>(Kinds.Secret, ns, WellKnown.SelfSignedCa, stop) is { } existing)
            {
                var (certificate, key) = (Encoding.UTF8.GetString(existing.Bytes("ca-cert.pem") ?? []),
                    Encoding.UTF8.GetString(existing.Bytes("ca-key.pem") ?? []));
                var bundle = CaBundle.Load(certificate, key, "", certificate, $"Secret {existing.Key}", time.GetUtcNow());
                Publish(new($"Secret {existing.Key}", bundle, CertificateText.Write(bundle.Trust.Roots), ""));
                return;
            }
            var now = time.GetUtcNow();
            using var issuer = Issuer.SelfSigned(new(trustDomain()), Keys.Create(KeyKind.Rsa2048), now.AddMinutes(-2), now.AddYears(RootYears));
            var secret = new JsonObject
            {
                ["apiVersion"] = "v1",
                ["kind"] = "Secret",
                ["type"] = "istio.io/ca-root",
                ["metadata"] = new JsonObject { ["name"] = WellKnown.SelfSignedCa, ["namespace"] = ns },
                ["data"] = new JsonObject
                {
                    ["ca-cert.pem"] = Base64(CertificateText.Write(issuer.Certificate)),
                    ["ca-key.pem"] = Base64(Keys.ToPem(issuer.Key)),
                    ["cert-chain.pem"] = "", ["key.pem"] = "", ["root-cert.pem"] = "",
                },
            };
            try { await client.CreateAsync(Kinds.Secret, secret, stop); }
            catch (KubeException e) when (e.IsAlreadyExists) { /* another replica was faster: its root is the one */ }
        }
    }

    private static string Base64(string text) => Convert.ToBase64String(Encoding.UTF8.GetBytes(text));

    private static bool SharesRoot(CaSnapshot one, CaSnapshot other) =>
        one.Bundle.Trust.Roots.Any(root => other.Bundle.Trust.Roots.Any(candidate => candidate.RawDataMemory.Span.SequenceEqual(root.RawDataMemory.Span)));

    private void Publish(CaSnapshot next)
    {
        if (_current is { } current && current.RootsPem == next.RootsPem && current.Bundle.Issuer.Certificate.Equals(next.Bundle.Issuer.Certificate)) return;
        _current = next;
        BundleInForce(log, next.Source, next.Bundle.Issuer.Certificate.Subject, next.Bundle.Issuer.Certificate.NotAfter);
        _ready.TrySetResult();
        Changed?.Invoke(next);
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "CA of {Source} in force: '{Subject}', valid until {NotAfter:u}")]
    private static partial void BundleInForce(ILogger log, string source, string subject, DateTime notAfter);

    [LoggerMessage(Level = LogLevel.Error, Message = "CA refused: {Problem}")]
    private static partial void BundleRefused(ILogger log, string problem);

    [LoggerMessage(Level = LogLevel.Warning, Message = "The CA is not replaced: {Problem}")]
    private static partial void BundleWaits(ILogger log, string problem);

    [LoggerMessage(Level = LogLevel.Warning, Message = "No root of our own yet: {Problem}")]
    private static partial void OwnRootWaits(ILogger log, string problem);

    [LoggerMessage(Level = LogLevel.Error, Message = "Secret cacerts could not be applied; retrying")]
    private static partial void NotTaken(ILogger log, Exception e);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Secret cacerts is gone; its CA stays in force until a restart")]
    private static partial void SecretGone(ILogger log);
}
