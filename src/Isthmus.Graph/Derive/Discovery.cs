using Isthmus.Core.Live;
using Isthmus.Mesh.Model;

namespace Isthmus.Graph.Derive;

/// <summary>MeshConfig's <c>discoverySelectors</c>: objects of namespaces that none of them selects are unknown to proxies. Policies are not
/// filtered: what they protect must not depend on a namespace's labels.</summary>
internal sealed class Discovery(MeshSources sources)
{
    /// <summary>The objects of the selected namespaces.</summary>
    public Live<ObjectKey, T> Of<T>(Live<ObjectKey, T> objects, Func<T, ObjectRef> source, string name) where T : class, IEquatable<T> =>
        objects.Derive((read, item) => source(item) is var at && Selects(read, at.Cluster, at.Namespace)
            ? [KeyValuePair.Create(new ObjectKey(at.Cluster, at.Namespace, at.Name), item)]
            : (IEnumerable<KeyValuePair<ObjectKey, T>>)[],
            name);

    /// <summary>The root namespace is part of every mesh.</summary>
    private bool Selects(Reader read, string cluster, string ns)
    {
        var mesh = (read.Get(sources.Settings, "") ?? MeshSettings.Default).Mesh;
        if (mesh.DiscoverySelectors.IsEmpty || ns == mesh.RootNamespace) return true;
        var labels = read.Get(sources.Namespaces, new ObjectKey(cluster, "", ns))?.Labels ?? default;
        return mesh.DiscoverySelectors.Any(selector => selector.Matches(labels));
    }
}
