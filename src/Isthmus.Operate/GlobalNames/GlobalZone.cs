using System.Text.Json.Nodes;
using Isthmus.Core.Names;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;

namespace Isthmus.Operate.GlobalNames;

/// <summary>The block of a Corefile for a zone.</summary>
/// <param name="Found">What is there; null for nothing.</param>
/// <param name="Wanted">What is to be there; null while the zone has no server.</param>
internal sealed record ZoneBlock(string? Found, string? Wanted);

/// <summary>Adds names of other clusters (<c>NAME.NAMESPACE.global</c>) to a cluster's own DNS: its Corefile forwards them
/// to istiocoredns.</summary>
internal sealed class GlobalZone(KubeClient client)
{
    internal const string Zone = "global", Server = "istiocoredns";
    private const string DnsNamespace = "kube-system", DnsMap = "coredns", Corefile = "Corefile";

    /// <summary>The object that has the block, and its field.</summary>
    internal const string Map = $"ConfigMap {DnsNamespace}/{DnsMap}", Field = $"data.{Corefile}: {Zone}";

    /// <summary>What the user must do where there is no Corefile.</summary>
    internal const string ByHand = $"there is no {Map}; configure the cluster's DNS to forward the zone {Zone} to the Service "
        + $"{WellKnown.SystemNamespace}/{Server}";

    /// <summary>Null: the cluster's DNS has no Corefile.</summary>
    internal async Task<ZoneBlock?> FindAsync(CancellationToken stop) =>
        await CorefileAsync(stop) is { } corefile ? new(CorefileZone.Find(corefile, Zone), await BlockAsync(stop)) : null;

    internal async Task ApplyAsync(CancellationToken stop)
    {
        if (await CorefileAsync(stop) is { } corefile && await BlockAsync(stop) is { } block) await WriteAsync(CorefileZone.With(corefile, Zone, block), stop);
    }

    internal async Task RemoveAsync(CancellationToken stop)
    {
        if (await CorefileAsync(stop) is { } corefile && CorefileZone.Find(corefile, Zone) is not null)
            await WriteAsync(CorefileZone.Without(corefile, Zone), stop);
    }

    private async Task<string?> CorefileAsync(CancellationToken stop) =>
        (await client.FindAsync<ConfigMap>(Kinds.ConfigMap, DnsNamespace, DnsMap, stop))?.Data.GetValueOrDefault(Corefile);

    /// <summary>The address of the zone's server; null while its Service does not exist.</summary>
    private async Task<string?> BlockAsync(CancellationToken stop) =>
        (await client.FindAsync<Service>(Kinds.Service, WellKnown.SystemNamespace, Server, stop))?.Spec.ClusterIP is { Length: > 0 } address
            ? CorefileZone.Block(Zone, address)
            : null;

    private Task WriteAsync(string corefile, CancellationToken stop) =>
        client.PatchAsync(Kinds.ConfigMap, DnsNamespace, DnsMap, new JsonObject { ["data"] = new JsonObject { [Corefile] = corefile } }, PatchType.Merge,
            stop);
}
