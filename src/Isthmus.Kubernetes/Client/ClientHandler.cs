using System.Net;
using System.Net.Security;
using System.Security.Cryptography.X509Certificates;
using Isthmus.Core.Trust;

namespace Isthmus.Kubernetes.Client;

internal static class ClientHandler
{
    internal static SocketsHttpHandler Create(ClusterAccess access)
    {
        var handler = new SocketsHttpHandler
        {
            UseCookies = false,
            AllowAutoRedirect = false,
            AutomaticDecompression = DecompressionMethods.None,
            EnableMultipleHttp2Connections = true,
            ConnectTimeout = TimeSpan.FromSeconds(10),
            // Without keepalive, a peer that vanished without a FIN would leave a watch hanging forever.
            KeepAlivePingDelay = TimeSpan.FromSeconds(10),
            KeepAlivePingTimeout = TimeSpan.FromSeconds(5),
            PooledConnectionLifetime = Timeout.InfiniteTimeSpan,
            UseProxy = access.Proxy is not null,
            Proxy = access.Proxy is { } proxy ? new WebProxy(proxy) : null,
        };
        var tls = handler.SslOptions;
        if (access.InsecureSkipTlsVerify) tls.RemoteCertificateValidationCallback = (_, _, _, _) => true;
        else if (access.Server.Scheme == Uri.UriSchemeHttps)
            tls.CertificateChainPolicy = access.CertificateAuthority is { } pem ? Trust(pem) : SystemRoots.Policy();
        if (access is { ClientCertificate: { } chain, ClientKey: { } key }) tls.ClientCertificateContext = ClientCertificate(chain, key);
        return handler;
    }

    private static X509ChainPolicy Trust(string pem)
    {
        var policy = new X509ChainPolicy
        {
            TrustMode = X509ChainTrustMode.CustomRootTrust,
            RevocationMode = X509RevocationMode.NoCheck,
            DisableCertificateDownloads = true,
        };
        policy.CustomTrustStore.ImportFromPem(pem);
        return policy;
    }

    private static SslStreamCertificateContext ClientCertificate(string chain, string key)
    {
        var leaf = X509Certificate2.CreateFromPem(chain, key);
        // SslStream cannot use an ephemeral key on every platform. A PKCS#12 round trip returns a key that it can use, and costs a short command
        // some milliseconds where it is not needed.
        if (!OperatingSystem.IsLinux())
        {
            using var pair = leaf;
            leaf = X509CertificateLoader.LoadPkcs12(pair.Export(X509ContentType.Pkcs12), null);
        }
        var all = new X509Certificate2Collection();
        all.ImportFromPem(chain);
        var intermediates = new X509Certificate2Collection(all.Skip(1).ToArray());
        return SslStreamCertificateContext.Create(leaf, intermediates, offline: true);
    }
}
