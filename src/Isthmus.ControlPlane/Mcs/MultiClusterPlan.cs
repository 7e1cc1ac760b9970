using System.Text.Json.Nodes;
using Isthmus.Graph.Derive;
using Isthmus.Core.Collections;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Resolve;

namespace Isthmus.ControlPlane.Mcs;

/// <summary>The changes that one cluster's objects of the multi-cluster services API need: a pure function of the mesh.</summary>
/// <param name="Behind">The imports that the cluster has, with what their EndpointSlices are made of.</param>
public sealed record MultiClusterPlan(
    IReadOnlyList<WantedImport> Imports, IReadOnlyList<ObjectKey> Obsolete, IReadOnlyList<WantedConditions> Conditions, IReadOnlyList<ObjectKey> AutoExports,
    IReadOnlyList<BehindImport> Behind)
{
    public static readonly MultiClusterPlan Nothing = new([], [], [], [], []);

    /// <summary>Whether imports and exports are as they should be.</summary>
    public bool IsEmpty => Imports.Count + Obsolete.Count + Conditions.Count + AutoExports.Count == 0;

    public static MultiClusterPlan Of(MeshGraph mesh, string cluster, MultiClusterSettings settings)
    {
        var sources = mesh.Sources;
        if (!settings.AutoExport && sources.Exports.Items.Count == 0 && sources.Imports.Items.Count == 0) return Nothing;
        var existing = sources.Imports.Items.Values.Where(import => import.Source.Cluster == cluster)
            .ToDictionary(import => (import.Source.Namespace, import.Source.Name));
        var wanted = mesh.Services.Items.Values.Where(host => host.ExportOf.Length > 0 && host.Pod is null)
            .OrderBy(host => host.Hostname, StringComparer.Ordinal)
            .Where(host => sources.Namespaces.Items.ContainsKey(new(cluster, "", host.Namespace)))
            .Select(host => (Host: host, Exported: Exported(mesh, host)))
            .Select(one => (one.Host, one.Exported,
                Import: WantedImport.Of(one.Host, one.Exported, cluster, existing.GetValueOrDefault((one.Host.Namespace, one.Host.Name)))))
            .Where(one => one.Import is not null).ToList();
        var names = wanted.Select(one => (one.Host.Namespace, one.Host.Name)).ToHashSet();
        return new(
            // Imports that another controller created are left alone.
            [.. wanted.Select(one => one.Import!).Where(import => import.Known is null || (import.Known.Managed && !import.IsKnown))],
            [.. existing.Values.Where(import => import.Managed && !names.Contains((import.Source.Namespace, import.Source.Name)))
                .Select(import => MultiClusterFacts.Key(import.Source))],
            [.. sources.Exports.Items.Values.Where(export => export.Source.Cluster == cluster)
                .Select(export => new WantedConditions(export, ConditionsOf(mesh, export)))
                .Where(wanted => OwnConditions.OfExports.Differ(wanted.Conditions, wanted.Export.Conditions)).OrderBy(wanted => wanted.Export.Source)],
            settings.AutoExport ? [.. Unexported(mesh, cluster)] : [],
            [.. wanted.Where(one => one.Import!.Known is { Managed: true, Uid.Length: > 0 })
                .Select(one => BehindImport.Of(mesh, one.Import!.Known!, one.Host, one.Exported, cluster))]);
    }

    /// <summary>What a host of the cluster set is made of, the oldest export first.</summary>
    private static List<ExportedService> Exported(MeshGraph mesh, MeshService host) => ExportedServices.Ordered(host.Clusters
        .Select(cluster => new ObjectKey(cluster, host.Namespace, host.Name))
        .Where(key => mesh.Sources.Services.Items.ContainsKey(key) && mesh.Sources.Exports.Items.ContainsKey(key))
        .Select(key => new ExportedService(mesh.Sources.Exports.Items[key], mesh.Sources.Services.Items[key])));

    private static ValueList<ExportCondition> ConditionsOf(MeshGraph mesh, ServiceExport export)
    {
        var (ns, name) = (export.Source.Namespace, export.Source.Name);
        static ValueList<ExportCondition> Invalid(string reason, string message, string ready) =>
            [new("Valid", false, reason, message), new("Ready", false, ready, message)];
        var service = mesh.Sources.Services.Items.GetValueOrDefault(MultiClusterFacts.Key(export.Source));
        if (service is null) return Invalid("NoService", $"there is no Service {ns}/{name} in this cluster", "Pending");
        if (service.ExternalName.Length > 0) return Invalid("InvalidServiceType", "a Service of type ExternalName cannot be exported", "Failed");
        if (export.Problem.Length > 0) return Invalid("InvalidMetadata", export.Problem, "Failed");
        var valid = new ExportCondition("Valid", true, "Valid", "");
        if (!mesh.Services.Items.TryGetValue(MultiClusterSettings.HostOf(name, ns), out var host))
            return [valid, new("Ready", false, "Failed", "the mesh has no host for it: it is cluster-local by MeshConfig, or ENABLE_MCS_HOST is off")];
        return [valid, new("Ready", true, "Exported", $"exported as {host.Hostname}"), ConflictOf(Exported(mesh, host))];
    }

    private static ExportCondition ConflictOf(List<ExportedService> exported)
    {
        var found = ExportedServices.Conflicts(exported).ToList();
        return found.Count == 0 ? new("Conflict", false, "NoConflicts", "") : new(
            "Conflict", true, string.Join(',', found.Select(conflict => conflict.Reason)),
            $"The oldest export, that of {exported[0].Service.Cluster}, decides. {string.Join(". ", found.Select(conflict => conflict.Message))}");
    }

    private static IEnumerable<ObjectKey> Unexported(MeshGraph mesh, string cluster) => mesh.Sources.Services.Items.Values
        .Where(service => service.Cluster == cluster && service.ExternalName.Length == 0)
        .Where(service => mesh.Services.Items.TryGetValue(service.Hostname, out var host) && !mesh.IsClusterLocal(host.Hostname))
        .Select(service => new ObjectKey(cluster, service.Namespace, service.Name))
        .Where(key => !mesh.Sources.Exports.Items.ContainsKey(key)).Order();
}

/// <summary>The conditions that an export of the own cluster should have.</summary>
public sealed record WantedConditions(ServiceExport Export, ValueList<ExportCondition> Conditions);
