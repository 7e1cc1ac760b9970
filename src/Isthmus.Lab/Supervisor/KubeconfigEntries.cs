using System.Text.Json.Nodes;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;

namespace Isthmus.Lab.Supervisor;

/// <summary>Adds a cluster to a kubeconfig and removes it again, leaving everything else unchanged.</summary>
public static class KubeconfigEntries
{
    /// <summary>An extension of our contexts: the context that was current before this one was made so. kubectl leaves extensions alone.</summary>
    private const string Before = WellKnown.OwnDomain + "/before";

    private static readonly string[] Lists = ["clusters", "contexts", "users"];

    /// <summary>Adds the only cluster, context and user of <paramref name="addition"/> at the end, or in place of those of the same name.</summary>
    /// <param name="mayReplace">Whether an entry of the same name may go; it is given the old <c>cluster</c>.</param>
    /// <exception cref="ProblemException">An entry of the same name is not of the lab.</exception>
    public static void Add(JsonObject config, JsonObject addition, bool makeCurrent, Func<JsonObject, bool> mayReplace, string source)
    {
        var name = (string?)addition["current-context"] ?? throw new ArgumentException("the addition has no context", nameof(addition));
        if (Find(config, "clusters", name)?["cluster"] is JsonObject old && !mayReplace(old))
        {
            throw new ProblemException(source, $"already has a cluster '{name}' that is not of this lab: {(string?)old["server"]}",
                "rename it, or write to another file with --kubeconfig FILE");
        }
        config["apiVersion"] ??= "v1";
        config["kind"] ??= "Config";
        foreach (var list in Lists)
        {
            var entries = config[list] as JsonArray ?? (JsonArray)(config[list] = new JsonArray())!;
            var added = Find(addition, list, name)!.DeepClone();
            var at = IndexOf(entries, name);
            if (at < 0) entries.Add(added);
            else
            {
                // Somebody may still go back from it.
                if (entries[at]?["context"]?["extensions"] is { } extensions) added["context"]!["extensions"] = extensions.DeepClone();
                entries[at] = added;
            }
        }
        var current = (string?)config["current-context"];
        if (!makeCurrent && current is { Length: > 0 }) return;
        if (current is { Length: > 0 } && current != name)
        {
            Find(config, "contexts", name)!["context"]!["extensions"] = new JsonArray(new JsonObject { ["name"] = Before, ["extension"] = new JsonObject { ["context"] = current } });
        }
        config["current-context"] = name;
    }

    /// <summary>
    /// Removes the clusters that <paramref name="isOurs"/> knows, with the contexts that point at them, under whatever name,
    /// and the users that only those used. False when there was none. A current context among them gives way to the one before it or,
    /// when that is gone, to another one that <paramref name="isLabs"/>: the current context never becomes a cluster outside the lab that the user did not choose.
    /// </summary>
    /// <param name="isLabs">Whether a cluster that stays is one of the lab; it is given the <c>cluster</c>.</param>
    public static bool Remove(JsonObject config, Func<JsonObject, bool> isOurs, Func<JsonObject, bool> isLabs)
    {
        var clusters = Take(config, "clusters", entry => entry["cluster"] is JsonObject cluster && isOurs(cluster)).Select(NameOf).ToHashSet();
        if (clusters.Count == 0) return false;
        var contexts = Take(config, "contexts", entry => clusters.Contains((string?)entry["context"]?["cluster"]));
        var users = contexts.Select(entry => (string?)entry["context"]?["user"]).ToHashSet();
        var stillUsed = Entries(config, "contexts").Select(entry => (string?)entry["context"]?["user"]).ToHashSet();
        Take(config, "users", entry => users.Contains(NameOf(entry)) && !stillUsed.Contains(NameOf(entry)));
        var names = contexts.Select(NameOf).ToHashSet();
        var current = (string?)config["current-context"];
        if (!names.Contains(current)) return true;
        while (current is not null && contexts.FirstOrDefault(entry => NameOf(entry) == current) is { } gone)
        {
            contexts.Remove(gone);
            current = BeforeOf(gone);
        }
        if (current is null || Find(config, "contexts", current) is null)
            current = NameOf(Entries(config, "contexts").FirstOrDefault(entry => Find(config, "clusters", (string?)entry["context"]?["cluster"] ?? "")?["cluster"] is JsonObject cluster && isLabs(cluster)) ?? []);
        config["current-context"] = current ?? "";
        return true;
    }

    private static string? BeforeOf(JsonObject context) =>
        (context["context"]?["extensions"] as JsonArray ?? []).FirstOrDefault(extension => (string?)extension?["name"] == Before)?["extension"]?["context"]?.ToString();

    /// <summary>Whether it has no usable entries left.</summary>
    public static bool IsEmpty(JsonObject config) => Lists.All(list => !Entries(config, list).Any());

    private static List<JsonObject> Take(JsonObject config, string list, Predicate<JsonObject> which)
    {
        var taken = Entries(config, list).Where(entry => which(entry)).ToList();
        foreach (var entry in taken) ((JsonArray)config[list]!).Remove(entry);
        return taken;
    }

    private static IEnumerable<JsonObject> Entries(JsonObject config, string list) => (config[list] as JsonArray ?? []).OfType<JsonObject>();

    private static JsonObject? Find(JsonObject config, string list, string name) => Entries(config, list).FirstOrDefault(entry => NameOf(entry) == name);

    private static int IndexOf(JsonArray entries, string name)
    {
        for (var i = 0; i < entries.Count; i++)
        {
            if (entries[i] is JsonObject entry && NameOf(entry) == name) return i;
        }
        return -1;
    }

    private static string? NameOf(JsonObject entry) => entry["name"] is JsonValue value && value.TryGetValue<string>(out var name) ? name : null;
}
