using Isthmus.Mesh.Model;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Telemetries without providers where nothing else names one: they report nothing. Pure.</summary>
public static class TelemetryProviders
{
    public static Analyzer Analyzer
    {
        get;
    } = new("telemetry.ProviderAnalyzer", "Checks that Telemetries have providers, of their own or by default", [IstioCodes.NoTelemetryProvider], ["Telemetry"],
        mesh =>
        from cluster in mesh.Readable
        where cluster.Mesh is not null
        from telemetry in cluster.Istio<Telemetry>()
        from path in Idle(cluster, cluster.Mesh!, telemetry)
        select IstioCodes.NoTelemetryProvider.At(cluster, $"Telemetry {telemetry.Namespace}/{telemetry.Name}", path,
            "names no provider, and neither does MeshConfig: nothing is reported"));

    private static IEnumerable<string> Idle(ClusterInventory cluster, MeshConfig mesh, Telemetry telemetry)
    {
        var others = cluster.Istio<Telemetry>().Where(other => other.Namespace == telemetry.Namespace || other.Namespace == cluster.RootNamespace).ToList();
        if (mesh.DefaultTracers.IsEmpty && mesh.Tracing.ZipkinAddress.Length == 0
            && others.TrueForAll(other => other.Tracing.All(rule => rule.Providers.IsEmpty)))
            foreach (var (i, rule) in telemetry.Tracing.Index())
                if (rule.IsDisabled != true) yield return $"spec.tracing[{i}]";
        if (mesh.DefaultLoggers.IsEmpty && mesh.AccessLogFile.Length == 0 && others.TrueForAll(other => other.Logging.All(rule => rule.Providers.IsEmpty)))
            foreach (var (i, rule) in telemetry.Logging.Index())
                if (!rule.IsDisabled) yield return $"spec.accessLogging[{i}]";
    }
}
