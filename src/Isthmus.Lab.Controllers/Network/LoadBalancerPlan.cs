using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Objects;
using Isthmus.Lab.Controllers.Framework;

namespace Isthmus.Lab.Controllers.Network;

/// <summary>Decides which external address each LoadBalancer Service has (the role of MetalLB).</summary>
public static class LoadBalancerPlan
{
    private const string PoolAnnotation = "metallb.universe.tf/address-pool";
    private const string AddressesAnnotation = "metallb.universe.tf/loadBalancerIPs";
    private const string SharingAnnotation = "metallb.universe.tf/allow-shared-ip";

    /// <param name="all">Every Service of the cluster: the address of each is taken.</param>
    public static Plan For(Service service, IEnumerable<Service> all, IReadOnlyList<AddressPool> pools)
    {
        var has = service.Status.LoadBalancer.Ingress.Select(ingress => ingress.Ip).FirstOrDefault(ip => ip.Length > 0);
        var mine = service is { Spec: { Type: "LoadBalancer", LoadBalancerClass: null }, Metadata.DeletionTimestamp: null };
        if (!mine) return has is not null && service.Spec.Type != "LoadBalancer" ? Set(service, null, []) : Plan.Nothing;
        var others = all.Where(other => other.Key != service.Key && !Shares(service, other)).SelectMany(other => other.Status.LoadBalancer.Ingress)
            .Select(ingress => AddressRange.Number(ingress.Ip)).OfType<uint>().ToHashSet();
        var (address, obstacle) = Choose(service, has, others, pools);
        if (address == has && obstacle is null) return Plan.Nothing;
        if (obstacle is not null)
        {
            // An address that it may no longer keep is removed. A missing address is requested again when the pools change.
            var note = Note.Warning(Kinds.Service, service, "AllocationFailed", $"Failed to allocate IP for \"{service.Key}\": {obstacle}");
            return has is null ? new() { Notes = [note] } : Set(service, null, [note]);
        }
        return Set(service, address, [Note.Normal(Kinds.Service, service, "IPAllocated", $"Assigned IP [\"{address}\"]")]);
    }

    /// <summary>The address to assign, or what prevents it.</summary>
    private static (string? Address, string? Obstacle) Choose(Service service, string? has, HashSet<uint> others, IReadOnlyList<AddressPool> pools)
    {
        var wanted = service.Metadata.Annotations.GetValueOrDefault(AddressesAnnotation)?.Split(',')[0].Trim() ?? service.Spec.LoadBalancerIP;
        var poolName = service.Metadata.Annotations.GetValueOrDefault(PoolAnnotation);
        if (poolName is not null && pools.All(pool => pool.Name != poolName)) return (null, $"unknown pool \"{poolName}\"");
        var allowed = pools.Where(pool => poolName is null || pool.Name == poolName).ToList();
        if (wanted.Length > 0)
        {
            if (AddressRange.Number(wanted) is not { } number) return (null, $"\"{wanted}\" is not an IPv4 address");
            if (!allowed.Any(pool => pool.Contains(number)))
                return (null, $"[\"{wanted}\"] is not allowed in {(poolName is null ? "any pool" : $"pool \"{poolName}\"")}");
            return others.Contains(number)
                ? (null, $"can't change sharing key for \"{service.Key}\", address \"{wanted}\" is already in use by another Service")
                : (wanted, null);
        }
        if (has is not null && AddressRange.Number(has) is { } kept && !others.Contains(kept) && allowed.Any(pool => pool.Contains(kept))) return (has, null);
        foreach (var pool in allowed)
            if ((pool.AutoAssign || poolName is not null) && pool.FirstFree(others) is { } free) return (AddressRange.Text(free), null);
        return (null, "no available IPs");
    }

    /// <summary>Two Services may share an address if both request it with the same key and their ports do not
    /// overlap.</summary>
    private static bool Shares(Service left, Service right) =>
        left.Metadata.Annotations.TryGetValue(SharingAnnotation, out var key) && right.Metadata.Annotations.GetValueOrDefault(SharingAnnotation) == key
        && !left.Spec.Ports.Any(port => right.Spec.Ports.Any(other => other.Port == port.Port && other.Protocol == port.Protocol));

    private static Plan Set(Service service, string? address, IReadOnlyList<Note> notes)
    {
        JsonNode? ingress = address is null ? null : new JsonArray(new JsonObject { ["ip"] = address, ["ipMode"] = "VIP" });
        return new()
        {
            Writes = [Write.Status(Kinds.Service, service, new JsonObject { ["loadBalancer"] = new JsonObject { ["ingress"] = ingress } })], Notes = notes
        };
    }
}
