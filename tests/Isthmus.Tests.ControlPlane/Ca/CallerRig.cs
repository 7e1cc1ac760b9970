using System.Net;
using System.Net.Security;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json.Nodes;
using Isthmus.ControlPlane.Ca;
using Isthmus.ControlPlane.Clusters;
using Isthmus.Graph.Derive;
using Isthmus.Graph.Intake;
using Isthmus.ControlPlane.Running;
using Isthmus.Graph.Settings;
using Isthmus.Core.Names;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Model;
using Isthmus.Rigs.Mesh;
using Isthmus.Rigs.Servers;
using Isthmus.Tests.ControlPlane.Clusters;
using Isthmus.Tests.ControlPlane.Running;
using Isthmus.Wire.Grpc;
using Isthmus.Wire.Xds;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Https;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace Isthmus.Tests.ControlPlane.Ca;

/// <summary>The authenticated endpoints of a control plane, on a loopback port, in front of a real API server.</summary>
public sealed class CallerRig : IAsyncLifetime
{
    internal const string Namespace = "shop", NodeAccount = "node-proxy";

    private readonly LoopbackCluster _cluster = new();
    private readonly CancellationTokenSource _end = new();
    private readonly DiscoverySettings _settings = new() { ClusterId = "own", TrustedNodeAccounts = [new(Namespace, NodeAccount)] };
    private ClusterSet _clusters = null!;
    private Supervisor _tasks = null!;
    private WebApplication _server = null!;
    private Task _loading = Task.CompletedTask;

    private readonly MeshGraph _mesh = new();

    internal KubeClient Client { get; private set; } = null!;

    /// <summary>Makes the Secret of the CA in a namespace.</summary>
    internal Func<KubeClient, string, Task> MakeCa { get; init; } = MadeRoot.CreateAsync;

    /// <summary>Whether the control plane has read the cluster.</summary>
    internal bool IsKnown { get; set; } = true;

    /// <summary>What is refused to node accounts, and why.</summary>
    internal RecordingLog Log { get; } = new();

    internal CaState Ca { get; private set; } = null!;

    internal Uri Address => new(_server.Urls.First());

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        Client = await _cluster.StartAsync();
        foreach (var ns in (string[])[_settings.Namespace, Namespace]) await MakeAsync(Kinds.Namespace, null, ns);
        foreach (var account in (string[])["buyer", "seller", NodeAccount]) await MakeAsync(Kinds.ServiceAccount, Namespace, account);
        await MakeCa(Client, _settings.Namespace);
        var time = TimeProvider.System;
        Ca = new(Client, _settings.Namespace, () => "cluster.local", time, NullLogger<CaState>.Instance);
        _loading = Ca.RunAsync(_end.Token);
        await Ca.Ready.WaitAsync(TimeSpan.FromMinutes(2), Stop);
        _tasks = new(time, new Random(1), NullLogger<Supervisor>.Instance);
        var mesh = new WatchedMesh(new(new MeshKinds(_settings.MultiCluster, "istio", "default", NullLogger<MeshKinds>.Instance), _settings.Namespace),
            new NoObjects(), _tasks, time);
        _clusters = new(_settings, mesh.Watch(new(_settings.ClusterId, "", Client.Access), 0), Client, mesh, time, NullLogger<ClusterSet>.Instance);
        var callers = new CallerCheck(_clusters.ClientOf, _settings, () => "cluster.local", NullLogger<CallerCheck>.Instance);
        var tls = new ServingTls(() => Ca.Current, _settings, time, name => name == "istiod-revision-tag-prod");
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0, listen =>
        {
            listen.Protocols = HttpProtocols.Http2;
            listen.UseHttps(tls.Options(clients: true, [SslApplicationProtocol.Http2]));
        }));
        builder.Services.AddRouting();
        _server = builder.Build();
        new CertificateEndpoint(Ca, callers, _settings, time, NullLogger<CertificateEndpoint>.Instance)
        {
            Accounts = new(_clusters.ClientOf, _ => IsKnown, _mesh.Sources, _settings, time, NullLogger<AccountCheck>.Instance),
            NodeAccounts = new(_mesh.Sources, _ => IsKnown, _settings, () => "cluster.local", Log),
        }.Map(_server);
        PutPod("buyer-1", "buyer");
        new XdsServer(new AuthorizedFeeds(new OneFeed(), callers, DiscoveryPorts.Default.Plain), new(), new Random(1)).Map(_server);
        await _server.StartAsync(Stop);
    }

    public async ValueTask DisposeAsync()
    {
        await _end.CancelAsync();
        await _loading.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await _server.DisposeAsync();
        await _tasks.DisposeAsync();
        await _clusters.DisposeAsync();
        await _cluster.DisposeAsync();
        _end.Dispose();
    }

    /// <summary>What the control plane knows of a Pod of the cluster.</summary>
    /// <param name="account">Null: the Pod is gone.</param>
    internal void PutPod(string name, string? account, string node = "", string cluster = "own", bool hasEnded = false)
    {
        var source = new ObjectRef(cluster, "Pod", Namespace, name);
        if (account is null) _mesh.Sources.Workloads.Remove(source);
        else _mesh.Sources.Workloads.Put(source, new(source, name, default, account, default, default) { Node = node, HasEnded = hasEnded });
        _mesh.Graph.Commit();
    }

    internal void PutEntry(string name, string account)
    {
        var source = new ObjectRef("own", "WorkloadEntry", Namespace, name);
        _mesh.Sources.Workloads.Put(source, new(source, name, default, account, [Isthmus.Core.Net.Address.Parse("10.0.0.9")], default));
        _mesh.Graph.Commit();
    }

    internal Task<JsonObject> MakeAsync(ResourceKind kind, string? ns, string name) =>
        Client.CreateAsync(kind, ns, new JsonObject { ["apiVersion"] = "v1", ["kind"] = kind.Kind, ["metadata"] = new JsonObject { ["name"] = name } }, Stop);

    internal GrpcChannel Channel(X509Certificate2? certificate, params X509Certificate2[] sent) => new(new(Address)
    {
        Tls = new()
        {
            TargetHost = "istiod.istio-system.svc",
            ApplicationProtocols = [SslApplicationProtocol.Http2],
            // Here the server is not in doubt.
            RemoteCertificateValidationCallback = (_, _, _, _) => true,
            ClientCertificateContext = certificate is null ? null : SslStreamCertificateContext.Create(certificate, [.. sent], offline: true),
        },
    });

    internal static GrpcCallOptions Options(string token, string cluster) => new()
    {
        Headers = [.. token.Length > 0 ? [new KeyValuePair<string, string>("authorization", $"Bearer {token}")] : Array.Empty<KeyValuePair<string, string>>(),
            new("clusterid", cluster)],
        Timeout = TimeSpan.FromMinutes(2),
    };

    internal Task<string> TokenAsync(string account, string audience = WellKnown.TokenAudience) => TokenAsync(Client, account, audience);

    /// <param name="pod">The Pod that the token is bound to; null for none.</param>
    internal static async Task<string> TokenAsync(KubeClient client, string account, string audience = WellKnown.TokenAudience, JsonObject? pod = null)
    {
        var spec = new JsonObject { ["audiences"] = new JsonArray(audience) };
        if (pod is not null)
            spec["boundObjectRef"] = new JsonObject
            {
                ["apiVersion"] = "v1", ["kind"] = "Pod", ["name"] = pod["metadata"]!["name"]!.DeepClone(), ["uid"] = pod["metadata"]!["uid"]!.DeepClone(),
            };
        var answer = await client.RawAsync(HttpMethod.Post, Kinds.ServiceAccount.Path(Namespace, account, "token"), new JsonObject
        {
            ["apiVersion"] = "authentication.k8s.io/v1", ["kind"] = "TokenRequest", ["spec"] = spec,
        }, Stop);
        return JsonNode.Parse(answer)!["status"]!["token"]!.ToString();
    }

    private sealed class OneFeed : IXdsFeeds, IXdsFeed
    {
        public ValueTask<IXdsFeed> OpenAsync(XdsClientHello client, CancellationToken stop) => new(new OneFeed());

        public void Follow(Action offered) => offered();

        public XdsSnapshot? Newer(XdsSnapshot? last) => last is null ? XdsRig.Snapshot("1", (TypeUrls.Cluster, "a", "1")) : null;

        public void Observe(XdsEvent happened)
        {
        }

        public ValueTask DisposeAsync() => default;
    }
}
