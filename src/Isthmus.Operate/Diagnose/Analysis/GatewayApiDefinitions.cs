using System.Text.Json.Nodes;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Config.GatewayApi;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Definitions of the Gateway API from before a kind had version v1, and of releases that control planes do not know. Pure.</summary>
public static class GatewayApiDefinitions
{
    private const string Stable = "v1";

    /// <summary>The release of the Gateway API in which each kind became stable. Control planes of Istio do not read it by older definitions.</summary>
    private static readonly (KindDescriptor Kind, Version Since)[] Releases =
        [(MeshApi.GrpcRoute, new(1, 1, 0)), (MeshApi.BackendTlsPolicy, new(1, 4, 0)), (MeshApi.TlsRoute, new(1, 5, 0)), (MeshApi.TcpRoute, new(1, 6, 0))];

    public static Analyzer Analyzer { get; } = new("k8sgateway.CRDVersionAnalyzer",
        "Checks for definitions of the Gateway API from before a kind was stable, and of releases that control planes do not know",
        [IstioCodes.OlderDefinition, OwnCodes.DefinitionUnknown], [], mesh => mesh.Readable.SelectMany(cluster => Check(cluster).Concat(Unknown(cluster))));

    /// <summary>The names of the definitions that it looks at.</summary>
    internal static IEnumerable<string> Names => GatewayApiCrds.Names;

    /// <summary>Definitions whose fields control planes may not know.</summary>
    internal static IEnumerable<Finding> Unknown(ClusterInventory cluster) =>
        from name in Names
        let definition = cluster.Find($"{MeshApi.CustomResourceDefinition.Name} {name}")
        where definition is not null
        let release = GatewayApiCrds.ReleaseOf(definition)
        where !GatewayApiCrds.IsKnown(release)
        select OwnCodes.DefinitionUnknown.At(cluster, ClusterInventory.NameOf(definition), $"metadata.annotations[{GatewayApiCrds.VersionAnnotation}]",
            (release.Length == 0 ? "is missing: the release of the definition is not known" : $"is '{release}', a release that control planes do not know")
                + $" (they know {GatewayApiCrds.KnownReleases}): they ignore fields that are new in it, and GatewayClasses have SupportedVersion False");

    private static IEnumerable<Finding> Check(ClusterInventory cluster) =>
        from release in Releases
        let definition = cluster.Find($"{MeshApi.CustomResourceDefinition.Name} {release.Kind.CrdName}")
        where definition is not null && VersionOf(definition) is { } version && version < release.Since
        let served = Served(definition).ToList()
        where !served.Contains(Stable)
        select IstioCodes.OlderDefinition.At(cluster, ClusterInventory.NameOf(definition), $"metadata.annotations[{GatewayApiCrds.VersionAnnotation}]",
            $"is of Gateway API {VersionOf(definition)}, and serves {string.Join(", ", served)}: API servers refuse a {release.Kind.Kind} of version "
                + $"{Stable}, as manifests since {release.Since} have it. "
            + "Isthmus reads the older one, control planes of Istio do not");

    private static Version? VersionOf(JsonObject definition) =>
        Version.TryParse(definition["metadata"]?["annotations"]?[GatewayApiCrds.VersionAnnotation]?.ToString().TrimStart('v').Split('-')[0],
            out var version) ? version : null;

    private static IEnumerable<string> Served(JsonObject definition) => (definition["spec"]?["versions"] as JsonArray ?? [])
        .Where(version => version?["served"]?.ToString() == "true").Select(version => version!["name"]?.ToString() ?? "");
}
