using System.Text.Json.Nodes;
using Isthmus.ControlPlane.Derive;
using Isthmus.Core.Collections;
using Isthmus.Mesh.Model;

namespace Isthmus.ControlPlane.Mcs;

/// <summary>A ServiceImport as it should be.</summary>
/// <param name="Content">The result of <see cref="MultiClusterFacts.ContentOf"/> for an import in that state.</param>
public sealed record WantedImport(string Namespace, string Name, JsonObject Spec, JsonArray Clusters, string Content);

/// <summary>The changes that one cluster's objects of the multi-cluster services API need: a pure function of the mesh.</summary>
public sealed record MultiClusterPlan(
    IReadOnlyList<WantedImport> Imports, IReadOnlyList<ObjectKey> Obsolete, IReadOnlyList<(ObjectKey Export, ValueList<ExportCondition> Conditions)> Conditions, IReadOnlyList<ObjectKey> AutoExports)
{
    public static readonly MultiClusterPlan Nothing = new([], [], [], []);

    public static MultiClusterPlan Of(MeshGraph mesh, string cluster, MultiClusterSettings settings)
    {
        var sources = mesh.Sources;
        if (!settings.AutoExport && sources.Exports.Items.Count == 0 && sources.Imports.Items.Count == 0) return Nothing;
        var wanted = mesh.Services.Items.Values.Where(host => host.ExportOf.Length > 0).OrderBy(host => host.Hostname, StringComparer.Ordinal)
            .Where(host => sources.Namespaces.Items.ContainsKey(new(cluster, "", host.Namespace)))
            .Select(host => ImportOf(host, cluster)).OfType<WantedImport>().ToList();
        var names = wanted.Select(import => (import.Namespace, import.Name)).ToHashSet();
        var existing = sources.Imports.Items.Values.Where(import => import.Source.Cluster == cluster).ToDictionary(import => (import.Source.Namespace, import.Source.Name));
        return new(
            // Imports that another controller created are left alone.
            [.. wanted.Where(import => !existing.TryGetValue((import.Namespace, import.Name), out var known) || (known.Managed && known.Content != import.Content))],
            [.. existing.Values.Where(import => import.Managed && !names.Contains((import.Source.Namespace, import.Source.Name))).Select(import => MultiClusterFacts.Key(import.Source))],
            [.. sources.Exports.Items.Values.Where(export => export.Source.Cluster == cluster)
                .Select(export => (MultiClusterFacts.Key(export.Source), Wanted: ConditionsOf(mesh, export), Known: export.Conditions))
                .Where(item => item.Wanted != item.Known).Select(item => (item.Item1, item.Wanted))],
            settings.AutoExport ? [.. Unexported(mesh, cluster)] : []);
    }

    /// <summary>Null while the host has no address yet.</summary>
    private static WantedImport? ImportOf(MeshService host, string cluster)
    {
        var spec = new JsonObject
        {
            ["type"] = host.Headless ? "Headless" : "ClusterSetIP",
            ["ports"] = new JsonArray([.. host.Ports.Select(port =>
            {
                var written = new JsonObject { ["port"] = port.Number, ["protocol"] = port.Protocol == Protocol.Udp ? "UDP" : "TCP" };
                if (port.Name.Length > 0) written["name"] = port.Name;
                return (JsonNode)written;
            })]),
        };
        if (!host.Headless)
        {
            if (!host.Allocated.TryGetValue(cluster, out var address)) return null;
            spec["ips"] = new JsonArray(address);
        }
        var clusters = new JsonArray([.. host.Clusters.Order(StringComparer.Ordinal).Select(id => (JsonNode)new JsonObject { ["cluster"] = id })]);
        var content = MultiClusterFacts.ContentOf(new() { ["spec"] = spec.DeepClone(), ["status"] = new JsonObject { ["clusters"] = clusters.DeepClone() } });
        return new(host.Namespace, host.Name, spec, clusters, content);
    }

    private static ValueList<ExportCondition> ConditionsOf(MeshGraph mesh, ServiceExport export)
    {
        var (ns, name) = (export.Source.Namespace, export.Source.Name);
        var service = mesh.Sources.Services.Items.GetValueOrDefault(MultiClusterFacts.Key(export.Source));
        if (service is null) return [new("Valid", false, "NoService", $"there is no Service {ns}/{name} in this cluster")];
        if (service.ExternalName.Length > 0) return [new("Valid", false, "InvalidServiceType", "a Service of type ExternalName cannot be exported")];
        if (!mesh.Services.Items.TryGetValue(MultiClusterSettings.HostOf(name, ns), out var host))
            return [new("Valid", false, "NotExported", "the mesh has no host for it: it is cluster-local by MeshConfig, or ENABLE_MCS_HOST is off")];
        return [new("Valid", true, "Valid", $"exported as {host.Hostname}"), ConflictOf(mesh, host, service)];
    }

    private static ExportCondition ConflictOf(MeshGraph mesh, MeshService host, ClusterService own)
    {
        foreach (var cluster in host.Clusters.Where(cluster => cluster != own.Cluster))
        {
            if (!mesh.Sources.Services.Items.TryGetValue(new(cluster, own.Namespace, own.Name), out var other)) continue;
            if (other.Headless != own.Headless) return new("Conflict", true, "TypeConflict", $"headless in {(own.Headless ? own.Cluster : cluster)} only");
            var (mine, theirs) = (Ports(own), Ports(other));
            if (!mine.SequenceEqual(theirs)) return new("Conflict", true, "PortConflict", $"{own.Cluster} has {string.Join(", ", mine)}; {cluster} has {string.Join(", ", theirs)}: all of them work");
        }
        return new("Conflict", false, "NoConflicts", "");
    }

    private static List<string> Ports(ClusterService service) => [.. service.Ports.OrderBy(port => port.Number).ThenBy(port => port.Protocol).Select(port => $"{port.Name}:{port.Number}/{port.Protocol}")];

    private static IEnumerable<ObjectKey> Unexported(MeshGraph mesh, string cluster) => mesh.Sources.Services.Items.Values
        .Where(service => service.Cluster == cluster && service.ExternalName.Length == 0)
        .Where(service => mesh.Services.Items.TryGetValue(service.Hostname, out var host) && !mesh.IsClusterLocal(host.Hostname))
        .Select(service => new ObjectKey(cluster, service.Namespace, service.Name))
        .Where(key => !mesh.Sources.Exports.Items.ContainsKey(key)).Order();
}
