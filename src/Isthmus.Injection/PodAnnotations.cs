using System.Text.Json.Nodes;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Mesh.Config;

namespace Isthmus.Injection;

/// <summary>An annotation of Pods.</summary>
/// <param name="Remedy">What to do instead of setting one that does not work.</param>
public sealed record PodAnnotation(string Name, FieldEffect Effect, string Remedy = "");

/// <summary>The annotations that the injector knows. It reads no other one.</summary>
public static class PodAnnotations
{
    private const string Sidecar = "sidecar.istio.io/", Traffic = "traffic.sidecar.istio.io/", Readiness = "readiness.status.sidecar.istio.io/",
        Ambient = "ambient.istio.io/";

    public static IReadOnlyList<PodAnnotation> All { get; } =
    [
        .. Of(FieldEffect.Works, "",
            Annotations.InjectTemplates, Annotations.PullPolicy, Annotations.ProxyConfig, "prometheus.io/path", "prometheus.io/port", "prometheus.io/scrape",
            "prometheus.istio.io/merge-metrics", ScrapeTargets.Annotation,
            Readiness + "failureThreshold", Readiness + "initialDelaySeconds", Readiness + "periodSeconds", "status.sidecar.istio.io/port",
            Sidecar + "agentLogLevel", Sidecar + "componentLogLevel", Sidecar + "discoveryAddress", Sidecar + "inject", Sidecar + "interceptionMode",
            Sidecar + "logLevel", Sidecar + "nativeSidecar",
            Sidecar + "proxyCPU", Sidecar + "proxyCPULimit", Sidecar + "proxyImage", Sidecar + "proxyMemory", Sidecar + "proxyMemoryLimit",
            Sidecar + "rewriteAppHTTPProbers",
            Sidecar + "statsHistogramBuckets", Sidecar + "statsInclusionPrefixes", Sidecar + "statsInclusionRegexps", Sidecar + "statsInclusionSuffixes",
            Sidecar + "userVolume", Sidecar + "userVolumeMount",
            Traffic + "excludeInboundPorts", Traffic + "excludeInterfaces", Traffic + "excludeOutboundIPRanges", Traffic + "excludeOutboundPorts",
            Traffic + "includeInboundPorts", Traffic + "includeOutboundIPRanges", Traffic + "includeOutboundPorts"),
        .. Of(FieldEffect.Works, "", SpanResources.Annotations),
        // The injector writes them.
        .. Of(FieldEffect.Works, "", SecureMetrics.Annotation, Annotations.InjectionStatus, "proxy.istio.io/overrides"),
        .. Of(FieldEffect.Warned, "remove it: every tag that a Telemetry adds becomes a label, whether it is listed or not", Sidecar + "extraStatTags"),
        .. Of(FieldEffect.Warned, "set statsCompression in the annotation proxy.istio.io/config: Istio no longer reads this one", Sidecar + "statsCompression"),
        .. Of(FieldEffect.Warned, "remove it: metrics are scraped, and not pushed", Sidecar + "statsFlushInterval"),
        .. Of(FieldEffect.Warned, "remove it: series stay until the proxy ends", Sidecar + "statsEvictionInterval"),
        .. Of(FieldEffect.Warned, "set sidecar.istio.io/statsHistogramBuckets: histograms have fixed buckets", Sidecar + "statsHistogramBins"),
        .. Of(FieldEffect.Warned, "remove it: there is no ambient mode", Ambient + "bypass-inbound-capture", Ambient + "dns-capture", Ambient + "redirection"),
        .. Of(FieldEffect.Warned, "remove it: there is one image of the proxy", Sidecar + "proxyImageType"),
        .. Of(FieldEffect.Warned, "remove it: a core dump of the proxy would contain keys", Sidecar + "enableCoreDump"),
        .. Of(FieldEffect.Warned, "remove it: proxies always authenticate the control plane", Sidecar + "controlPlaneAuthPolicy"),
        .. Of(FieldEffect.Warned, "remove it: the proxy is ready when it has its listeners", Readiness + "applicationPorts"),
        .. Of(FieldEffect.Refused, "remove it: the proxy has no Envoy bootstrap", Sidecar + "bootstrapOverride"),
        .. Of(FieldEffect.Refused, "remove it: virtual machine interfaces are not supported", Traffic + "kubevirtInterfaces",
            "istio.io/reroute-virtual-interfaces"),
    ];

    private static readonly Dictionary<string, PodAnnotation> ByName = All.ToDictionary(known => known.Name, StringComparer.Ordinal);

    private static readonly string[] Domains = ["sidecar.istio.io", "proxy.istio.io", "inject.istio.io", "prometheus.istio.io"];

    internal static bool IsRead(string name) => ByName.TryGetValue(name, out var known) && known.Effect == FieldEffect.Works;

    /// <summary>The annotations of a Pod that have no effect.</summary>
    /// <exception cref="ProblemException">One of them is refused.</exception>
    internal static IEnumerable<string> Check(JsonObject annotations)
    {
        foreach (var (name, value) in annotations)
        {
            if (ByName.TryGetValue(name, out var known))
            {
                if (known.Effect == FieldEffect.Refused)
                    throw new ProblemException(new Problem("ISM0101", "Pod", $"metadata.annotations[{name}]", $"'{value}' is not supported", known.Remedy));
                if (known.Effect == FieldEffect.Warned) yield return $"metadata.annotations[{name}]: has no effect ({known.Remedy})";
            }
            else if (Domains.Any(domain => IsWithin(name, domain)))
            {
                var remedy = Spelling.Nearest(name, ByName.Keys) is { } near ? $"did you mean \"{near}\"?"
                    : "remove it or correct its spelling; it has no effect";
                yield return $"metadata.annotations[{name}]: unknown annotation ({remedy})";
            }
        }
    }

    private static bool IsWithin(string name, string domain) =>
        name.IndexOf('/', StringComparison.Ordinal) is > 0 and var slash
            && (name[..slash] == domain || name[..slash].EndsWith("." + domain, StringComparison.Ordinal));

    private static IEnumerable<PodAnnotation> Of(FieldEffect effect, string remedy,
        params IEnumerable<string> names) => names.Select(name => new PodAnnotation(name, effect, remedy));
}
