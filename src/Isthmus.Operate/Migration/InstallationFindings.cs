using System.Text.Json.Nodes;
using Isthmus.Graph.Settings;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Mesh.Config;
using Isthmus.Operate.Diagnose.Analysis;
using Isthmus.Operate.Install.Operator;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Migration;

/// <summary>What an installation of Istio has that one of Isthmus has not, or has otherwise. Pure.</summary>
internal static class InstallationFindings
{
    private const string OperatorKind = "IstioOperator", Values = "values";

    /// <summary>The templates of Istio's injector, and those of them that Isthmus has, too.</summary>
    private static readonly string[] IstioTemplates = ["sidecar", "gateway", "grpc-simple", "grpc-agent", "waypoint", "kube-gateway", "agentgateway"],
        OwnTemplates = ["sidecar", "gateway"];

    /// <summary>Variables that Istio's charts always set, or that only say where a control plane runs.</summary>
    private static readonly HashSet<string> Usual = [
        .. ("REVISION POD_NAME POD_NAMESPACE SERVICE_ACCOUNT KUBECONFIG CLUSTER_ID PLATFORM GOMEMLIMIT GOMAXPROCS PILOT_CERT_PROVIDER"
        + " PILOT_ENABLE_ANALYSIS PILOT_TRACE_SAMPLING EXTERNAL_ISTIOD JWT_POLICY ISTIOD_ADDR GODEBUG").Split(' ')];

    /// <summary>Variables that decide about the security of all connections: without them, versions and ciphers would be others.</summary>
    private static readonly HashSet<string> Securing = ["COMPLIANCE_POLICY"];

    /// <summary>An IstioOperator, as <c>install</c> reads it.</summary>
    internal static IEnumerable<MigrationFinding> OfOperator(string cluster, JsonObject value) =>
        value["spec"] is not JsonObject spec
            ? []
            : OperatorFields.Check(spec).Select(problem => Finding(cluster, ClusterInventory.NameOf(value), value, problem, ""));

    /// <summary>The values of a Helm release of one of Istio's charts.</summary>
    internal static IEnumerable<MigrationFinding> OfRelease(string cluster, HelmRelease release)
    {
        var name = $"Helm release {release.Name}";
        if (release.Chart == "ztunnel")
            return [new(MigrationLevel.Lost, cluster, name, "", "", "installs ztunnel, which ambient mode needs: Isthmus has no ambient mode",
                "give the namespaces of ambient mode sidecars first, while Istio runs them")];
        if (release.Chart == "gateway") return OfGateway(cluster, name, release.Values);
        if (ValuesOf(release) is not { } values) return [];
        var spec = new JsonObject { [Values] = values };
        return OperatorFields.Check(spec).Select(problem => Finding(cluster, name, new JsonObject { ["spec"] = spec }, problem, $"chart {release.Chart}: "));
    }

    /// <summary>A gateway of a chart of its own stays as it is installed. Only an upgrade to the chart of Isthmus reads these values again.</summary>
    private static IEnumerable<MigrationFinding> OfGateway(string cluster, string name, JsonObject values) =>
        GatewayChart.Idle(values).Select(path => new MigrationFinding(
        MigrationLevel.Differs, cluster, name, path, FieldFindings.ValueAt(values, path),
        "chart gateway: has no effect in the chart of Isthmus, which refuses it",
        "keep the release of Istio's chart, or do without the value when it is upgraded to that of Isthmus"));

    /// <summary>The environment of control planes: Istio reads some hundred variables, Isthmus few.</summary>
    internal static IEnumerable<MigrationFinding> OfControlPlane(string cluster, WorkloadTemplate template) =>
        from container in template.Spec.Containers
        where container.Name == "discovery"
        from variable in container.Env
        where !Usual.Contains(variable.Name) && !DiscoverySettings.Variables.Contains(variable.Name)
        select new MigrationFinding(Securing.Contains(variable.Name) ? MigrationLevel.Lost : MigrationLevel.Differs, cluster, template.FullName,
            $"env[{variable.Name}]", FieldFindings.Shown(variable.Value ?? ""), $"a control plane of Isthmus does not read {variable.Name}",
            "find the setting in docs/api.md, or do without it");

    /// <summary>Templates of injection that Isthmus does not have.</summary>
    internal static IEnumerable<MigrationFinding> OfInjector(string cluster, JsonObject map)
    {
        if (!ProxyImages.IsOfInjector(map) || Templates(map) is not { } templates) yield break;
        foreach (var template in templates.Select(pair => pair.Key).Except(IstioTemplates))
            yield return new(MigrationLevel.Differs, cluster, ClusterInventory.NameOf(map), $"data[config].templates[{template}]", "",
                "is a template of injection of your own, which Isthmus does not take from this ConfigMap",
                "give it to the installation as values.sidecarInjectorWebhook.templates");
    }

    /// <summary>Pods that name a template which their injector of Isthmus would not have.</summary>
    internal static IEnumerable<MigrationFinding> OfTemplates(string cluster, string name, IReadOnlyDictionary<string, string> annotations)
    {
        const string Key = "inject.istio.io/templates";
        var lost = annotations.GetValueOrDefault(Key, "").Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries)
            .Intersect(IstioTemplates.Except(OwnTemplates)).ToList();
        if (lost.Count > 0)
            yield return new(MigrationLevel.Lost, cluster, name, $"metadata.annotations[{Key}]", annotations[Key],
                $"Isthmus has no template {string.Join(", ", lost)}: Pods with it are refused", "leave these workloads with Istio, or give them sidecars");
    }

    private static JsonObject? Templates(JsonObject map)
    {
        try
        {
            return YamlText.Parse(map["data"]?["config"]?.ToString() ?? "", "config")?["templates"] as JsonObject;
        }
        catch (Exception e) when (e is ProblemException or InvalidOperationException)
        {
            return null; // Its control plane reports it.
        }
    }

    /// <summary>The values as an IstioOperator has them: charts of one component leave its name out.</summary>
    private static JsonObject? ValuesOf(HelmRelease release) => release.Chart switch
    {
        "base" or "istio-base" => Below("base", release.Values),
        "cni" or "istio-cni" => Below("cni", release.Values),
        "istiod" or "istio-discovery" => Below("pilot", release.Values),
        _ => null,
    };

    private static JsonObject Below(string component, JsonObject given)
    {
        var (values, own) = (new JsonObject(), new JsonObject());
        foreach (var (key, value) in given) (IsShared(key) ? values : own)[key] = value?.DeepClone();
        if (own.Count > 0) values[component] = values[component] is JsonObject named ? Merged(named, own) : own;
        return values;
    }

    private static bool IsShared(string key) =>
        OperatorFields.All.Any(field => field.Path == $"{Values}.{key}" || field.Path.StartsWith($"{Values}.{key}.", StringComparison.Ordinal)
            || field.Path.StartsWith($"{Values}.{key}{{", StringComparison.Ordinal))
            || key == "meshConfig";

    private static JsonObject Merged(JsonObject named, JsonObject own)
    {
        foreach (var (key, value) in own) named[key] ??= value?.DeepClone();
        return named;
    }

    private static MigrationFinding Finding(string cluster, string name, JsonObject whole, Problem problem, string before)
    {
        var path = problem.Path.StartsWith("spec.", StringComparison.Ordinal) ? problem.Path["spec.".Length..] : problem.Path;
        // MeshConfig is an API of its own, wherever it is written.
        var mesh = ((string[])["values.meshConfig.", "meshConfig."]).FirstOrDefault(prefix => path.StartsWith(prefix, StringComparison.Ordinal));
        var level = mesh is not null ? FieldFindings.LevelOf(ApiFields.MeshConfig, path[mesh.Length..], problem)
            : MigrationLevels.Of(OperatorKind, path, problem.Severity == Severity.Error ? FieldEffect.Refused : FieldEffect.Warned);
        return MigrationFinding.Of(level, cluster, name, path, FieldFindings.ValueAt(whole["spec"], path), problem, before);
    }
}
