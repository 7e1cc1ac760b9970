using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;

namespace Isthmus.Operate.Install;

/// <summary>An object that nobody wants to remove, and that goes all the same.</summary>
/// <param name="Object">The object.</param>
/// <param name="With">The namespace or definition whose removal takes it along.</param>
public sealed record Bystander(Removal Object, Removal With)
{
    private const int MostNames = 8;

    /// <summary>The objects, each once: one may go with its namespace, and with its definition.</summary>
    public static IEnumerable<Removal> Objects(IEnumerable<Bystander> all) => all.Select(one => one.Object).Distinct();

    /// <summary>A line for each kind: how many, and their names.</summary>
    public static IEnumerable<string> Describe(IEnumerable<Bystander> all) =>
        from one in Objects(all)
        group one by one.Kind.Kind into kind
        orderby kind.Key
        let names = kind.Select(removal => removal.Namespace is null ? removal.Name : $"{removal.Namespace}/{removal.Name}").Order(StringComparer.Ordinal)
            .ToList()
        let more = names.Count > MostNames ? $" and {names.Count - MostNames} more" : ""
        select $"{names.Count} × {kind.Key}: {string.Join(", ", names.Take(MostNames))}{more}";
}

/// <summary>Finds what the removal of namespaces and definitions would take along: the objects in them that the removal does not name.</summary>
/// <param name="client">The cluster.</param>
/// <param name="isOurs">Whether an object is the mesh's, so that nobody misses it.</param>
public sealed class Bystanders(KubeClient client, Func<JsonObject, bool> isOurs)
{
    // Controllers make these, for namespaces or for objects of their users.
    private static readonly HashSet<string> Made = new(StringComparer.Ordinal) { "Event", "Lease", "Endpoints", "EndpointSlice", "ControllerRevision" };

    public async Task<IReadOnlyList<Bystander>> FindAsync(IReadOnlyList<Removal> plan, CancellationToken stop)
    {
        var planned = plan.Select(Key).ToHashSet();
        var found = new List<Bystander>();
        foreach (var definition in plan.Where(removal => removal.Kind == Kinds.CustomResourceDefinition))
        {
            if (await KindAsync(definition, stop) is not { } kind) continue;
            found.AddRange((await ListAsync(kind, null, stop)).Where(one => !planned.Contains(Key(one))).Select(one => new Bystander(one, definition)));
        }
        if (plan.Where(removal => removal.Kind == Kinds.Namespace).ToList() is not { Count: > 0 } namespaces) return found;
        var kinds = await NamespacedKindsAsync(stop);
        // The stored version of a kind may differ from the preferred one: both are one object.
        var known = Bystander.Objects(found).ToDictionary(Key);
        foreach (var ns in namespaces)
        {
            var lists = await Task.WhenAll(kinds.Select(kind => ListAsync(kind, ns.Name, stop)));
            var others = lists.SelectMany(list => list).Where(one => !planned.Contains(Key(one))).DistinctBy(Key);
            found.AddRange(others.Select(one => new Bystander(known.GetValueOrDefault(Key(one), one), ns)));
        }
        return found;
    }

    /// <summary>The objects of a kind that a definition declares.</summary>
    /// <returns>Null: the definition is gone.</returns>
    public async Task<ResourceKind?> KindAsync(Removal definition, CancellationToken stop)
    {
        if (await client.FindAsync(definition.Kind, null, definition.Name, stop) is not { } found) return null;
        var spec = found["spec"]!;
        var version = spec["versions"]!.AsArray().First(one => (bool?)one!["storage"] == true)!["name"]!.ToString();
        var names = spec["names"]!;
        return new(spec["group"]!.ToString(), version, names["kind"]!.ToString(), names["plural"]!.ToString(), spec["scope"]!.ToString() == "Namespaced");
    }

    // Several versions serve the same object.
    private static (string, string, string?, string) Key(Removal removal) => (removal.Kind.Group, removal.Kind.Kind, removal.Namespace, removal.Name);

    private async Task<IReadOnlyList<Removal>> ListAsync(ResourceKind kind, string? ns, CancellationToken stop)
    {
        try
        {
            var all = await client.ListAllAsync<JsonObject>(kind, ns, new ListOptions(), stop);
            return [.. all.Where(value => !IsMade(kind, value) && !isOurs(value)).Select(value => Removal.Of(kind, value))];
        }
        catch (KubeException e) when (e.Code is 404 or 405)
        {
            // Its definition has gone meanwhile, or it cannot be listed.
            return [];
        }
    }

    private static bool IsMade(ResourceKind kind, JsonObject value) =>
        Made.Contains(kind.Kind) || value["metadata"]!["ownerReferences"] is JsonArray { Count: > 0 } ||
        (kind.Kind, value["metadata"]!["name"]!.ToString()) is ("ConfigMap", "kube-root-ca.crt") or ("ServiceAccount", "default") ||
        (kind.Kind == "Secret" && value["type"]?.ToString() == "kubernetes.io/service-account-token");

    /// <summary>Every kind of objects in namespaces that the API server lets users delete, in the version that it prefers.</summary>
    private async Task<IReadOnlyList<ResourceKind>> NamespacedKindsAsync(CancellationToken stop)
    {
        var groups = ((await ReadAsync("/apis", stop))?["groups"] as JsonArray ?? []).Select(group => group!["preferredVersion"]!["groupVersion"]!.ToString());
        var lists = await Task.WhenAll(groups.Select(version => ReadAsync($"/apis/{version}", stop)).Prepend(ReadAsync("/api/v1", stop)));
        return
        [
            .. from list in lists
               where list is not null
               let parts = list["groupVersion"]!.ToString().Split('/')
               from resource in list["resources"]!.AsArray()
               let verbs = (resource["verbs"] as JsonArray ?? []).Select(verb => verb!.ToString()).ToList()
               where (bool?)resource["namespaced"] == true && verbs.Contains("list") && verbs.Contains("delete")
               where !resource["name"]!.ToString().Contains('/', StringComparison.Ordinal)
               select new ResourceKind(parts.Length == 2 ? parts[0] : "", parts[^1], resource["kind"]!.ToString(), resource["name"]!.ToString(),
                   Namespaced: true),
        ];
    }

    // The API server does not remove a namespace while a group of its API does not answer.
    private async Task<JsonNode?> ReadAsync(string path, CancellationToken stop)
    {
        try
        {
            return JsonNode.Parse(await client.RawAsync(HttpMethod.Get, path, null, stop));
        }
        catch (KubeException e) when (e.Code is 404 or 503)
        {
            return null;
        }
    }
}
