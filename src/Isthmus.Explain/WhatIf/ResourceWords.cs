using System.Text.Json.Nodes;
using Isthmus.Mesh.Model;
using Isthmus.Operate.Diagnose;
using static Isthmus.Operate.Diagnose.ConfigDump;

namespace Isthmus.Explain.WhatIf;

/// <summary>Says in words how resources of a proxy would change.</summary>
internal static class ResourceWords
{
    private const string Suffix = ".svc.cluster.local";
    private const int MostAddresses = 5;

    internal static IReadOnlyList<ConfigChange> Of(IReadOnlyList<ChangedResource> resources)
    {
        // A cluster that comes or goes takes its endpoints along: they need no line of their own.
        var clusters = resources.Where(resource => resource.Type == "cluster" && (resource.Before is null || resource.After is null))
            .Select(resource => resource.Name).ToHashSet(StringComparer.Ordinal);
        return [.. resources.Where(resource => resource.Type != "endpoints" || !clusters.Contains(resource.Name)).SelectMany(Of)];
    }

    /// <summary>A host of the mesh without the suffix that all have.</summary>
    internal static string Short(string host) => host.Replace(Suffix, "", StringComparison.Ordinal);

    /// <summary>The subset after the name of a host; "all endpoints" of a headless host is not one.</summary>
    internal static string Part(string subset) => subset.Length > 0 && subset != Subset.Any.Name ? $" {subset}" : "";

    private static IEnumerable<ConfigChange> Of(ChangedResource resource) => resource.Type switch
    {
        "route" => RouteWords.Of(resource),
        "listener" => ListenerWords.Of(resource),
        "endpoints" => Endpoints(resource),
        _ => Cluster(resource),
    };

    private static IEnumerable<ConfigChange> Cluster(ChangedResource resource)
    {
        var (what, label) = ($"connections to {Target(resource.Name)}", $"cluster {resource.Name}");
        if (resource.Before is null) yield return new('+', label, $"{what} become possible");
        else if (resource.After is null) yield return new('-', label, $"{what} are no longer configured");
        else foreach (var field in FieldChanges.Between(resource.Before, resource.After)) yield return new('~', label, $"{what}: {field}");
    }

    private static IEnumerable<ConfigChange> Endpoints(ChangedResource resource)
    {
        var (before, after) = (Addresses(resource.Before), Addresses(resource.After));
        var what = $"endpoints of {Target(resource.Name)}";
        var label = $"endpoints {resource.Name}";
        var (added, gone) = (after.Keys.Except(before.Keys).ToList(), before.Keys.Except(after.Keys).ToList());
        if (added.Count > 0) yield return new('+', label, $"{what}: {List(added)}");
        if (gone.Count > 0) yield return new('-', label, $"{what}: {List(gone)}");
        foreach (var address in before.Keys.Intersect(after.Keys).Where(address => before[address] != after[address]))
            yield return new('~', label, $"{what}: {address} has {after[address]} instead of {before[address]}");
        if (added.Count + gone.Count > 0 || before.Any(address => after[address.Key] != address.Value)) yield break;
        foreach (var field in FieldChanges.Between(resource.Before, resource.After)) yield return new('~', label, $"{what}: {field}");
    }

    private static string List(List<string> addresses) =>
        string.Join(", ", addresses.Take(MostAddresses)) + (addresses.Count > MostAddresses ? $" and {addresses.Count - MostAddresses} more" : "");

    /// <summary>Weight, priority and health of each address.</summary>
    private static Dictionary<string, string> Addresses(JsonObject? assignment)
    {
        var found = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var group in At(assignment, "endpoints") as JsonArray ?? [])
        {
            foreach (var endpoint in At(group, "lb_endpoints") as JsonArray ?? [])
            {
                var place = HostPlace.Of(At(endpoint, "endpoint", "address"));
                var address = place.Address.Length == 0 ? At(endpoint, "endpoint", "address", "pipe", "path")?.ToString() ?? ""
                    : $"{place.Address}:{place.Port}{(place.Listener.Length > 0 ? " by HBONE" : "")}";
                var health = At(endpoint, "health_status")?.ToString() is { Length: > 0 } status and not "HEALTHY" ? $", {status}" : "";
                found[address] =
                    $"weight {At(endpoint, "load_balancing_weight")?.ToString() ?? "1"}, priority {At(group, "priority")?.ToString() ?? "0"}{health}";
            }
        }
        return found;
    }

    /// <summary><c>outbound|80|v1|reviews.default.svc.cluster.local</c> as <c>reviews.default:80 v1</c>.</summary>
    private static string Target(string cluster) => cluster.Split('|') is [var direction, var port, var subset, var host]
        ? direction == "inbound" ? $"the application's port {port}" : $"{Short(host)}:{port}{Part(subset)}" : cluster;
}
