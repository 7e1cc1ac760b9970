using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Graph.Derive;
using Isthmus.Graph.Intake;
using Isthmus.ControlPlane.Push;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model;
using Isthmus.Wire.Xds;

namespace Isthmus.ControlPlane.Preview;

/// <summary>A resource of proxies that objects would change.</summary>
/// <param name="Before">Null: it would be added.</param>
/// <param name="After">Null: it would be removed.</param>
internal sealed record PreviewedResource(string TypeUrl, string Name, XdsResource? Before, XdsResource? After);

/// <summary>Proxies for which the same would change.</summary>
internal sealed record PreviewedProxies(IReadOnlyList<ProxyIdentity> Proxies, IReadOnlyList<PreviewedResource> Resources);

/// <summary>What objects would change.</summary>
/// <param name="Connected">How many proxies are connected.</param>
/// <param name="Groups">Those for which something would change.</param>
/// <param name="Unused">Objects that this mesh does not read, as <c>Kind namespace/name</c>.</param>
internal sealed record Previewed(int Connected, IReadOnlyList<PreviewedProxies> Groups, IReadOnlyList<string> Unused);

/// <summary>
/// Says what objects would change for the connected proxies, without serving it: a second graph gets the inputs of the first, and its own
/// publisher generates the resources of the same proxies before and after the objects are staged.
/// </summary>
/// <param name="config">The cluster whose Istio resources are read.</param>
internal sealed class MeshPreview(PushEngine engine, MultiClusterSettings multiCluster, string config, TimeProvider time)
{
    // Names and certificates are left out: names follow the hosts, and certificates come with private keys.
    private static readonly string[] Types = [TypeUrls.Listener, TypeUrls.Route, TypeUrls.Cluster, TypeUrls.Endpoints];

    /// <param name="cluster">The cluster that would get the objects.</param>
    /// <param name="objects">Whole objects, as the API server would store them.</param>
    /// <exception cref="ProblemException">An object is not what its schema says.</exception>
    internal async Task<Previewed> OfAsync(string cluster, IReadOnlyList<JsonObject> objects, CancellationToken stop)
    {
        var writer = await engine.AskAsync(live => live.Copy(multiCluster), stop);
        var identities = engine.Proxies.Select(feed => feed.Proxy).ToList();
        return await Task.Run(() => Of(writer, identities, cluster, objects), stop);
    }

    private Previewed Of(MeshWriter writer, IReadOnlyList<ProxyIdentity> identities, string cluster, IReadOnlyList<JsonObject> objects)
    {
        writer.Commit();
        var publisher = new Publisher(time);
        var feeds = identities.Select(identity => new ProxyFeed(identity, time, _ => { })).ToList();
        foreach (var feed in feeds) publisher.Join(feed);
        publisher.PublishAll(writer.Mesh.View(), null);
        // A gateway that has not proven to be one has no configuration.
        feeds.RemoveAll(feed => feed.Published is null);
        var before = feeds.Select(feed => (feed.Snapshot, feed.Published!.Given)).ToList();
        var unused = objects.Where(item => !Stage(writer, cluster, item)).Select(NameOf).ToList();
        var changes = writer.Commit();
        if (!changes.IsEmpty) publisher.PublishAll(writer.Mesh.View(), changes);
        // Proxies that share everything before and after share what differs.
        var groups = feeds.Zip(before).Where(pair => !ReferenceEquals(pair.First.Snapshot, pair.Second.Snapshot))
            .GroupBy(pair => (pair.Second.Given, pair.First.Published!.Given))
            .Select(group => (Proxies: group.Select(pair => pair.First.Proxy), Resources: Compare(group.First().Second.Snapshot, group.First().First.Snapshot)))
            .Where(group => group.Resources.Count > 0)
            .GroupBy(group => string.Join('\n',
                group.Resources.Select(resource => $"{resource.TypeUrl} {resource.Name} {resource.Before?.Version} {resource.After?.Version}")),
                StringComparer.Ordinal)
            .Select(group => new PreviewedProxies([.. group.SelectMany(one => one.Proxies).OrderBy(proxy => proxy.Cluster, StringComparer.Ordinal)
                .ThenBy(proxy => proxy.Id, StringComparer.Ordinal)],
                group.First().Resources))
            .OrderBy(group => group.Proxies[0].Cluster, StringComparer.Ordinal).ThenBy(group => group.Proxies[0].Id, StringComparer.Ordinal).ToList();
        return new(feeds.Count, groups, unused);
    }

    /// <summary>False: this mesh does not read the object.</summary>
    private bool Stage(MeshWriter writer, string cluster, JsonObject item)
    {
        var (group, name) = (item["apiVersion"]?.ToString().Split('/') is [var named, _] ? named : "", item["kind"]?.ToString());
        var kind = writer.Kinds.All.Except(writer.Kinds.Refused).FirstOrDefault(kind => kind.Resource.Group == group && kind.Resource.Kind == name);
        return kind is not null && (kind.Place == KindPlace.EveryCluster || (kind.Place == KindPlace.ConfigCluster && cluster == config))
            && writer.Mesh.Sources.Clusters.Items.ContainsKey(cluster) && Take(kind, writer, cluster, item);
    }

    private static bool Take(MeshKind kind, MeshWriter writer, string cluster, JsonObject item)
    {
        try
        {
            return kind.StageTree(writer, cluster, item);
        }
        catch (Exception e) when (e is InvalidOperationException or FormatException or JsonException)
        {
            throw new ProblemException(Visible.Text(NameOf(item)), $"has a value of a wrong type: {Visible.Text(e.Message)}", "write it as its schema says", e);
        }
    }

    private static string NameOf(JsonObject item) =>
        item["metadata"] is var meta && meta?["namespace"] is { } ns ? $"{item["kind"]} {ns}/{meta["name"]}" : $"{item["kind"]} {meta?["name"]}";

    private static List<PreviewedResource> Compare(XdsSnapshot? before, XdsSnapshot? after)
    {
        var found = new List<PreviewedResource>();
        foreach (var type in Types)
        {
            var (last, next) = (before?.Types.GetValueOrDefault(type), after?.Types.GetValueOrDefault(type));
            if (ReferenceEquals(last, next)) continue;
            var names = (last?.All ?? []).Concat(next?.All ?? []).Select(resource => resource.Name).Distinct().Order(StringComparer.Ordinal);
            foreach (var name in names)
            {
                var (old, now) = (Find(last, name), Find(next, name));
                if (old?.Version != now?.Version) found.Add(new(type, name, old, now));
            }
        }
        return found;
    }

    private static XdsResource? Find(IXdsResources? resources, string name) => resources is not null && resources.TryGet(name, out var found) ? found : null;
}
