using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Core.Json;
using Isthmus.Core.Names;
using Isthmus.Injection;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Pods whose proxies have another image than their injector gives new Pods: they were created before an upgrade. Pure.</summary>
public static class ProxyImages
{
    private const string Override = "sidecar.istio.io/proxyImage", Map = ClusterInventory.InjectorMap;

    private const int Named = 5;

    /// <summary>What Istio appends to the image for another flavour of it.</summary>
    private static readonly string[] Variants = ["", "-debug", "-distroless"];

    public static Analyzer Analyzer
    {
        get;
    } = new("injection.ImageAnalyzer", "Checks that the proxies of Pods have the image that their injector gives new Pods",
        [IstioCodes.ProxyImagesDiffer], ["Namespace", "Pod"], mesh =>
        from area in mesh.Workloads
        let images = ByRevision(area.Cluster)
        where images.Count > 0
        from ns in area.Cluster.Namespaces
        where InjectionLabels.IsInjected(area.Cluster, ns) == true && images.ContainsKey(Revision(ns.Metadata.Labels))
        let image = images[Revision(ns.Metadata.Labels)]
        let others = area.In(ns.Metadata.Name).Where(workload => workload.Pod is not null && HasOther(workload, image))
            .Select(workload => workload.Pod!.Metadata.Name).Order(StringComparer.Ordinal).ToList()
        where others.Count > 0
        let named = string.Join(", ", others.Take(Named)) + (others.Count > Named ? $" and {others.Count - Named} more" : "")
        select IstioCodes.ProxyImagesDiffer.At(area.Cluster, $"Namespace {ns.Metadata.Name}", "",
            $"new Pods get the proxy {image}, and these have another one: {named}",
            $"kubectl --context={area.Cluster.Context} -n {ns.Metadata.Name} rollout restart deployment"));

    private static bool HasOther(Workload workload, string image) =>
        !workload.Pod!.Metadata.Annotations.ContainsKey(Override) && !workload.Labels.ContainsKey(Labels.Revision)
        && Workload.ProxyOf(workload.Pod.Spec) is { } proxy && !Variants.Any(variant => proxy.Image == image + variant);

    private static string Revision(IReadOnlyDictionary<string, string> labels) =>
        labels.GetValueOrDefault(Labels.Injection) is null && labels.GetValueOrDefault(Labels.Revision) is { } revision && revision != "default"
            ? revision
            : "";

    /// <summary>The image of each revision's injector.</summary>
    private static Dictionary<string, string> ByRevision(ClusterInventory cluster)
    {
        var images = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var map in cluster.Objects("ConfigMap"))
        {
            if (!IsOfInjector(map)) continue;
            var name = map["metadata"]!["name"]!.ToString();
            if (Values(map["data"]?["values"]?.ToString() ?? "") is { } values)
                images[name == Map ? "" : name[(Map.Length + 1)..]] = (InjectorValues.Empty with { Values = values }).ProxyImage;
        }
        return images;
    }

    /// <summary>Whether a ConfigMap has the settings of an injector.</summary>
    internal static bool IsOfInjector(JsonObject map) =>
        map["metadata"]?["name"]?.ToString() is { } name && (name == Map || name.StartsWith(Map + "-", StringComparison.Ordinal));

    private static JsonObject? Values(string text)
    {
        try
        {
            return StrictJson.Parse(text) as JsonObject;
        }
        catch (JsonException)
        {
            return null; // Its control plane reports it.
        }
    }
}
