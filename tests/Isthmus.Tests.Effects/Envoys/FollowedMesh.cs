using Isthmus.ControlPlane.Push;
using Isthmus.Rigs.Mesh;
using Isthmus.Testing;
using Xunit;
using TypeUrls = Isthmus.Wire.Xds.TypeUrls;

namespace Isthmus.Tests.Effects.Envoys;

/// <summary>Real Envoys that follow a mesh from state to state, and what they find wrong with what they get.</summary>
/// <param name="discovery">Their control plane.</param>
/// <param name="envoys">All that it serves.</param>
internal sealed class FollowedMesh(DiscoveryForEnvoys discovery, params EnvoyProcess[] envoys)
{
    private readonly List<string> _found = [];

    /// <summary>Waits until all have what the mesh has now. Envoy asks for listeners when it has its clusters, and for routes when it has these.</summary>
    public async Task BeginAsync()
    {
        await Eventually.TrueAsync(() => Array.Exists(envoys, envoy => envoy.HasEnded)
            || (discovery.Feeds.Count == envoys.Length
                && discovery.Feeds.All(feed => feed.Status.Types.Any(type => type.TypeUrl == TypeUrls.Route && type.Acked.Length > 0))));
        await SettleAsync("base");
    }

    /// <summary>Changes the mesh, and waits until all have taken or refused it.</summary>
    public Task ChangeAsync(string state, Action<MeshRig> change)
    {
        discovery.Push(change);
        return SettleAsync(state);
    }

    /// <summary>None of them has refused anything, or logged a warning.</summary>
    public async Task FoundNothingAsync()
    {
        Assert.True(_found.Count == 0, string.Join('\n', _found));
        foreach (var envoy in envoys)
        {
            Assert.All(await RejectedAsync(envoy), counter => Assert.EndsWith(": 0", counter, StringComparison.Ordinal));
            Assert.DoesNotContain("\"error_state\"", await envoy.AskAsync("/config_dump"), StringComparison.Ordinal);
        }
    }

    internal static async Task<IReadOnlyList<string>> RejectedAsync(EnvoyProcess envoy)
    {
        var counters = (await envoy.AskAsync("/stats?filter=update_rejected")).Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.NotEmpty(counters);
        return counters;
    }

    private async Task SettleAsync(string state)
    {
        await Eventually.TrueAsync(() => Array.Exists(envoys, envoy => envoy.HasEnded) || discovery.Feeds.All(feed => feed.Sync != SyncState.Stale));
        _found.AddRange(discovery.Feeds.SelectMany(feed => feed.Status.Types.Where(type => type.Error.Length > 0)
            .Select(type => $"{state}: {feed.Proxy.Name}: {type.Error}")));
        _found.AddRange(envoys.SelectMany(envoy => envoy.NewLines()).Where(IsOfConfiguration).Select(line => $"{state}: {line}"));
        Assert.False(Array.Exists(envoys, envoy => envoy.HasEnded), $"{state}: an Envoy has ended: {string.Join('\n', _found)}");
    }

    /// <summary>Neither the server of keys that a RequestAuthentication names nor files of Dynatrace exist here, which is no fault of the
    /// configuration. Of the two ways to say where datagrams go, Envoy calls one deprecated and the other unfinished.</summary>
    private static bool IsOfConfiguration(string line) =>
        !line.StartsWith("warning jwt Jwks async fetching url=http://web.shop.svc.cluster.local/keys: failed", StringComparison.Ordinal)
        && !line.StartsWith("warning tracing Dynatrace OpenTelemetry resource detector is configured but could not detect attributes",
            StringComparison.Ordinal)
        && !line.StartsWith("warning misc field 'envoy.extensions.filters.udp.udp_proxy.v3.UdpProxyConfig.matcher' is marked as work-in-progress",
            StringComparison.Ordinal);
}
