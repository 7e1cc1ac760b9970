using System.Text.Json.Nodes;
using Isthmus.ControlPlane.Clusters;
using Isthmus.ControlPlane.Resolve;
using Isthmus.Core.Collections;
using Isthmus.Core.Net;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Operate.Install;
using Isthmus.Operate.Install.Operator;
using Isthmus.Rigs.Servers;
using Isthmus.Testing;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace Isthmus.Tests.Operate.Installation;

/// <summary>A remote cluster that knows its control plane by a host name.</summary>
public sealed class ControlPlaneAddressTests : IAsyncLifetime
{
    private readonly LoopbackCluster _cluster = new();
    private readonly CancellationTokenSource _stop = new();
    private readonly Names _names = new();
    private KubeClient _client = null!;
    private ControlPlaneAddress _address = null!;
    private Task _running = Task.CompletedTask;

    public async ValueTask InitializeAsync()
    {
        _client = await _cluster.StartAsync();
        await _client.CreateAsync(Kinds.Namespace,
            new JsonObject { ["apiVersion"] = "v1", ["kind"] = "Namespace", ["metadata"] = new JsonObject { ["name"] = "istio-system" } },
            CancellationToken.None);
        _address = new(_client, "istio-system", _names, TimeProvider.System, NullLogger.Instance);
        _running = _address.RunAsync(_stop.Token);
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _running;
        await _cluster.DisposeAsync();
        _stop.Dispose();
    }

    [Fact]
    public async Task Its_addresses_follow_the_name_at_its_time_to_live_and_outlive_a_name_server_that_fails()
    {
        _names.Answer = new([Address.Parse("192.0.2.1")], TimeSpan.FromSeconds(1), "");
        await InstallAsync("mesh.example.org");
        await UntilAsync(["192.0.2.1"]);
        _names.Answer = new([Address.Parse("192.0.2.2"), Address.Parse("192.0.2.3")], TimeSpan.FromSeconds(1), "");
        await UntilAsync(["192.0.2.2", "192.0.2.3"]);
        Assert.Null(_address.LastError);
        _names.Answer = NameAnswer.Failed("name server 192.0.2.53 did not answer");
        await Eventually.TrueAsync(() => _address.LastError is not null);
        Assert.Contains("mesh.example.org cannot be resolved", _address.LastError!.Message);
        Assert.Equal(["192.0.2.2", "192.0.2.3"], await AddressesAsync());
        Assert.All(_names.Asked, host => Assert.Equal("mesh.example.org", host));
    }

    [Fact]
    public async Task Both_ports_of_a_control_plane_are_at_every_address()
    {
        _names.Answer = new([Address.Parse("192.0.2.1")], TimeSpan.FromHours(1), "");
        await InstallAsync("mesh.example.org");
        await UntilAsync(["192.0.2.1"]);
        var slice = await _client.GetAsync(Kinds.EndpointSlice, "istio-system", "istiod", CancellationToken.None);
        Assert.Equal(["15012", "15017"], ((JsonArray)slice["ports"]!).Select(port => port!["port"]!.ToString()).Order());
        Assert.Equal("istiod", slice["metadata"]!["labels"]!["kubernetes.io/service-name"]!.ToString());
    }

    [Fact]
    public async Task Each_IP_family_has_a_slice_as_long_as_the_name_has_such_addresses()
    {
        _names.Answer = new([Address.Parse("192.0.2.1"), Address.Parse("2001:db8::1")], TimeSpan.FromSeconds(1), "");
        await InstallAsync("mesh.example.org");
        await UntilAsync(["192.0.2.1", "2001:db8::1"]);
        Assert.Equal([("istiod", "IPv4"), ("istiod-ipv6", "IPv6")], (await SlicesAsync()).Select(slice => (slice.Metadata.Name, slice.AddressType)).Order());
        _names.Answer = new([Address.Parse("2001:db8::1")], TimeSpan.FromSeconds(1), "");
        await UntilAsync(["2001:db8::1"]);
        Assert.Equal("istiod-ipv6", Assert.Single(await SlicesAsync()).Metadata.Name);
    }

    [Fact]
    public async Task Endpoints_of_an_earlier_version_give_way()
    {
        await _client.CreateAsync(Kinds.Endpoints, new JsonObject
        {
            ["apiVersion"] = "v1", ["kind"] = "Endpoints", ["metadata"] = new JsonObject { ["name"] = "istiod", ["namespace"] = "istio-system" },
            ["subsets"] = new JsonArray(new JsonObject
            {
                ["addresses"] = new JsonArray(new JsonObject { ["ip"] = "192.0.2.9" }), ["ports"] = new JsonArray(new JsonObject { ["port"] = 15012 })
            }),
        }, CancellationToken.None);
        _names.Answer = new([Address.Parse("192.0.2.1")], TimeSpan.FromHours(1), "");
        await InstallAsync("mesh.example.org");
        await UntilAsync(["192.0.2.1"]);
        await Eventually.TrueAsync(async () => await _client.FindAsync(Kinds.Endpoints, "istio-system", "istiod", CancellationToken.None) is null);
    }

    private async Task InstallAsync(string host)
    {
        var spec = OperatorSpec.Build([], ["profile=remote", $"values.global.remotePilotAddress={host}"], null);
        var service = Manifests.Render(spec).SelectMany(component => component.Objects).Single(value => (string?)value["kind"] == "Service");
        await _client.ApplyAsync(Kinds.Service, service, CancellationToken.None);
    }

    private async Task<IReadOnlyList<string>> AddressesAsync() =>
        [.. (await SlicesAsync()).SelectMany(slice => slice.Endpoints).SelectMany(endpoint => endpoint.Addresses).Order(StringComparer.Ordinal)];

    private Task<IReadOnlyList<EndpointSlice>> SlicesAsync() =>
        _client.ListAllAsync<EndpointSlice>(Kinds.EndpointSlice, "istio-system", new ListOptions { LabelSelector = "kubernetes.io/service-name=istiod" },
            CancellationToken.None);

    private Task UntilAsync(IReadOnlyList<string> wanted) =>
        Eventually.TrueAsync(async () => (await AddressesAsync()).SequenceEqual(wanted), $"addresses: {string.Join(", ", wanted)}");

    private sealed class Names : INameClient
    {
        internal volatile NameAnswer Answer = NameAnswer.Failed("nothing known");

        internal System.Collections.Concurrent.ConcurrentQueue<string> Asked { get; } = new();

        public Task<NameAnswer> AskAsync(string host, CancellationToken stop)
        {
            Asked.Enqueue(host);
            return Task.FromResult(Answer);
        }
    }
}
