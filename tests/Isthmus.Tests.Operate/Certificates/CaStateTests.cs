using System.Text.Json.Nodes;
using Isthmus.ControlPlane.Ca;
using Isthmus.Core.Names;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Operate.Certificates;
using Isthmus.Rigs.Servers;
using Isthmus.Testing;
using Isthmus.Wire.Tls;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace Isthmus.Tests.Operate.Certificates;

/// <summary>Which CA a control plane uses, from the lab's own API server.</summary>
public sealed class CaStateTests : IAsyncLifetime
{
    private const string Namespace = "some-system";
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    private readonly string _directory = Directory.CreateTempSubdirectory("isthmus-ca-").FullName;
    private readonly LoopbackCluster _cluster = new();
    private readonly CancellationTokenSource _stop = new();
    private KubeClient _client = null!;
    private CaState _ca = null!;
    private Task _running = Task.CompletedTask;

    public async ValueTask InitializeAsync()
    {
        _client = await _cluster.StartAsync();
        await _client.CreateAsync(Kinds.Namespace,
            new JsonObject { ["apiVersion"] = "v1", ["kind"] = "Namespace", ["metadata"] = new JsonObject { ["name"] = Namespace } }, _stop.Token);
        var files = new CaFiles(_directory, TimeProvider.System);
        files.MakeRoot(new(KeyKind.EcP256, 30));
        foreach (var cluster in (string[])["one", "two"]) files.MakeIntermediate(cluster, new(KeyKind.EcP256, 30), Namespace);
        _ca = new(_client, Namespace, () => "cluster.local", TimeProvider.System, NullLogger<CaState>.Instance);
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _running;
        await _cluster.DisposeAsync();
        _stop.Dispose();
        Directory.Delete(_directory, recursive: true);
    }

    [Fact]
    public async Task A_refused_Secret_gives_no_CA_and_its_removal_a_root_of_our_own()
    {
        await CreateAsync(cluster: "one", keyOf: "two");
        _running = _ca.RunAsync(_stop.Token);
        await Eventually.TrueAsync(() => _ca.Problem is not null);
        Assert.Null(_ca.Current);
        await DeleteAsync();
        await _ca.Ready.WaitAsync(Patience);
        Assert.Equal($"Secret {Namespace}/{WellKnown.SelfSignedCa}", _ca.Current!.Source);
        Assert.Null(_ca.Problem);
    }

    [Fact]
    public async Task A_right_Secret_takes_the_place_of_a_refused_one_and_no_root_of_our_own_is_made()
    {
        await CreateAsync(cluster: "one", keyOf: "two");
        _running = _ca.RunAsync(_stop.Token);
        await Eventually.TrueAsync(() => _ca.Problem is not null);
        await _client.PatchAsync(Kinds.Secret, Namespace, WellKnown.CaCerts, new JsonObject { ["data"] = await FilesAsync("one", "one") }, PatchType.Merge,
            _stop.Token);
        await _ca.Ready.WaitAsync(Patience);
        Assert.Equal($"Secret {Namespace}/{WellKnown.CaCerts}", _ca.Current!.Source);
        Assert.Null(await _client.FindAsync<Secret>(Kinds.Secret, Namespace, WellKnown.SelfSignedCa, _stop.Token));
    }

    [Fact]
    public async Task A_Secret_of_another_root_waits_for_a_restart_until_it_goes()
    {
        _running = _ca.RunAsync(_stop.Token);
        await _ca.Ready.WaitAsync(Patience);
        await CreateAsync(cluster: "one", keyOf: "one");
        await Eventually.TrueAsync(() => _ca.Problem is { Code: "ISM0401" });
        Assert.Equal($"Secret {Namespace}/{WellKnown.SelfSignedCa}", _ca.Current!.Source);
        await DeleteAsync();
        await Eventually.TrueAsync(() => _ca.Problem is null);
    }

    /// <summary>Istio's control plane writes the file of its Secret as it is. Each would undo the other's for ever.</summary>
    [Fact]
    public async Task The_same_roots_keep_another_notation_and_get_the_issuer_beside_them()
    {
        await CreateAsync(cluster: "one", keyOf: "one");
        var root = await File.ReadAllTextAsync(Path.Combine(_directory, "one", "root-cert.pem"), _stop.Token);
        var theirs = $"# the root of all clusters\r\n{root.ReplaceLineEndings("\r\n")}";
        foreach (var (name, text) in ((string, string)[])[("theirs", theirs), ("other", "nonsense")])
        {
            await _client.CreateAsync(Kinds.Namespace, new JsonObject { ["metadata"] = new JsonObject { ["name"] = name } }, _stop.Token);
            await _client.CreateAsync(Kinds.ConfigMap, new JsonObject
            {
                ["metadata"] = new JsonObject
                {
                    ["name"] = WellKnown.RootCertConfigMap, ["namespace"] = name, ["labels"] = new JsonObject { [Labels.IstioConfig] = "true" }
                },
                ["data"] = new JsonObject { [WellKnown.RootCertKey] = text },
            }, _stop.Token);
        }
        var distribution = new RootDistribution(_client, _ca, TimeProvider.System, NullLogger<RootDistribution>.Instance);
        _running = Task.WhenAll(_ca.RunAsync(_stop.Token), distribution.RunAsync(_stop.Token))
            .ContinueWith(_ => { }, CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default);
        await Eventually.TrueAsync(async () => await TextAsync("other") == root && await TextAsync("default") == root);
        // A namespace that comes later is written after all that was queued before.
        await _client.CreateAsync(Kinds.Namespace, new JsonObject { ["metadata"] = new JsonObject { ["name"] = "later" } }, _stop.Token);
        await Eventually.TrueAsync(async () => await TextAsync("later") == root);
        var map = (await _client.FindAsync<ConfigMap>(Kinds.ConfigMap, "theirs", WellKnown.RootCertConfigMap, _stop.Token))!;
        Assert.Equal((theirs, await File.ReadAllTextAsync(Path.Combine(_directory, "one", "ca-cert.pem"), _stop.Token)),
            (map.Data[WellKnown.RootCertKey], map.Data[WellKnown.IssuerCertKey]));
    }

    private async Task<string> TextAsync(string ns) =>
        (await _client.FindAsync<ConfigMap>(Kinds.ConfigMap, ns, WellKnown.RootCertConfigMap, _stop.Token))?.Data.GetValueOrDefault(WellKnown.RootCertKey)
            ?? "";

    private Task DeleteAsync() => _client.DeleteAsync(Kinds.Secret, Namespace, WellKnown.CaCerts, _stop.Token);

    private async Task CreateAsync(string cluster, string keyOf)
    {
        await _client.CreateAsync(Kinds.Secret, new JsonObject
        {
            ["apiVersion"] = "v1", ["kind"] = "Secret", ["type"] = "Opaque",
            ["metadata"] = new JsonObject { ["name"] = WellKnown.CaCerts, ["namespace"] = Namespace }, ["data"] = await FilesAsync(cluster, keyOf),
        }, _stop.Token);
    }

    private async Task<JsonObject> FilesAsync(string cluster, string keyOf)
    {
        var data = new JsonObject();
        foreach (var file in CaFiles.ClusterFiles)
            data[file] = Convert.ToBase64String(await File.ReadAllBytesAsync(Path.Combine(_directory, file == "ca-key.pem" ? keyOf : cluster, file),
                _stop.Token));
        return data;
    }
}
