using System.Text.Json.Nodes;
using Isthmus.Core.Names;

namespace Isthmus.ControlPlane.Injection;

/// <summary>Adds the proxy to a Pod, as a pure function of the Pod, the values, the webhook's path, and the Nodes.</summary>
public static class PodInjector
{
    private static readonly HashSet<string> NeverInjected = new(StringComparer.Ordinal) { "kube-system", "kube-public", "kube-node-lease", "local-path-storage" };

    /// <summary>The injected Pod, or null to leave the Pod unchanged. An invalid annotation is a <see
    /// cref="Core.Problems.ProblemException"/>.</summary>
    /// <param name="warnings">Gets what of the Pod has no effect.</param>
    public static JsonObject? Inject(JsonObject pod, string ns, InjectorValues values, InjectionPath path, NativeSidecars natives, List<string>? warnings = null)
    {
        if (NeverInjected.Contains(ns) || !Wanted(pod)) return null;
        var injected = (JsonObject)pod.DeepClone();
        var inputs = new InjectionInputs(pod, ns, values, path, natives);
        warnings?.AddRange(inputs.Warnings);
        var (gateway, native) = (inputs.IsGateway, inputs.IsNative);
        var spec = injected["spec"] as JsonObject ?? (JsonObject)(injected["spec"] = new JsonObject())!;

        var probers = !gateway && inputs.RewritesProbes ? ProbeRewrite.Apply(injected, inputs) : [];
        var proxy = ProxyContainer.Build(inputs, gateway);
        if (probers.Count > 0)
            ((JsonArray)proxy["env"]!).Add((JsonNode)new JsonObject { ["name"] = ProbeRewrite.Variable, ["value"] = probers.ToJsonString() });
        var overrides = AddProxy(spec, proxy, native, first: !gateway && inputs.HoldApplication);
        AddVolumes(spec);
        UserVolumes.Apply(spec, proxy, inputs);
        AddPullSecrets(spec, values);
        if (!gateway) AddSearches(spec, ns, values);
        if (!gateway && inputs.InterceptionMode != "NONE") AddInit(spec, InitContainer.Build(inputs), first: native || values.HasNodeAgent);
        var security = spec["securityContext"] as JsonObject ?? (JsonObject)(spec["securityContext"] = new JsonObject())!;
        security["fsGroup"] ??= ProxyUser.Id;
        Describe(injected, inputs, gateway, overrides, init: !gateway && inputs.InterceptionMode != "NONE");
        return injected;
    }

    /// <summary>The webhook's selectors have already chosen the Pod. This decides what selectors cannot see.</summary>
    private static bool Wanted(JsonObject pod)
    {
        if ((bool?)pod["spec"]?["hostNetwork"] ?? false) return false;
        var label = pod["metadata"]?["labels"]?[Labels.Inject]?.ToString();
        var annotation = pod["metadata"]?["annotations"]?[Labels.Inject]?.ToString();
        // As in Istio, only a true value enables injection.
        return (label ?? annotation)?.ToLowerInvariant() is null or "" or "true" or "yes" or "on" or "y";
    }

    /// <summary>Merges a container of that name in the Pod with ours: the user's fields win. Returns the user's
    /// container.</summary>
    private static JsonObject? AddProxy(JsonObject spec, JsonObject proxy, bool native, bool first)
    {
        var place = List(spec, native ? "initContainers" : "containers");
        var (given, index) = Take(spec, place);
        if (native || first) index = 0;
        if (given is null)
        {
            place.Insert(index ?? place.Count, proxy);
            return null;
        }
        if (given["image"]?.ToString() == "auto")
        {
            given.Remove("image");
            // An API server has set Always for an image without a tag. Without a policy, it sets the one that suits the real image.
            given.Remove("imagePullPolicy");
        }
        // It decides where the container is, which is not the user's choice.
        given.Remove("restartPolicy");
        ContainerMerge.Over(proxy, given);
        place.Insert(index ?? place.Count, proxy);
        return given;
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
        foreach (var name in values.PullSecrets.Where(name => !secrets.Any(known => known?["name"]?.ToString() == name))) secrets.Add((JsonNode)new JsonObject { ["name"] = name });
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

    private static void Describe(JsonObject pod, InjectionInputs inputs, bool gateway, JsonObject? overrides, bool init)
    {
        var metadata = (JsonObject)pod["metadata"]!;
        var labels = metadata["labels"] as JsonObject ?? (JsonObject)(metadata["labels"] = new JsonObject())!;
        var annotations = metadata["annotations"] as JsonObject ?? (JsonObject)(metadata["annotations"] = new JsonObject())!;
        var revision = inputs.Values.Revision.Length == 0 ? "default" : inputs.Values.Revision;
        if (gateway) labels[Labels.Revision] ??= revision;
        else labels[Labels.TlsMode] ??= "istio";
        labels[Labels.CanonicalName] ??= inputs.Label("app.kubernetes.io/name") ?? inputs.Label("app") ?? inputs.WorkloadName;
        labels[Labels.CanonicalRevision] ??= inputs.Label("app.kubernetes.io/version") ?? inputs.Label("version") ?? "latest";
        if (inputs.Network.Length > 0) labels[Labels.Network] ??= inputs.Network;

        if (!gateway && Application(inputs) is { } application)
        {
            annotations["kubectl.kubernetes.io/default-container"] ??= application;
            annotations["kubectl.kubernetes.io/default-logs-container"] ??= application;
        }
        if (!gateway && inputs.MergedMetrics is not null)
            foreach (var name in (string[])["path", "port"]) annotations.Remove($"prometheus.io/{name}");
        annotations["prometheus.io/path"] ??= "/stats/prometheus";
        annotations["prometheus.io/port"] ??= inputs.StatusPort.ToString(System.Globalization.CultureInfo.InvariantCulture);
        annotations["prometheus.io/scrape"] ??= "true";
        if (overrides is not null) annotations["proxy.istio.io/overrides"] = new JsonObject { [inputs.IsNative ? "initContainers" : "containers"] = new JsonArray(overrides.DeepClone()) }.ToJsonString();
        if (init && inputs.Values.HasNodeAgent)
            foreach (var (name, value) in InitContainer.Annotations(inputs)) annotations[name] = value;
        string[] ours = [.. init ? [InitContainer.Name(inputs)] : Array.Empty<string>(), .. inputs.IsNative ? [ProxyContainer.Name] : Array.Empty<string>()];
        annotations[Annotations.InjectionStatus] = new JsonObject
        {
            ["initContainers"] = ours.Length > 0 ? new JsonArray([.. ours.Select(name => (JsonNode)name)]) : null,
            ["containers"] = inputs.IsNative ? null : new JsonArray(ProxyContainer.Name),
            ["volumes"] = new JsonArray([.. ProxyContainer.Volumes().Select(volume => volume!["name"]!.DeepClone())]),
            ["imagePullSecrets"] = inputs.Values.PullSecrets.Count > 0 ? new JsonArray([.. inputs.Values.PullSecrets.Select(name => (JsonNode)name)]) : null,
            ["revision"] = revision,
        }.ToJsonString();
    }

    private static string? Application(InjectionInputs inputs) =>
        (inputs.Pod["spec"]?["containers"] as JsonArray ?? []).Select(container => container?["name"]?.ToString()).FirstOrDefault(name => name != ProxyContainer.Name);
}
