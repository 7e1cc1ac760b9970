using System.Globalization;
using System.Security.Cryptography.X509Certificates;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Isthmus.ControlPlane.Push;
using Isthmus.Mesh.Model;
using Isthmus.Rigs.Mesh;
using Isthmus.Testing;
using Isthmus.Wire.Envoy;
using Isthmus.Wire.Grpc;
using Isthmus.Wire.Xds;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Xunit;

namespace Isthmus.Tests.Effects.Envoys;

/// <summary>The discovery server of a mesh, and a server of workload secrets as an agent is one, on a Unix socket.</summary>
internal sealed class DiscoveryForEnvoys : IXdsFeeds, IAsyncDisposable
{
    private static readonly GrpcMethod<DiscoveryRequest, DiscoveryResponse> Secrets =
        new("envoy.service.secret.v3.SecretDiscoveryService", "StreamSecrets", DiscoveryRequest.Parser, DiscoveryResponse.Parser);

    private readonly Lock _guard = new(); // Guards the mesh and the list of feeds.
    private readonly MeshRig _rig;
    private readonly List<ProxyFeed> _feeds = [];
    private readonly TestCa _ca = new("envoys");
    private readonly WebApplication _server;

    private DiscoveryForEnvoys(MeshRig rig, string socket)
    {
        _rig = rig;
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.ListenUnixSocket(socket, listen => listen.Protocols = HttpProtocols.Http2));
        builder.Services.AddRouting();
        _server = builder.Build();
        new XdsServer(this, new(), new Random(1)).Map(_server);
        _server.MapDuplex(Secrets, ServeSecretsAsync, 1 << 20);
    }

    public static async Task<DiscoveryForEnvoys> StartAsync(MeshRig rig, string socket)
    {
        var discovery = new DiscoveryForEnvoys(rig, socket);
        await discovery._server.StartAsync(TestContext.Current.CancellationToken);
        return discovery;
    }

    public IReadOnlyList<ProxyFeed> Feeds
    {
        get { lock (_guard) return [.. _feeds]; }
    }

    /// <summary>Changes the mesh, and publishes it.</summary>
    public void Push(Action<MeshRig> change)
    {
        lock (_guard)
        {
            change(_rig);
            _rig.Push();
        }
    }

    public ValueTask<IXdsFeed> OpenAsync(XdsClientHello client, CancellationToken stop)
    {
        var proxy = MeshFeeds.Read(client.Node, out var error) ?? throw new GrpcException(GrpcCode.InvalidArgument, error);
        var account = new AccountKey(proxy.Cluster, proxy.Namespace, proxy.ServiceAccount);
        lock (_guard)
        {
            var feed = _rig.Connect(proxy with { Proof = new(account, "") });
            _feeds.Add(feed);
            return new(feed);
        }
    }

    private async Task ServeSecretsAsync(GrpcCall call, GrpcReader<DiscoveryRequest> requests, GrpcWriter<DiscoveryResponse> responses)
    {
        for (var count = 0; await requests.ReadAsync(call.Stop) is { } request; count++)
        {
            if (request.ResponseNonce.Length > 0) continue; // it has what it asked for
            var answer = new DiscoveryResponse { TypeUrl = request.TypeUrl, VersionInfo = "1", Nonce = count.ToString(CultureInfo.InvariantCulture) };
            answer.Resources.AddRange(request.ResourceNames.Select(name => Any.Pack(SecretOf(name))));
            await responses.WriteAsync(answer, call.Stop);
        }
    }

    private Secret SecretOf(string name)
    {
        if (name == "ROOTCA" || name.StartsWith("file-root:", StringComparison.Ordinal))
            return new() { Name = name, ValidationContext = new() { TrustedCa = Text(_ca.Pem) } };
        using var certificate = _ca.Server("spiffe://cluster.local/ns/shop/sa/web");
        using var key = certificate.GetECDsaPrivateKey()!;
        return new()
        {
            Name = name,
            TlsCertificate = new() { CertificateChain = Text(certificate.ExportCertificatePem()), PrivateKey = Text(key.ExportPkcs8PrivateKeyPem()) }
        };
    }

    private static DataSource Text(string pem) => new() { InlineBytes = ByteString.CopyFromUtf8(pem) };

    public async ValueTask DisposeAsync()
    {
        await _server.DisposeAsync();
        _ca.Dispose();
    }
}
