using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Graph.Settings;
using Isthmus.Core.Names;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Config;
using Isthmus.Operate.Diagnose.Analysis;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Diagnose.Packing;

/// <summary>Packs the objects of one cluster that the commands read, and of Secrets only what was found about them.</summary>
internal sealed class ObjectCollector(ClusterLists lists, PackWriter pack)
{
    private const string LastApplied = "kubectl.kubernetes.io/last-applied-configuration";

    private readonly Dictionary<string, KubeException> _unread = new(StringComparer.Ordinal);
    private readonly List<JsonObject> _objects = [];

    private string Context => lists.Client.Access.Name;

    /// <summary>How many objects were packed.</summary>
    internal int Count { get; private set; }

    /// <summary>What could not be read, and why.</summary>
    internal IEnumerable<string> Missing => _unread.Where(kind => !kind.Value.IsNotFound).Select(kind => $"{kind.Key}: {kind.Value.Message}");

    /// <returns>The Pods.</returns>
    internal async Task<IReadOnlyList<Pod>> RunAsync(CancellationToken stop)
    {
        await pack.AddAsync(PackLayout.ServerVersion(Context),
            System.Text.Encoding.UTF8.GetString(await lists.Client.RawAsync(HttpMethod.Get, "/version", null, stop)), stop);
        foreach (var some in MeshApi.For(KindUse.BugReport).Chunk(8)) await Task.WhenAll(some.Select(kind => AddAsync(kind, stop)));
        var pods = _objects.Where(value => value["kind"]?.ToString() == "Pod").Select(value => value.Deserialize(KubeJson.Of<Pod>())!).ToList();
        await AddSecretsAsync(stop);
        await pack.AddAsync(PackLayout.Unread(Context),
            JsonSerializer.SerializeToNode(
                _unread.ToDictionary(kind => kind.Key, kind => new UnreadKind((int)kind.Value.Code, kind.Value.Reason, kind.Value.Message)),
                PackJson.Default.IReadOnlyDictionaryStringUnreadKind)!,
            stop);
        return pods;
    }

    private async Task AddAsync(KindDescriptor kind, CancellationToken stop)
    {
        try
        {
            var items = (await lists.ListAsync(kind, stop)).Where(PackedMaps.IsNeeded).ToList();
            lock (_objects) _objects.AddRange(items);
            // Others read the same objects: what is packed of them is a copy.
            await AddAsync(kind.Resource, [.. items.Select(item => (JsonObject)PackedMaps.Trimmed(item).DeepClone())], stop);
        }
        catch (KubeException e)
        {
            lock (_unread) _unread[PackLayout.Key(kind.Group, kind.Plural)] = e;
        }
    }

    private async Task AddAsync(ResourceKind kind, IReadOnlyList<JsonObject> items, CancellationToken stop)
    {
        foreach (var item in items.Select(item => item["metadata"]).OfType<JsonObject>())
        {
            item.Remove("managedFields");
            (item["annotations"] as JsonObject)?.Remove(LastApplied);
        }
        await pack.AddAsync(PackLayout.Objects(Context, kind), new JsonArray([.. items]), stop);
        Count += items.Count;
    }

    private async Task AddSecretsAsync(CancellationToken stop)
    {
        try
        {
            var found = (await lists.SelectAsync<Secret>(MeshApi.Secret, null, Labels.MultiCluster, "true", stop)).ToList();
            foreach (var (ns, name) in Named())
                found.AddRange(await lists.Client.FindAsync<Secret>(Kinds.Secret, ns, name, stop) is { } secret ? [secret] : []);
            await AddAsync(Kinds.Secret, [.. found.DistinctBy(secret => secret.Key).Select(Described)], stop);
        }
        catch (KubeException e)
        {
            _unread[PackLayout.Key("", "secrets")] = e;
        }
    }

    /// <summary>The Secrets of control planes, and those that Gateways name.</summary>
    private IEnumerable<(string Namespace, string Name)> Named()
    {
        var systems = _objects.Where(value => value["kind"]?.ToString() == "Deployment" && value["metadata"]?["labels"]?["app"]?.ToString() == WellKnown.Istiod)
            .Select(value => value["metadata"]!["namespace"]!.ToString()).Append(WellKnown.SystemNamespace).Distinct();
        var cluster = ClusterInventory.From(Context, _objects);
        var credentials = CredentialReferences.Of(cluster);
        return systems.SelectMany(ns => ((string[])[WellKnown.CaCerts, WellKnown.SelfSignedCa]).Select(name => (ns, name)))
            .Concat(GatewayApiReferences.Secrets(cluster))
            .Concat(credentials.SelectMany(reference => ((string[])[reference.Name, $"{reference.Name}{SecretFacts.CaSuffix}"])
                .Select(name => (reference.Namespace, name))))
            .Distinct();
    }

    private static JsonObject Described(Secret secret)
    {
        var labels = new JsonObject(secret.Metadata.Labels.Select(label => KeyValuePair.Create(label.Key, (JsonNode?)label.Value)));
        return new()
        {
            ["apiVersion"] = "v1", ["kind"] = "Secret", ["type"] = secret.Type,
            ["metadata"] = new JsonObject
            {
                ["name"] = secret.Metadata.Name, ["namespace"] = secret.Metadata.Namespace,
                ["creationTimestamp"] = secret.Metadata.CreationTimestamp is { } created ? ApiTime.Seconds(created) : null,
                ["labels"] = labels, ["annotations"] = new JsonObject { [SecretFacts.Annotation] = SecretFacts.Of(secret).Write() },
            },
        };
    }
}
