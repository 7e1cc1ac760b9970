using System.Net;
using System.Net.Security;
using System.Text.Json.Nodes;
using Isthmus.ControlPlane.Ca;
using Isthmus.ControlPlane.Clusters;
using Isthmus.Graph.Derive;
using Isthmus.Graph.Intake;
using Isthmus.ControlPlane.Running;
using Isthmus.Graph.Settings;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Model;
using Isthmus.Rigs.Mesh;
using Isthmus.Rigs.Servers;
using Isthmus.Tests.ControlPlane.Clusters;
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
    internal const string Namespace = "shop";

    private readonly LoopbackCluster _cluster = new();
    private readonly CancellationTokenSource _end = new();
    private readonly DiscoverySettings _settings = new() { ClusterId = "own" };
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

    internal CaState Ca { get; private set; } = null!;

    internal Uri Address => new(_server.Urls.First());

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        Client = await _cluster.StartAsync();
        foreach (var ns in (string[])[_settings.Namespace, Namespace]) await MakeAsync(Kinds.Namespace, null, ns);
        foreach (var account in (string[])["buyer", "seller"]) await MakeAsync(Kinds.ServiceAccount, Namespace, account);
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
    internal void PutPod(string name, string? account)
    {
        var source = new ObjectRef("own", "Pod", Namespace, name);
        if (account is null) _mesh.Sources.Workloads.Remove(source);
        else _mesh.Sources.Workloads.Put(source, new(source, name, default, account, default, default));
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
