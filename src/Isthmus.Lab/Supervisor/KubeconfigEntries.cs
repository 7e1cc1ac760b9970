using System.Text.Json.Nodes;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;

namespace Isthmus.Lab.Supervisor;

/// <summary>Adds a cluster to a kubeconfig and removes it again. Everything else stays unchanged.</summary>
public static class KubeconfigEntries
{
    /// <summary>An extension of our contexts: the context that was current before this one. kubectl does not change
    /// extensions.</summary>
    private const string Before = WellKnown.OwnDomain + "/before";

    private static readonly string[] Lists = ["clusters", "contexts", "users"];

    /// <summary>Adds the only cluster, context and user of <paramref name="addition"/> at the end, or replaces those of the
    /// same name.</summary>
    /// <param name="mayReplace">Whether an entry of the same name may be replaced. It receives the old
    /// <c>cluster</c>.</param>
    /// <exception cref="ProblemException">An entry of the same name does not belong to the lab.</exception>
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
                // The user may still go back from it.
                if (entries[at]?["context"]?["extensions"] is { } extensions) added["context"]!["extensions"] = extensions.DeepClone();
                entries[at] = added;
            }
        }
        var current = (string?)config["current-context"];
        if (!makeCurrent && current is { Length: > 0 }) return;
        if (current is { Length: > 0 } && current != name)
        {
            Find(config, "contexts",
                name)!["context"]!["extensions"] = new JsonArray(new JsonObject
                {
                    ["name"] = Before, ["extension"] = new JsonObject { ["context"] = current }
                });
        }
        config["current-context"] = name;
    }

    /// <summary>
    /// Removes the clusters that <paramref name="isOurs"/> accepts, all contexts that refer to them, and the users that
    /// only those contexts used. False when there was none. If the current context is removed, the one before it becomes
    /// current or, when that is gone, another one that <paramref name="isLabs"/> accepts. A cluster outside the lab that
    /// the user did not choose never becomes current.
    /// </summary>
    /// <param name="isLabs">Whether a remaining cluster belongs to the lab. It receives the <c>cluster</c>.</param>
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
            current = NameOf(Entries(config, "contexts")
                .FirstOrDefault(entry => Find(config, "clusters", (string?)entry["context"]?["cluster"] ?? "")?["cluster"] is JsonObject cluster
                    && isLabs(cluster))
                ?? []);
        config["current-context"] = current ?? "";
        return true;
    }

    private static string? BeforeOf(JsonObject context) =>
        (context["context"]?["extensions"] as JsonArray ?? [])
            .FirstOrDefault(extension => (string?)extension?["name"] == Before)?["extension"]?["context"]?.ToString();

    /// <summary>Whether no usable entries are left.</summary>
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
