using System.Security.Cryptography.X509Certificates;
using Isthmus.Proxy.Agent;
using Isthmus.Proxy.Tls;
using Isthmus.Testing;
using Microsoft.Extensions.Logging;
using Xunit;

namespace Isthmus.Tests.Proxy.Agent;

/// <summary>OUTPUT_CERTS: other containers of the Pod read the certificate of the workload from files.</summary>
public sealed class WrittenCertificatesTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("isthmus-test-").FullName;
    private readonly TestCa _root = new("Root CA");
    private readonly Source _secrets = new();
    private readonly Recorder _log = new();

    [Fact]
    public void The_files_belong_together_and_follow_each_renewal()
    {
        new WrittenCertificates(_directory, _secrets, _log).Follow();
        Assert.Empty(Directory.GetFiles(_directory));

        var first = Give("spiffe://cluster.local/ns/shop/sa/prometheus");
        Assert.Equal(["cert-chain.pem", "key.pem", "root-cert.pem"], Directory.GetFiles(_directory).Select(Path.GetFileName).Order(StringComparer.Ordinal));
        Assert.Equal(first, Read());
        Assert.Equal(_root.Pem.Trim(), Text("root-cert.pem").Trim());
        const UnixFileMode everyone = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.OtherRead;
        Assert.All(Directory.GetFiles(_directory), file => Assert.Equal(everyone, File.GetUnixFileMode(file)));

        Assert.NotEqual(first, Give("spiffe://cluster.local/ns/shop/sa/prometheus"));
        Assert.Equal(_secrets.FindCertificate("default")!.Leaf.Thumbprint, Read());
        Assert.Empty(_log.Lines);
    }

    [Fact]
    public void What_was_there_before_is_written_at_once()
    {
        var thumbprint = Give("spiffe://cluster.local/ns/shop/sa/prometheus");
        var missing = Path.Combine(_directory, "made", "on", "demand");
        new WrittenCertificates(missing, _secrets, _log).Follow();
        Assert.Equal(thumbprint, Read(missing));
    }

    /// <summary>Without a volume, the root of a container is read-only: the proxy goes on, and says once what is missing.</summary>
    [Fact]
    public void A_place_that_cannot_be_written_is_named_once_and_costs_nothing_else()
    {
        var place = Path.Combine(_directory, "file");
        File.WriteAllText(place, "");
        new WrittenCertificates(place, _secrets, _log).Follow();
        Give("spiffe://cluster.local/ns/shop/sa/prometheus");
        Give("spiffe://cluster.local/ns/shop/sa/prometheus");
        var line = Assert.Single(_log.Lines);
        Assert.StartsWith($"OUTPUT_CERTS: certificates cannot be written to {place}: ", line, StringComparison.Ordinal);
        Assert.EndsWith("(mount a volume there that the proxy may write)", line, StringComparison.Ordinal);
    }

    public void Dispose()
    {
        _root.Dispose();
        Directory.Delete(_directory, recursive: true);
    }

    /// <summary>The thumbprint of a new certificate that the proxy has now.</summary>
    private string Give(string identity)
    {
        using var leaf = _root.Server(identity);
        using var key = leaf.GetECDsaPrivateKey()!;
        _secrets.Give(CertificateSecret.Load("default", $"{leaf.ExportCertificatePem()}\n{_root.Pem}\n", key.ExportPkcs8PrivateKeyPem()),
            RootSecret.Load("ROOTCA", _root.Pem));
        return leaf.Thumbprint;
    }

    private string Text(string file) => File.ReadAllText(Path.Combine(_directory, file));

    /// <summary>The thumbprint of the chain's first certificate, whose key is beside it.</summary>
    private string Read(string? directory = null)
    {
        using var certificate = X509Certificate2.CreateFromPemFile(Path.Combine(directory ?? _directory, "cert-chain.pem"),
            Path.Combine(directory ?? _directory, "key.pem"));
        return certificate.Thumbprint;
    }

    private sealed class Source : ISecretSource
    {
        private CertificateSecret? _certificate;
        private RootSecret? _roots;

        public event Action<string>? Changed;

        internal void Give(CertificateSecret certificate, RootSecret roots)
        {
            (_certificate, _roots) = (certificate, roots);
            Changed?.Invoke("default");
            Changed?.Invoke("ROOTCA");
        }

        public CertificateSecret? FindCertificate(string name) => name == "default" ? _certificate : null;

        public RootSecret? FindRoots(string name) => name == "ROOTCA" ? _roots : null;

        public IReadOnlyList<SecretView> View() => [];
    }

    private sealed class Recorder : ILogger
    {
        internal List<string> Lines { get; } = [];

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception,
            Func<TState, Exception?, string> formatter) => Lines.Add(formatter(state, exception));
    }
}
