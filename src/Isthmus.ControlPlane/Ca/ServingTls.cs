using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using Isthmus.Graph.Settings;
using Isthmus.Core.Names;
using Isthmus.Wire.Tls;
using Microsoft.AspNetCore.Server.Kestrel.Https;

namespace Isthmus.ControlPlane.Ca;

/// <summary>The control plane's own certificate, signed by its CA, and the check of client certificates. Follows the
/// CA.</summary>
/// <param name="isTag">Whether a Service of the control plane's namespace, by name, leads to it for a revision tag.</param>
public sealed class ServingTls(Func<CaSnapshot?> ca, DiscoverySettings settings, TimeProvider time, Func<string, bool>? isTag = null)
{
    private static readonly TimeSpan Lifetime = TimeSpan.FromDays(365);
    private static readonly TimeSpan ShortestUse = TimeSpan.FromSeconds(10);

    private readonly Lock _guard = new(); // Guards _made and _tags.
    private readonly SortedSet<string> _tags = new(StringComparer.Ordinal);
    private (CaSnapshot Ca, SslStreamCertificateContext Context, DateTimeOffset Renewal)? _made;

    /// <summary>The names that proxies and API servers use to call the control plane (Istio's list).</summary>
    public IReadOnlyList<string> Names
    {
        get
        {
            var ns = settings.Namespace;
            return [.. new[] { $"{settings.ServiceName}.{ns}.svc", $"istiod.{ns}.svc", $"istiod-remote.{ns}.svc", $"istio-pilot.{ns}.svc", "localhost" }
                .Concat(settings.CustomHosts).Distinct(StringComparer.Ordinal)];
        }
    }

    /// <summary>The certificate that it serves, and those above it that it sends; null before the first handshake.</summary>
    public (X509Certificate2 Leaf, IReadOnlyCollection<X509Certificate2> Above)? Served
    {
        get
        {
            lock (_guard) return _made is { Context: var made } ? (made.TargetCertificate, made.IntermediateCertificates) : null;
        }
    }

    /// <param name="clients">Whether to ask clients for a certificate. A certificate that does not chain to our root ends
    /// the handshake.</param>
    /// <param name="judged">Whether the certificates of clients are judged by whoever answers their requests.</param>
    public TlsHandshakeCallbackOptions Options(bool clients, IEnumerable<SslApplicationProtocol> protocols, bool judged = false) => new()
    {
        OnConnection = hello => ValueTask.FromResult(new SslServerAuthenticationOptions
        {
            ServerCertificateContext = Context(hello.ClientHelloInfo.ServerName),
            EnabledSslProtocols = SslProtocols.Tls12 | SslProtocols.Tls13,
            ApplicationProtocols = [.. protocols],
            ClientCertificateRequired = clients,
            CertificateChainPolicy = PeerChain.Unjudged(),
            RemoteCertificateValidationCallback = (_, certificate, chain, _) => certificate is null || judged || Trusted((X509Certificate2)certificate, chain),
        }),
    };

    private bool Trusted(X509Certificate2 certificate, X509Chain? chain)
    {
        if (ca() is not { } current) return false;
        var sent = chain?.ChainPolicy.ExtraStore.Concat(chain.ChainElements.Select(element => element.Certificate)) ?? [];
        return current.Bundle.Trust.Reject(certificate, sent, CertificateUse.Client, time.GetUtcNow()) is null;
    }

    /// <summary>The name under <c>.svc</c> of a tag's Service, if a client asks for one that is not among the names yet.</summary>
    private string? NewTag(string asked)
    {
        if (isTag is null || !asked.StartsWith(WellKnown.TagServicePrefix, StringComparison.Ordinal)) return null;
        var suffix = $".{settings.Namespace}.svc";
        return asked.EndsWith(suffix, StringComparison.Ordinal) && !_tags.Contains(asked) && isTag(asked[..^suffix.Length]) ? asked : null;
    }

    private SslStreamCertificateContext Context(string asked)
    {
        var current = ca() ?? throw new AuthenticationException("The CA is not loaded yet.");
        var now = time.GetUtcNow();
        lock (_guard)
        {
            if (NewTag(asked) is { } tag && _tags.Add(tag)) _made = null;
            // Below a CA that has expired, clients must see a certificate that has expired, not a handshake that breaks.
            if (_made is { } made && made.Ca == current && (now < made.Renewal || current.End <= now)) return made.Context;
            using var key = Keys.Create(KeyKind.EcP256);
            var end = Earlier(now + Lifetime, current.End);
            using var leaf = current.Bundle.Issuer.IssueLeaf(new(
                new PublicKey(key), new([], [.. Names, .. _tags], []), now.AddMinutes(-2), end));
            using var joined = Keys.Join(leaf, key);
            var usable = X509CertificateLoader.LoadPkcs12(joined.Export(X509ContentType.Pkcs12), null);
            var context = SslStreamCertificateContext.Create(usable, [.. current.Bundle.Intermediates], offline: true);
            // A month before a year is over. A CA that is about to expire gives less and less, but not for each handshake anew.
            _made = (current, context, now + (end - now > ShortestUse ? (end - now) * 11 / 12 : ShortestUse));
            return context;
        }
    }

    private static DateTimeOffset Earlier(DateTimeOffset one, DateTimeOffset other) => one < other ? one : other;
}
