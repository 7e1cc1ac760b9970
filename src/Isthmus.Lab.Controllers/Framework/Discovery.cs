using System.Text.Json.Nodes;
using Isthmus.Core.Json;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;

namespace Isthmus.Lab.Controllers.Framework;

/// <summary>Asks the API server which kinds it serves: each once, in its group's preferred version.</summary>
internal static class Discovery
{
    internal sealed record Found(ResourceKind Kind, IReadOnlySet<string> Verbs);

    internal static async Task<IReadOnlyList<Found>> KindsAsync(KubeClient client, CancellationToken stop)
    {
        var versions = new List<(string Group, string Version)> { ("", "v1") };
        var groups = await GetAsync(client, "/apis", stop);
        foreach (var group in groups?["groups"] as JsonArray ?? [])
            if ((string?)group?["preferredVersion"]?["version"] is { } version) versions.Add(((string)group!["name"]!, version));
        var found = new List<Found>();
        foreach (var (group, version) in versions)
        {
            var list = await GetAsync(client, group.Length == 0 ? $"/api/{version}" : $"/apis/{group}/{version}", stop);
            foreach (var resource in list?["resources"] as JsonArray ?? [])
            {
                var name = (string?)resource?["name"] ?? "";
                if (name.Length == 0 || name.Contains('/', StringComparison.Ordinal)) continue;
                var verbs = (resource!["verbs"] as JsonArray ?? []).Select(verb => (string?)verb ?? "").ToHashSet(StringComparer.Ordinal);
                found.Add(new(new ResourceKind(group, version, (string?)resource["kind"] ?? "", name, (bool?)resource["namespaced"] ?? false), verbs));
            }
        }
        return found;
    }

    private static async Task<JsonNode?> GetAsync(KubeClient client, string path, CancellationToken stop)
    {
        try
        {
            return StrictJson.Parse(await client.RawAsync(HttpMethod.Get, path, null, stop));
        }
        catch (KubeException e) when (e.IsNotFound)
        {
            // The group went away between the two requests.
            return null;
        }
    }
}
