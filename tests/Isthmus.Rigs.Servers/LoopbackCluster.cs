using System.Net;
using Isthmus.Kubernetes.Client;
using Isthmus.Lab.ApiServer;
using Isthmus.Lab.ApiServer.Pki;

namespace Isthmus.Rigs.Servers;

/// <summary>The lab's own API server on a loopback port, without controllers and nodes: nothing in it happens by
/// itself.</summary>
internal sealed class LoopbackCluster : IAsyncDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("isthmus-loopback-").FullName;
    private ClusterPki? _pki;
    private ApiServerHost? _host;
    private KubeClient? _client;

    /// <summary>Holds the keys, the objects and the socket at which the server expects a node.</summary>
    internal string Folder => _directory;

    internal ClusterPki Pki => _pki!;

    internal async Task<KubeClient> StartAsync(string name = "test")
    {
        // Disposed only at the end: the server uses it for its handshakes.
        _pki = await ClusterPki.EnsureAsync(_directory, name, IPAddress.Loopback, TimeProvider.System, CancellationToken.None);
        _host = ApiServerHost.Build(new(name, _directory, "127.0.0.1") { LoopbackEndpoints = true }, _pki.ApiServer, TimeProvider.System, new Random(1),
            [new IPEndPoint(IPAddress.Loopback, 0)]);
        await _host.StartAsync(CancellationToken.None);
        var (certificate, key) = await _pki.ReadPairAsync(PkiNames.Controllers, CancellationToken.None);
        return _client = new KubeClient(new ClusterAccess
        {
            Server = new Uri(_host.Addresses.First()), CertificateAuthority = _pki.CaPem, ClientCertificate = certificate, ClientKey = key
        });
    }

    public async ValueTask DisposeAsync()
    {
        _client?.Dispose();
        if (_host is not null) await _host.DisposeAsync();
        _pki?.Dispose();
        // Whoever cleans the machine's temporary directory breaks no test that has ended.
        if (Directory.Exists(_directory)) Directory.Delete(_directory, recursive: true);
    }
}
