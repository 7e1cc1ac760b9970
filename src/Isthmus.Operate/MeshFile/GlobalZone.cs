using System.Text.Json.Nodes;
using Isthmus.Core.Names;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;

namespace Isthmus.Operate.MeshFile;

/// <summary>Adds names of other clusters (<c>NAME.NAMESPACE.global</c>) to a cluster's own DNS: its Corefile forwards them
/// to istiocoredns.</summary>
internal sealed class GlobalZone(ClusterLink link)
{
    private const string Zone = "global";
    private const string DnsNamespace = "kube-system", DnsMap = "coredns", Corefile = "Corefile", Server = "istiocoredns";

    /// <summary>The change to make, or a note about what the user must do.</summary>
    internal async Task<(Change? Change, string Note)> CompareAsync(CancellationToken stop)
    {
        if (await CorefileAsync(stop) is not { } corefile)
            return (null,
                $"{link.Name}: there is no ConfigMap {DnsNamespace}/{DnsMap}; configure the cluster's DNS to forward the zone {Zone} to the Service "
                    + $"{WellKnown.SystemNamespace}/{Server}");
        var (found, wanted) = (CorefileZone.Find(corefile, Zone), await BlockAsync(stop));
        if (found == wanted && wanted is not null) return (null, "");
        return (new(link.Name, Part.DnsZone, found is null ? ChangeKind.Create : ChangeKind.Change, $"ConfigMap {DnsNamespace}/{DnsMap}",
            found is null ? [] : [new($"data.{Corefile}: {Zone}", wanted ?? $"a forward to {Server}", found)], $"zone {Zone}"), "");
    }

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
        (await link.Client.FindAsync<ConfigMap>(Kinds.ConfigMap, DnsNamespace, DnsMap, stop))?.Data.GetValueOrDefault(Corefile);

    /// <summary>The address of the zone's server; null while its Service does not exist.</summary>
    private async Task<string?> BlockAsync(CancellationToken stop) =>
        (await link.Client.FindAsync<Service>(Kinds.Service, WellKnown.SystemNamespace, Server, stop))?.Spec.ClusterIP is { Length: > 0 } address
            ? CorefileZone.Block(Zone, address)
            : null;

    private Task WriteAsync(string corefile, CancellationToken stop) =>
        link.Client.PatchAsync(Kinds.ConfigMap, DnsNamespace, DnsMap, new JsonObject { ["data"] = new JsonObject { [Corefile] = corefile } }, PatchType.Merge,
            stop);
}
