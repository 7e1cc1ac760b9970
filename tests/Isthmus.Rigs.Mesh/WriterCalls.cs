using System.Text.Json.Nodes;
using Isthmus.Graph.Intake;
using Isthmus.Core.Collections;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Objects;

namespace Isthmus.Rigs.Mesh;

/// <summary>Writes objects into a mesh as if a watch had delivered them.</summary>
internal static class WriterCalls
{
    internal static void Put(this MeshWriter writer, string cluster, Service item) => Put(writer, cluster, item, writer.Kinds.Services);

    internal static void Put(this MeshWriter writer, string cluster, EndpointSlice item) => Put(writer, cluster, item, writer.Kinds.Slices);

    internal static void Put(this MeshWriter writer, string cluster, MeshPod item) => Put(writer, cluster, item, writer.Kinds.Pods);

    internal static void Put(this MeshWriter writer, string cluster, Node item) => Put(writer, cluster, item, writer.Kinds.Nodes);

    internal static void Put(this MeshWriter writer, string cluster, Namespace item) => Put(writer, cluster, item, writer.Kinds.Namespaces);

    internal static void Put(this MeshWriter writer, string cluster, Secret item) => Put(writer, cluster, item, writer.Kinds.Credentials[0]);

    internal static void Put(this MeshWriter writer, string cluster, ConfigMap item) => Put(writer, cluster, item, writer.Kinds.CaBundles);

    /// <summary>Does nothing for a kind that is not watched.</summary>
    internal static void PutConfig(this MeshWriter writer, string cluster, JsonObject item) =>
        writer.Kinds.All.OfType<IObjectKind<JsonObject>>().SingleOrDefault(kind => Is(kind.Resource, item))?.Stage(writer, cluster, item);

    internal static void PutMultiCluster(this MeshWriter writer, string cluster, JsonObject item) => writer.PutConfig(cluster, item);

    internal static ValueList<Problem> PutSettings(this MeshWriter writer, string cluster, JsonNode? mesh, JsonNode? networks)
    {
        var state = SettingsKind.Of(cluster, mesh, networks);
        writer.Put(writer.Kinds.Settings, state);
        return state.Problems;
    }

    internal static void Remove(this MeshWriter writer, string cluster, ResourceKind kind, string ns,
        string name) => writer.Remove(writer.KindOf(kind.Kind), new(cluster, ns, name));

    internal static void RemoveConfig(this MeshWriter writer, string cluster, string kind, string ns,
        string name) => writer.Remove(writer.KindOf(kind), new(cluster, ns, name));

    internal static void RemoveMultiCluster(this MeshWriter writer, string cluster, string kind, string ns,
        string name) => writer.RemoveConfig(cluster, kind, ns, name);

    private static MeshKind KindOf(this MeshWriter writer, string kind) => writer.Kinds.All.Single(known => known.Descriptor.Name == kind);

    /// <summary>Two groups have a kind Gateway.</summary>
    private static bool Is(ResourceKind kind, JsonObject item) =>
        kind.Kind == item["kind"]!.ToString()
            && (kind.Group.Length == 0 || item["apiVersion"]?.ToString() is not { } version || version.StartsWith($"{kind.Group}/", StringComparison.Ordinal));

    private static void Put<T>(MeshWriter writer, string cluster, T item, IObjectKind<T> kind) where T : class => kind.Stage(writer, cluster, item);
}
