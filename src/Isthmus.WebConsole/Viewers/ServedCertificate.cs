using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Isthmus.Core.Problems;
using Microsoft.AspNetCore.Server.Kestrel.Https;

namespace Isthmus.WebConsole.Viewers;

/// <summary>The certificate of a mounted Secret (<c>tls.crt</c>, <c>tls.key</c>). A renewed one is used for new connections; a broken one is
/// not.</summary>
internal sealed class ServedCertificate(string folder, TimeProvider time, Action<string> log)
{
    private static readonly TimeSpan Looking = TimeSpan.FromSeconds(10);

    private readonly Lock _lock = new();   // guards the fields below
    private SslStreamCertificateContext? _context;
    private string _read = "";
    private DateTimeOffset _lookAgain;

    public TlsHandshakeCallbackOptions Options() => new()
    {
        OnConnection = _ => ValueTask.FromResult(new SslServerAuthenticationOptions
        {
            ServerCertificateContext = Current(),
            EnabledSslProtocols = SslProtocols.Tls12 | SslProtocols.Tls13,
            ApplicationProtocols = [SslApplicationProtocol.Http2, SslApplicationProtocol.Http11],
            CertificateRevocationCheckMode = X509RevocationMode.NoCheck,
        }),
    };

    /// <exception cref="ProblemException">There has been no usable certificate so far.</exception>
    public SslStreamCertificateContext Current()
    {
        lock (_lock)
        {
            if (time.GetUtcNow() is var now && now >= _lookAgain)
            {
                _lookAgain = now + Looking;
                Load();
            }
            return _context
                ?? throw new ProblemException(folder, "has no usable certificate",
                    "create the Secret that values.console.credentialName names, of type kubernetes.io/tls");
        }
    }

    private void Load()
    {
        try
        {
            var (chain, key) = (File.ReadAllText(Path.Combine(folder, "tls.crt")), File.ReadAllText(Path.Combine(folder, "tls.key")));
            if (chain + key == _read) return;
            using var pair = X509Certificate2.CreateFromPem(chain, key);
            // SslStream cannot use an ephemeral key on every platform. A PKCS#12 round trip returns a key that it can use.
            var leaf = X509CertificateLoader.LoadPkcs12(pair.Export(X509ContentType.Pkcs12), null);
            var all = new X509Certificate2Collection();
            all.ImportFromPem(chain);
            _context = SslStreamCertificateContext.Create(leaf, [.. all.Skip(1)], offline: true);
            _read = chain + key;
            log($"serves the certificate of {leaf.Subject}, which ends {leaf.NotAfter.ToUniversalTime():yyyy-MM-dd}");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or CryptographicException or ArgumentException)
        {
            log($"the certificate in {folder} cannot be used: {e.Message}");
        }
    }
}
