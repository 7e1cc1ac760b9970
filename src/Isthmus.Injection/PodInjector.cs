using System.Text.Json.Nodes;
using Isthmus.Core.Names;

namespace Isthmus.Injection;

/// <summary>Adds the proxy to a Pod, as a pure function of the Pod, the values, the webhook's path, and the Nodes.</summary>
public static class PodInjector
{
    private static readonly HashSet<string> NeverInjected = new(StringComparer.Ordinal)
    {
        "kube-system", "kube-public", "kube-node-lease", "local-path-storage"
    };

    /// <summary>The injected Pod, or null to leave the Pod unchanged. An invalid annotation is a <see
    /// cref="Core.Problems.ProblemException"/>.</summary>
    /// <param name="warnings">Gets what of the Pod has no effect.</param>
    /// <param name="workload">What the Pod belongs to; null: what the Pod says itself.</param>
    public static JsonObject? Inject(JsonObject pod, string ns, InjectorValues values, InjectionPath path, NativeSidecars natives,
        List<string>? warnings = null, WorkloadOwner? workload = null)
    {
        if (NeverInjected.Contains(ns) || !Wanted(pod, values.Templates)) return null;
        var inputs = new InjectionInputs(pod, ns, values, path, natives, workload);
        var status = new InjectedParts();
        var injected = (JsonObject)pod.DeepClone();
        if (inputs.CustomTemplates.Any())
        {
            var (merged, containers, volumes) = PodOverlay.Apply(pod, inputs);
            warnings?.AddRange(inputs.Warnings.Where(warning => warning.StartsWith("template ", StringComparison.Ordinal)));
            (injected, inputs) = (merged, new InjectionInputs(merged, ns, values, path, natives, workload));
            status.Containers.AddRange(containers);
            status.Volumes.AddRange(volumes);
        }
        warnings?.AddRange(inputs.Warnings);
        if (inputs.HasProxy && pod["metadata"]?["annotations"]?[Annotations.InjectionStatus] is null)
            warnings?.AddRange(Replaced(pod).Select(name => $"spec.initContainers[{name}]: has no effect: injection writes this container (remove it)"));
        if (inputs.HasProxy) AddParts(injected, pod, inputs, status);
        var metadata = injected["metadata"] as JsonObject ?? (JsonObject)(injected["metadata"] = new JsonObject())!;
        var annotations = metadata["annotations"] as JsonObject ?? (JsonObject)(metadata["annotations"] = new JsonObject())!;
        foreach (var (name, value) in values.Templates.Annotations) annotations[name] = value;
        annotations[Annotations.InjectionStatus] = status.Text(values);
        return injected;
    }

    private static void AddParts(JsonObject injected, JsonObject original, InjectionInputs inputs, InjectedParts status)
    {
        var (gateway, native, values) = (inputs.IsGateway, inputs.IsNative, inputs.Values);
        var spec = injected["spec"] as JsonObject ?? (JsonObject)(injected["spec"] = new JsonObject())!;

        var probers = !gateway && inputs.RewritesProbes ? ProbeRewrite.Apply(injected, inputs) : [];
        var proxy = ProxyContainer.Build(inputs, gateway);
        if (probers.Count > 0)
            ((JsonArray)proxy["env"]!).Add((JsonNode)new JsonObject { ["name"] = ProbeRewrite.Variable, ["value"] = probers.ToJsonString() });
        AddProxy(spec, proxy, native, first: !gateway && inputs.HoldApplication);
        AddVolumes(spec);
        var added = UserVolumes.Apply(spec, proxy, inputs);
        AddPullSecrets(spec, values);
        var init = !gateway && inputs.InterceptionMode != "NONE";
        if (!gateway) AddSearches(spec, inputs.Namespace, values);
        if (init) AddInit(spec, InitContainer.Build(inputs), first: native || values.HasNodeAgent);
        var security = spec["securityContext"] as JsonObject ?? (JsonObject)(spec["securityContext"] = new JsonObject())!;
        security["fsGroup"] ??= ProxyUser.Id;
        // Gateways listen on ports below 1024, too, without being root.
        if (gateway) security["sysctls"] ??= new JsonArray(new JsonObject { ["name"] = "net.ipv4.ip_unprivileged_port_start", ["value"] = "0" });
        Describe(injected, inputs, InjectionInputs.Given(original)?.DeepClone() as JsonObject, init);
        if (init) status.InitContainers.Add(InitContainer.Name(inputs));
        (native ? status.InitContainers : status.Containers).Add(ProxyContainer.Name);
        status.Volumes.AddRange(ProxyContainer.Volumes().Select(volume => volume!["name"]!.ToString()).Concat(added));
    }

    /// <summary>Init containers of the Pod that have the name of ours.</summary>
    private static IEnumerable<string> Replaced(JsonObject pod) =>
        (pod["spec"]?["initContainers"] as JsonArray ?? []).Select(container => container?["name"]?.ToString() ?? "").Where(InitContainer.Names.Contains);

    /// <summary>The webhook's selectors have already chosen the Pod. This decides what selectors cannot see.</summary>
    private static bool Wanted(JsonObject pod, InjectionTemplates templates)
    {
        if ((bool?)pod["spec"]?["hostNetwork"] ?? false) return false;
        var label = pod["metadata"]?["labels"]?[Labels.Inject]?.ToString();
        var annotation = pod["metadata"]?["annotations"]?[Labels.Inject]?.ToString();
        if ((label ?? annotation) is null or "" && templates.Never.Count > 0)
        {
            var labels = (pod["metadata"]?["labels"] as JsonObject ?? [])
                .ToDictionary(entry => entry.Key, entry => entry.Value?.ToString() ?? "", StringComparer.Ordinal);
            if (templates.Never.Any(selector => selector.Matches(labels))) return false;
        }
        // As in Istio, only a true value enables injection.
        return (label ?? annotation)?.ToLowerInvariant() is null or "" or "true" or "yes" or "on" or "y";
    }

    /// <summary>Merges a container of that name in the Pod with ours: the user's fields win.</summary>
    private static void AddProxy(JsonObject spec, JsonObject proxy, bool native, bool first)
    {
        var place = List(spec, native ? "initContainers" : "containers");
        var (given, index) = Take(spec, place);
        if (native || first) index = 0;
        if (given is null)
        {
            place.Insert(index ?? place.Count, proxy);
            return;
        }
        if (given["image"]?.ToString() == "auto")
        {
            given.Remove("image");
            // An API server has set Always for an image without a tag. Without a policy, it sets the one that suits the real image.
            if (given["imagePullPolicy"]?.ToString() == "Always") given.Remove("imagePullPolicy");
        }
        // It decides where the container is, which is not the user's choice.
        given.Remove("restartPolicy");
        PodMerge.Over(proxy, given);
        place.Insert(index ?? place.Count, proxy);
    }

    /// <summary>Removes the user's container of the proxy, wherever it is.</summary>
    /// <returns>The container, and its index if it was in <paramref name="place"/>.</returns>
    private static (JsonObject? Given, int? Index) Take(JsonObject spec, JsonArray place)
    {
        foreach (var containers in ((string[])["containers", "initContainers"]).Select(list => spec[list]).OfType<JsonArray>())
        {
            if (containers.FirstOrDefault(container => container?["name"]?.ToString() == ProxyContainer.Name) is not JsonObject given) continue;
            var index = containers.IndexOf(given);
            containers.RemoveAt(index);
            return (given, containers == place ? index : null);
        }
        return (null, null);
    }

    private static JsonArray List(JsonObject spec, string name) => spec[name] as JsonArray ?? (JsonArray)(spec[name] = new JsonArray())!;

    // The two forms in which Istio's files refer to the Pod's own namespace.
    private static readonly string[] OwnNamespace = ["{{ valueOrDefault .DeploymentMeta.Namespace \"default\" }}", "{{ .DeploymentMeta.Namespace }}"];

    /// <summary>More search domains for the Pod's resolver (values.global.podDNSSearchNamespaces).</summary>
    private static void AddSearches(JsonObject spec, string ns, InjectorValues values)
    {
        var wanted = values.DnsSearches.Select(search => OwnNamespace.Aggregate(search, (text, own) => text.Replace(own, ns, StringComparison.Ordinal)))
            .Where(search => !search.Contains("{{", StringComparison.Ordinal)).ToList();
        if (wanted.Count == 0) return;
        var config = spec["dnsConfig"] as JsonObject ?? (JsonObject)(spec["dnsConfig"] = new JsonObject())!;
        var searches = config["searches"] as JsonArray ?? (JsonArray)(config["searches"] = new JsonArray())!;
        foreach (var search in wanted.Where(search => !searches.Any(known => known?.ToString() == search))) searches.Add((JsonNode)search);
    }

    /// <summary>Credentials of the registry of the proxy's image (values.global.imagePullSecrets).</summary>
    private static void AddPullSecrets(JsonObject spec, InjectorValues values)
    {
        if (values.PullSecrets.Count == 0) return;
        var secrets = spec["imagePullSecrets"] as JsonArray ?? (JsonArray)(spec["imagePullSecrets"] = new JsonArray())!;
        foreach (var name in values.PullSecrets.Where(name => !secrets.Any(known => known?["name"]?.ToString() == name)))
            secrets.Add((JsonNode)new JsonObject { ["name"] = name });
    }

    private static void AddVolumes(JsonObject spec)
    {
        var volumes = spec["volumes"] as JsonArray ?? (JsonArray)(spec["volumes"] = new JsonArray())!;
        foreach (var volume in ProxyContainer.Volumes().Select(volume => volume!.DeepClone()))
        {
            if (!volumes.Any(known => known?["name"]?.ToString() == volume["name"]!.ToString())) volumes.Add(volume);
        }
    }

    /// <summary>Other init containers run before it, so that their traffic is not captured while no proxy runs. Only with a native sidecar
    /// are they in the mesh. Where the node's agent captures traffic before any container runs, a failed check must not come late.</summary>
    private static void AddInit(JsonObject spec, JsonObject init, bool first)
    {
        var containers = List(spec, "initContainers");
        foreach (var old in containers.Where(container => InitContainer.Names.Contains(container?["name"]?.ToString())).ToList()) containers.Remove(old);
        containers.Insert(first ? 0 : containers.Count, init);
    }

    /// <param name="own">What the Pod itself says of the proxy's container.</param>
    private static void Describe(JsonObject pod, InjectionInputs inputs, JsonObject? own, bool init)
    {
        var metadata = pod["metadata"] as JsonObject ?? (JsonObject)(pod["metadata"] = new JsonObject())!;
        var labels = metadata["labels"] as JsonObject ?? (JsonObject)(metadata["labels"] = new JsonObject())!;
        var annotations = metadata["annotations"] as JsonObject ?? (JsonObject)(metadata["annotations"] = new JsonObject())!;
        if (inputs.IsGateway) labels[Labels.Revision] ??= InjectedParts.Revision(inputs.Values);
        else
        {
            labels[Labels.TlsMode] ??= "istio";
            if (inputs.AcceptsTunnels) labels[Labels.Tunnel] ??= Labels.HttpTunnel;
        }
        labels[Labels.CanonicalName] ??= AsLabel(inputs.Label("app.kubernetes.io/name") ?? inputs.Label("app") ?? inputs.WorkloadName);
        labels[Labels.CanonicalRevision] ??= inputs.Label("app.kubernetes.io/version") ?? inputs.Label("version") ?? "latest";
        if (inputs.Network.Length > 0) labels[Labels.Network] ??= inputs.Network;

        if (!inputs.IsGateway && Application(inputs) is { } application)
        {
            annotations["kubectl.kubernetes.io/default-container"] ??= application;
            annotations["kubectl.kubernetes.io/default-logs-container"] ??= application;
        }
        if (inputs.ScrapesAgent)
        {
            // The agent of a gateway serves no other metrics.
            if (!inputs.IsGateway && inputs.MergedMetrics is not null)
                foreach (var name in (string[])["prometheus.io/path", "prometheus.io/port", ScrapeTargets.Annotation]) annotations.Remove(name);
            annotations["prometheus.io/path"] ??= "/stats/prometheus";
            annotations["prometheus.io/port"] ??= inputs.StatusPort.ToString(System.Globalization.CultureInfo.InvariantCulture);
            annotations["prometheus.io/scrape"] ??= "true";
        }
        if (SecureMetrics.MergedPort(inputs) is { } secure)
            annotations[SecureMetrics.Annotation] ??= secure.ToString(System.Globalization.CultureInfo.InvariantCulture);
        if (own is not null)
        {
            if (own["image"]?.ToString() == "auto") own.Remove("image");
            annotations["proxy.istio.io/overrides"] = new JsonObject
            {
                [inputs.IsNative ? "initContainers" : "containers"] = new JsonArray(own)
            }.ToJsonString();
        }
        if (init && inputs.Values.HasNodeAgent)
            foreach (var (name, value) in InitContainer.Annotations(inputs)) annotations[name] = value;
    }

    /// <summary>A name as a label can hold it: at most 63 characters, and no punctuation at its ends.</summary>
    private static string AsLabel(string name) => name[..Math.Min(63, name.Length)].Trim('-', '_', '.');

    private static string? Application(InjectionInputs inputs) =>
        (inputs.Pod["spec"]?["containers"] as JsonArray ?? []).Select(container => container?["name"]?.ToString())
            .FirstOrDefault(name => name != ProxyContainer.Name);
}
