using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Objects;
using Isthmus.Lab.Controllers.Framework;

namespace Isthmus.Lab.Controllers.Network;

/// <summary>Decides which external addresses each LoadBalancer Service has (the role of MetalLB; a Service may name several, as with Cilium and
/// kube-vip).</summary>
public static class LoadBalancerPlan
{
    private const string PoolAnnotation = "metallb.universe.tf/address-pool";
    private const string SharingAnnotation = "metallb.universe.tf/allow-shared-ip";
    private static readonly string[] AddressesAnnotations = ["metallb.io/loadBalancerIPs", "metallb.universe.tf/loadBalancerIPs"];

    /// <param name="all">Every Service of the cluster: the addresses of each are taken.</param>
    public static Plan For(Service service, IEnumerable<Service> all, IReadOnlyList<AddressPool> pools)
    {
        var has = service.Status.LoadBalancer.Ingress.Select(ingress => ingress.Ip).Where(ip => ip.Length > 0).ToList();
        var mine = service is { Spec: { Type: "LoadBalancer", LoadBalancerClass: null }, Metadata.DeletionTimestamp: null };
        if (!mine) return has.Count > 0 && service.Spec.Type != "LoadBalancer" ? Set(service, [], []) : Plan.Nothing;
        var others = all.Where(other => other.Key != service.Key && !Shares(service, other)).SelectMany(other => other.Status.LoadBalancer.Ingress)
            .Select(ingress => AddressRange.Number(ingress.Ip)).OfType<uint>().ToHashSet();
        var (addresses, obstacle) = Choose(service, has.FirstOrDefault(), others, pools);
        // An address that it may no longer keep is removed. A missing address is requested again when the pools change.
        Note[] notes = obstacle is null ? []
            : [Note.Warning(Kinds.Service, service, "AllocationFailed", $"Failed to allocate IP for \"{service.Key}\": {obstacle}")];
        if (addresses.SequenceEqual(has)) return new() { Notes = notes };
        return Set(service, addresses, addresses.Count == 0 ? notes
            : [.. notes, Note.Normal(Kinds.Service, service, "IPAllocated", $"Assigned IP [{string.Join(' ', addresses.Select(ip => $"\"{ip}\""))}]")]);
    }

    /// <summary>The addresses to assign, and what prevents others.</summary>
    private static (IReadOnlyList<string> Addresses, string? Obstacle) Choose(Service service, string? has, HashSet<uint> others,
        IReadOnlyList<AddressPool> pools)
    {
        var poolName = service.Metadata.Annotations.GetValueOrDefault(PoolAnnotation);
        if (poolName is not null && pools.All(pool => pool.Name != poolName)) return ([], $"unknown pool \"{poolName}\"");
        var allowed = pools.Where(pool => poolName is null || pool.Name == poolName).ToList();
        if (Wanted(service) is { Length: > 0 } wanted)
        {
            var judged = wanted.Distinct().Select(address => (Address: address, Obstacle: ObstacleOf(address))).ToList();
            return ([.. judged.Where(item => item.Obstacle is null).Select(item => item.Address)],
                judged.Select(item => item.Obstacle).OfType<string>().FirstOrDefault());
        }
        if (has is not null && AddressRange.Number(has) is { } kept && !others.Contains(kept) && allowed.Any(pool => pool.Contains(kept))) return ([has], null);
        foreach (var pool in allowed)
            if ((pool.AutoAssign || poolName is not null) && pool.FirstFree(others) is { } free) return ([AddressRange.Text(free)], null);
        return ([], "no available IPs");

        string? ObstacleOf(string address) =>
            AddressRange.Number(address) is not { } number ? $"\"{address}\" is not an IPv4 address"
                : !allowed.Any(pool => pool.Contains(number))
                    ? $"[\"{address}\"] is not allowed in {(poolName is null ? "any pool" : $"pool \"{poolName}\"")}"
                : others.Contains(number) ? $"can't change sharing key for \"{service.Key}\", address \"{address}\" is already in use by another Service"
                : null;
    }

    private static string[] Wanted(Service service) =>
        (AddressesAnnotations.Select(name => service.Metadata.Annotations.GetValueOrDefault(name)).FirstOrDefault(value => value is not null)
            ?? service.Spec.LoadBalancerIP).Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);

    /// <summary>Two Services may share an address if both request it with the same key and their ports do not
    /// overlap.</summary>
    private static bool Shares(Service left, Service right) =>
        left.Metadata.Annotations.TryGetValue(SharingAnnotation, out var key) && right.Metadata.Annotations.GetValueOrDefault(SharingAnnotation) == key
        && !left.Spec.Ports.Any(port => right.Spec.Ports.Any(other => other.Port == port.Port && other.Protocol == port.Protocol));

    private static Plan Set(Service service, IReadOnlyList<string> addresses, IReadOnlyList<Note> notes)
    {
        JsonNode? ingress = addresses.Count == 0 ? null
            : new JsonArray([.. addresses.Select(address => (JsonNode)new JsonObject { ["ip"] = address, ["ipMode"] = "VIP" })]);
        return new()
        {
            Writes = [Write.Status(Kinds.Service, service, new JsonObject { ["loadBalancer"] = new JsonObject { ["ingress"] = ingress } })], Notes = notes
        };
    }
}
