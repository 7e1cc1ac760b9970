using System.Text;
using System.Text.Json.Nodes;
using Isthmus.Core.Json;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Config;
using Isthmus.Operate.Install;

namespace Isthmus.Explain.WhatIf;

/// <summary>
/// Lets the API server say what it would store, as a dry run: it merges, sets defaults, and asks its webhooks. What it would refuse is refused
/// with its own error.
/// </summary>
public static class DryRun
{
    /// <summary>How the API server would store the object; null: a kind that no mesh reads.</summary>
    /// <exception cref="KubeException">It would refuse the object.</exception>
    public static async Task<JsonObject?> ApplyAsync(KubeClient client, JsonObject item, CancellationToken stop)
    {
        if (KindOf(item) is not { } kind) return null;
        var (ns, name) = (item["metadata"]?["namespace"]?.ToString(), item["metadata"]?["name"]?.ToString() ?? "");
        var known = await client.FindAsync(kind, ns, name, stop);
        var (method, path, body) = known is null ? (HttpMethod.Post, kind.Path(ns), item) : (HttpMethod.Put, kind.Path(ns, name), Over(known, item));
        var stored = (JsonObject)StrictJson.Parse(Encoding.UTF8.GetString(await client.RawAsync(method, $"{path}?dryRun=All&fieldManager=isthmus-diff", body,
            stop)))!;
        (stored["apiVersion"], stored["kind"]) = (kind.ApiVersion, kind.Kind);
        return stored;
    }

    private static ResourceKind? KindOf(JsonObject item)
    {
        var (version, kind) = (item["apiVersion"]?.ToString() ?? "", item["kind"]?.ToString() ?? "");
        return MeshApi.Find(version, kind) is { } known && (IsWholly(known) || known is { IsCustom: false, Place: KindPlace.EveryCluster })
            ? Manifests.ResourceOf(known, version.Split('/')[^1]) : null;
    }

    /// <summary>Its spec belongs to whoever writes the object. Those of other kinds have fields of API server and controllers.</summary>
    private static bool IsWholly(KindDescriptor kind) => kind.IsIstio || kind.IsOfGatewayApi;

    /// <summary>The live object with the file's fields. A field that the file lacks is gone where the whole spec is its writer's.</summary>
    private static JsonObject Over(JsonObject live, JsonObject item)
    {
        var result = (JsonObject)live.DeepClone();
        (result["apiVersion"], result["kind"]) = (item["apiVersion"]?.DeepClone(), item["kind"]?.DeepClone());
        var isWhole = MeshApi.Find(item["apiVersion"]?.ToString() ?? "", item["kind"]?.ToString() ?? "") is { } kind && IsWholly(kind);
        foreach (var (field, value) in item)
        {
            if (field is "apiVersion" or "kind" or "status") continue;
            if (field != "metadata" && isWhole) result[field] = value?.DeepClone();
            else result[field] = Merge(result[field], value,
                keep: field == "metadata" ? ["uid", "resourceVersion", "managedFields", "creationTimestamp", "generation"] : []);
        }
        return result;
    }

    private static JsonNode? Merge(JsonNode? into, JsonNode? value, string[] keep)
    {
        if (into is not JsonObject target || value is not JsonObject fields) return value?.DeepClone();
        var result = (JsonObject)target.DeepClone();
        foreach (var (name, field) in fields)
        {
            if (!keep.Contains(name)) result[name] = Merge(result[name], field, []);
        }
        return result;
    }
}
