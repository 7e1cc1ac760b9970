using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using Isthmus.Core.Net;
using Isthmus.Core.Problems;
using Isthmus.Proxy.Dns;
using Isthmus.Wire.Dns;
using Isthmus.Wire.Grpc;
using Isthmus.Wire.Tls;

namespace Isthmus.Proxy.Agent;

/// <summary>Connections to the control plane: past traffic capture, over TLS verified against the mounted roots, with the
/// current token.</summary>
internal sealed class ControlPlaneDial(AgentSettings settings, NameLookup names, TimeProvider time)
{
    /// <summary>A channel for one stream or a few calls; files are read again each time, because they are rotated while the
    /// proxy runs.</summary>
    /// <exception cref="IOException">The roots are missing (so far) or are not certificates.</exception>
    public GrpcChannel Open(ServerAddress server)
    {
        var scheme = server.IsPlain ? "http" : "https";
        return new(new(new UriBuilder(scheme, server.Host, server.Port).Uri)
        {
            Tls = server.IsPlain ? null : Tls(server),
            Connect = ConnectAsync,
            MaxMessage = 64 * 1024 * 1024,
        });
    }

    /// <summary>The metadata of every call: the token and the cluster it belongs to.</summary>
    /// <exception cref="IOException">The token cannot be read (yet).</exception>
    public async ValueTask<IReadOnlyList<KeyValuePair<string, string>>> HeadersAsync(CancellationToken stop)
    {
        var headers = new List<KeyValuePair<string, string>> { new("clusterid", settings.ClusterId) };
        if (settings.TokenFile.Length > 0)
            headers.Add(new("authorization", $"Bearer {(await File.ReadAllTextAsync(settings.TokenFile, stop).ConfigureAwait(false)).Trim()}"));
        return headers;
    }

    private SslClientAuthenticationOptions Tls(ServerAddress server)
    {
        var name = settings.ServerName.Length > 0 ? settings.ServerName : server.Host;
        TrustBundle trust;
        try
        {
            trust = TrustBundle.FromPem(File.ReadAllText(settings.RootFile), settings.RootFile);
        }
        catch (ProblemException e)
        {
            throw new IOException(e.Message, e);
        }
        return new()
        {
            TargetHost = name,
            EnabledSslProtocols = SslProtocols.Tls12 | SslProtocols.Tls13,
            CertificateChainPolicy = PeerChain.Unjudged(),
            RemoteCertificateValidationCallback = (_, certificate, chain, _) => Accept(trust, name, certificate as X509Certificate2, chain),
        };
    }

    private bool Accept(TrustBundle trust, string name, X509Certificate2? certificate, X509Chain? chain)
    {
        if (certificate is null) throw new AuthenticationException("the control plane showed no certificate");
        var sent = chain?.ChainPolicy.ExtraStore.Concat(chain.ChainElements.Select(e => e.Certificate)) ?? [];
        if (trust.Reject(certificate, sent, CertificateUse.Server, time.GetUtcNow()) is { } reason)
            throw new AuthenticationException($"the control plane's certificate is not trusted: {reason}");
        var names = SubjectNames.Of(certificate);
        if (!names.DnsNames.Any(n => Matches(n, name)) && !names.Addresses.Any(a => a.ToString() == name))
            throw new AuthenticationException($"the control plane's certificate is for {string.Join(", ", names.DnsNames)} and not for {name}");
        return true;
    }

    private static bool Matches(string pattern, string name) =>
        pattern.StartsWith("*.", StringComparison.Ordinal)
            ? name.IndexOf('.', StringComparison.Ordinal) is > 0 and var dot && DnsName.Same(pattern.AsSpan(1), name.AsSpan(dot))
            : DnsName.Same(pattern, name);

    private async ValueTask<Stream> ConnectAsync(DnsEndPoint server, CancellationToken stop)
    {
        var (addresses, _) = await names.ResolveAsync(server.Host, stop).ConfigureAwait(false);
        if (addresses.Count == 0) throw new IOException($"the name {server.Host} does not exist");
        return new NetworkStream(await MarkedSocket.ConnectAsync(addresses, server.Port, stop).ConfigureAwait(false), ownsSocket: true);
    }
}
