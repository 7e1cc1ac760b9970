using System.Globalization;
using System.Text.Json.Nodes;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Injection.Templates;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Mesh.Config;

namespace Isthmus.Injection;

/// <summary>Everything that a template reads about one Pod, computed once.</summary>
internal sealed class InjectionInputs
{
    private const string Rewriting = "sidecar.istio.io/rewriteAppHTTPProbers";
    private const string OwnStatusPort = "status.sidecar.istio.io/port";
    private const string Merging = "prometheus.istio.io/merge-metrics";

    private readonly JsonObject _annotations;

    /// <param name="workload">What the Pod belongs to; null: what the Pod says itself.</param>
    internal InjectionInputs(JsonObject pod, string ns, InjectorValues values, InjectionPath path, NativeSidecars natives, WorkloadOwner? workload = null)
    {
        Values = values;
        Namespace = ns;
        Pod = pod;
        Path = path;
        Labels = pod["metadata"]?["labels"] as JsonObject ?? [];
        _annotations = pod["metadata"]?["annotations"] as JsonObject ?? [];
        Warnings.AddRange(PodAnnotations.Check(_annotations));
        ProxyConfig = MergedConfig();
        StatsMatcher.Apply(this);
        Buckets = HistogramBuckets.Read(this);
        Workload = workload ?? WorkloadOwner.Of(pod);
        if (Number(OwnStatusPort) == 0) Warnings.Add($"metadata.annotations[{OwnStatusPort}]: 0 has no effect: the agent always has a port (remove it)");
        Templates = ReadTemplates();
        IsNative = !IsGateway && natives.IsFor(this);
    }

    internal InjectorValues Values { get; }

    /// <summary>What of the Pod has no effect.</summary>
    internal List<string> Warnings { get; } = [];

    internal JsonObject Pod { get; }
    internal InjectionPath Path { get; }
    internal JsonObject Labels { get; }
    internal string Namespace { get; }
    internal WorkloadOwner Workload { get; }

    internal string WorkloadName => Label(Core.Names.Labels.WorkloadName) ?? Workload.Name;

    internal string Owner => $"kubernetes://apis/{Workload.ApiVersion}/namespaces/{Namespace}/{Workload.Kind.ToLowerInvariant()}s/{Workload.Name}";

    /// <summary>The mesh's default configuration, with the Pod's annotation merged over it.</summary>
    internal JsonObject ProxyConfig { get; }

    /// <summary>The ranges of the proxy's histograms, by the beginnings of their names; null for the default.</summary>
    internal JsonObject? Buckets { get; }

    internal string ClusterId => Path.Cluster ?? Values.ClusterId;

    internal string Network => Label(Core.Names.Labels.Network) ?? Path.Network ?? Values.Network;

    internal string InterceptionMode => Annotation(Annotations.InterceptionMode) switch
    {
        null => ProxyConfig["interceptionMode"]?.ToString() ?? "REDIRECT",
        var mode and ("REDIRECT" or "NONE") => mode,
        var other => throw Bad(Annotations.InterceptionMode, other, "should be REDIRECT or NONE"),
    };

    internal bool HoldApplication => ProxyConfig["holdApplicationUntilProxyStarts"] switch
    {
        null => Values.HoldApplication,
        JsonValue value when value.TryGetValue(out bool flag) => flag,
        var other => throw Bad(Annotations.ProxyConfig, other.ToJsonString(), "holdApplicationUntilProxyStarts must be true or false"),
    };

    internal int StatusPort => Number(OwnStatusPort) is > 0 and var own ? own : ProxyConfig["statusPort"] switch
    {
        null => Values.StatusPort,
        JsonValue value when value.TryGetValue(out int port) => port > 0 ? port : Values.StatusPort,
        var other => throw Bad(Annotations.ProxyConfig, other.ToJsonString(), "statusPort must be a number"),
    };

    /// <summary>Whether collectors find the Pod's metrics at the agent: they cannot reach the application's past mesh TLS.</summary>
    internal bool ScrapesAgent =>
        MergesMetrics && !_annotations.Any(annotation => IsScrape(annotation.Key) && bool.TryParse(annotation.Value?.ToString(), out var scrapes) && !scrapes);

    /// <summary>Collectors see names of annotations as those of labels: <c>prometheus.io.scrape</c> is the same one.</summary>
    private static bool IsScrape(string annotation) =>
        annotation.Length == "prometheus.io/scrape".Length && annotation.Replace('.', '_').Replace('/', '_').Replace('-', '_') == "prometheus_io_scrape";

    /// <summary>Where the application serves its own metrics, which the agent serves together with the proxy's. Null: nowhere, or they are not
    /// merged.</summary>
    internal JsonObject? MergedMetrics
    {
        get
        {
            if (ScrapesAgent && Annotation(ScrapeTargets.Annotation) is { } several)
            {
                var targets = ScrapeTargets.Read(several, StatusPort);
                // An agent of an earlier version reads the first one only.
                return new JsonObject
                {
                    ["scrape"] = "true", ["path"] = targets[0]!["path"]!.DeepClone(), ["port"] = targets[0]!["port"]!.DeepClone(), ["targets"] = targets
                };
            }
            if (!MergesMetrics || !string.Equals(Annotation("prometheus.io/scrape"), "true", StringComparison.OrdinalIgnoreCase)) return null;
            var (port, path) = (Number("prometheus.io/port"), Annotation("prometheus.io/path") ?? "");
            if (port == StatusPort) return null; // the agent's own
            return new JsonObject { ["scrape"] = "true", ["path"] = path, ["port"] = port?.ToString(CultureInfo.InvariantCulture) ?? "" };
        }
    }

    private bool MergesMetrics => Annotation(Merging) switch
    {
        null => Values.MergesMetrics,
        var text when bool.TryParse(text, out var own) => own,
        var other => throw Bad(Merging, other, "it must be true or false"),
    };

    /// <summary>The names of the Pod's templates, each once.</summary>
    internal IReadOnlyList<string> Templates { get; }

    /// <summary>Whether the Pod gets our proxy: templates of the installation can do without.</summary>
    internal bool HasProxy => IsGateway || Templates.Contains(InjectionTemplates.Sidecar);

    /// <summary>Whether the proxy is a gateway, instead of the sidecar of an application.</summary>
    internal bool IsGateway => Templates.Contains(InjectionTemplates.Gateway);

    /// <summary>The templates of the installation that the Pod gets, in its order.</summary>
    internal IEnumerable<(string Name, GoTemplate Template)> CustomTemplates =>
        Templates.Where(Values.Templates.Custom.ContainsKey).Select(name => (name, Values.Templates.Custom[name]));

    internal IEnumerable<KeyValuePair<string, string>> ProxyMetadata =>
        (ProxyConfig["proxyMetadata"] as JsonObject ?? []).Select(entry => KeyValuePair.Create(entry.Key, entry.Value?.ToString() ?? ""))
            .OrderBy(entry => entry.Key, StringComparer.Ordinal);

    /// <summary>Whether the proxy accepts HBONE, as its metadata says.</summary>
    internal bool AcceptsTunnels => ProxyMetadata.Any(variable => variable.Key == "ISTIO_META_ENABLE_HBONE"
        && (variable.Value == "1" || variable.Value.Equals("true", StringComparison.OrdinalIgnoreCase)));

    /// <summary>The seccomp profile of injected containers, which PodSecurity <c>restricted</c> requires; null for that of the Pod.</summary>
    internal JsonObject? SeccompProfile =>
        (Values.SeccompProfile
            ?? (Pod["spec"]?["securityContext"]?["seccompProfile"] is null ? new JsonObject { ["type"] = "RuntimeDefault" } : null))?.DeepClone() as JsonObject;

    /// <summary>Whether the agent runs the application's probes and hooks for the kubelet.</summary>
    internal bool RewritesProbes => Annotation(Rewriting) switch
    {
        null => Values.RewritesProbes,
        var text when bool.TryParse(text, out var own) => own,
        var other => throw Bad(Rewriting, other, "it must be true or false"),
    };

    /// <summary>The user of the proxy, whose traffic is not captured.</summary>
    internal int User => Id("runAsUser");

    internal int Group => Id("runAsGroup");

    private int Id(string field) =>
        int.TryParse(Given(Pod)?["securityContext"]?[field]?.ToJsonString(), NumberStyles.None, CultureInfo.InvariantCulture, out var id) ? id : ProxyUser.Id;

    /// <summary>What a Pod itself says of the proxy's container.</summary>
    internal static JsonObject? Given(JsonObject pod) => ((string[])["containers", "initContainers"]).SelectMany(list => pod["spec"]?[list] as JsonArray ?? [])
        .OfType<JsonObject>().FirstOrDefault(container => container["name"]?.ToString() == ProxyContainer.Name);

    /// <summary>Whether the proxy is an init container that runs beside the application.</summary>
    internal bool IsNative { get; }

    /// <summary>An annotation that <see cref="PodAnnotations"/> declares.</summary>
    internal string? Annotation(string name) =>
        PodAnnotations.IsRead(name) ? _annotations[name]?.ToString() : throw new InvalidOperationException($"PodAnnotations does not declare {name}");

    internal string? Label(string name) => Labels[name]?.ToString() is { Length: > 0 } value ? value : null;

    internal int? Number(string annotation)
    {
        if (Annotation(annotation) is not { Length: > 0 } text) return null;
        return int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number)
            ? number
            : throw Bad(annotation, text, "it must be a number");
    }

    /// <summary>A list of ports, or <c>*</c> for what is included: to exclude all would leave the Pod outside of the mesh without a word. Anything else is
    /// rejected with the annotation's name.</summary>
    internal string PortList(string annotation, string fallback)
    {
        if (Annotation(annotation) is not { } text) return fallback;
        if (text == "*" && Includes(annotation)) return text;
        foreach (var port in text.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
        {
            if (!ushort.TryParse(port, NumberStyles.None, CultureInfo.InvariantCulture, out _)) throw Bad(annotation, text, $"'{port}' is not a port number");
        }
        return text;
    }

    private static bool Includes(string annotation) => annotation.Contains("/include", StringComparison.Ordinal);

    /// <summary>A list of CIDRs, or <c>*</c> for what is included.</summary>
    internal string RangeList(string annotation, string fallback)
    {
        if (Annotation(annotation) is not { } text) return fallback;
        foreach (var range in text.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
        {
            if (!(range == "*" && Includes(annotation)) && !Core.Net.Cidr.TryParse(range, out _)) throw Bad(annotation, text, $"'{range}' is not a CIDR");
        }
        return text;
    }

    internal static ProblemException Bad(string annotation, string value, string why) =>
        new(new Problem("ISM0101", "Pod", $"metadata.annotations[{annotation}]", $"invalid value '{value}': {why}", "fix or remove the annotation"));

    private JsonObject MergedConfig()
    {
        var config = (JsonObject)Values.DefaultConfig.DeepClone();
        // The agent listens where its configuration says.
        if (Number(OwnStatusPort) is > 0 and var port) config["statusPort"] = port;
        if (Annotation("sidecar.istio.io/discoveryAddress") is { Length: > 0 } address) config["discoveryAddress"] = address;
        if (Annotation(Annotations.ProxyConfig) is not { Length: > 0 } text) return config;
        JsonNode? own;
        try { own = YamlText.Parse(text, Annotations.ProxyConfig); }
        catch (ProblemException e) { throw Bad(Annotations.ProxyConfig, text, e.Problem.Message); }
        if (own is not JsonObject overrides) throw Bad(Annotations.ProxyConfig, text, "it must be a YAML mapping of ProxyConfig fields");
        foreach (var problem in MeshConfigReader.CheckProxyConfig(overrides, "Pod"))
        {
            if (problem.Severity == Severity.Error) throw Bad(Annotations.ProxyConfig, text, $"{problem.Path}: {problem.Message}");
            Warnings.Add($"metadata.annotations[{Annotations.ProxyConfig}]: {problem.Path}: {problem.Message} ({problem.Remedy})");
        }
        foreach (var (key, value) in overrides)
        {
            // Of these two, a Pod may set a part, and the mesh the rest.
            if (key is "proxyMetadata" or "proxyHeaders" && value is JsonObject added && config[key] is JsonObject known)
            {
                foreach (var (name, entry) in added) known[name] = entry?.DeepClone();
            }
            else
            {
                config[key] = value?.DeepClone();
            }
        }
        return config;
    }

    private IReadOnlyList<string> ReadTemplates()
    {
        var names = Annotation(Annotations.InjectTemplates) is { } text
            ? text.Split(',', StringSplitOptions.TrimEntries).Distinct().ToArray()
            : Values.Templates.Defaults;
        return names.FirstOrDefault(name => !Values.Templates.Names.Contains(name)) is { } unknown
            ? throw Bad(Annotations.InjectTemplates, unknown, $"no such template (templates: {string.Join(", ", Values.Templates.Names)})")
            : names;
    }
}
