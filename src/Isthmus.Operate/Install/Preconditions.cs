using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Core.Json;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Operate.Install.Operator;
using Isthmus.Operate.Install.Render;

namespace Isthmus.Operate.Install;

/// <summary>What would make an installation fail halfway, found before it changes anything. What a cluster does not let a user ask is not a problem.</summary>
/// <param name="note">Receives what the check waits for.</param>
public sealed class Preconditions(KubeClient client, TimeProvider time, Action<string> note)
{
    private static readonly TimeSpan ImagePoll = TimeSpan.FromSeconds(1);

    /// <summary>A kubelet reads its images every 30 s, and reports what changed every 10 s: one that was loaded just now is not in its list.</summary>
    private static readonly TimeSpan ImagePatience = TimeSpan.FromSeconds(45);

    /// <summary>The first version that has discovery.k8s.io/v1 and policy/v1, and the first that has autoscaling/v2.</summary>
    private const int Oldest = 21, Autoscaling = 23;

    /// <summary>The first OpenSSL whose handshakes cost what figures say: with 3.0, they cost about 1.5 times as much.</summary>
    private static readonly Version FastTls = new(3, 5);

    private static readonly ResourceKind[] Expected = [Kinds.ConfigMap, Kinds.Namespace];

    /// <summary>Whether an installation would keep the names that an installed control plane knows its cluster by; a check without flags names
    /// none.</summary>
    public bool ChecksNames { get; init; } = true;

    /// <summary>How whoever installs keeps those names, given the ConfigMap that has them if it is of another revision; null: with flags of
    /// <c>install</c>.</summary>
    public Func<ConfigMap?, string>? NamesRemedy { get; init; }

    /// <summary>Receives what the user may not look at; null: whoever hears what the check waits for.</summary>
    public Action<string>? Unread { get; init; }

    /// <exception cref="ProblemException">The first reason for which the cluster cannot have the installation.</exception>
    public async Task CheckAsync(OperatorSpec spec, IReadOnlyList<Component> components, CancellationToken stop)
    {
        var objects = components.SelectMany(component => component.Objects).ToList();
        await VersionAsync(objects, stop);
        await AddressesAsync(stop);
        await RightsAsync(spec, objects, stop);
        await new OtherControlPlanes(client).CheckAsync(spec, objects, stop);
        if (ChecksNames) await TryAsync(async () =>
        {
            await InstalledIdentity.CheckAsync(client, spec, NamesRemedy, Unread ?? note, stop);
            return spec;
        });
        await LostControlPlane.CheckAsync(client, spec, objects, stop);
        await new GatewayApiBundle(client).CheckAsync(components, stop);
        await ImagesAsync(spec, objects, stop);
        await PodSecurityAsync(objects, stop);
        if (spec.Enabled("cni")) await NodeAgentAsync(spec, stop);
        if (spec.Enabled("pilot") || spec.Enabled("istiodRemote")) await NetworkAsync(stop);
    }

    /// <summary>What makes the mesh slower than it need be. An image has its own TLS library, but the proxies of a lab are the program of its
    /// machine.</summary>
    /// <param name="own">The version of OpenSSL that this program uses; null when it uses none.</param>
    public async Task<Problem?> TlsLibraryAsync(Version? own, CancellationToken stop)
    {
        if (own is null || own >= FastTls || await OwnImagesAsync(stop) is not { } names || !names.Contains(WellKnown.OwnImage)) return null;
        return new("", $"cluster {client.Access.Name}", "",
            $"its Pods run the program of this machine, with OpenSSL {own}: TLS handshakes cost about 1.5 times the CPU that they cost with {FastTls}",
            $"measure handshakes on a machine with OpenSSL {FastTls} or later; images have it", Severity.Warning);
    }

    private async Task VersionAsync(IReadOnlyList<JsonObject> objects, CancellationToken stop)
    {
        if (await TryAsync(() => client.RawAsync(HttpMethod.Get, "/version", null, stop)) is not { } answer || Parse(answer) is not { } version) return;
        // Clouds write minors such as 27+.
        if (!int.TryParse(version["major"]?.ToString(), NumberStyles.None, CultureInfo.InvariantCulture, out var major)
            || !int.TryParse(version["minor"]?.ToString().TrimEnd('+'), NumberStyles.None, CultureInfo.InvariantCulture, out var minor) || major != 1) return;
        if (minor < Oldest)
            throw new ProblemException($"cluster {client.Access.Name}",
                $"has Kubernetes {version["gitVersion"]}; the oldest supported version is 1.{Oldest}, because discovery.k8s.io/v1 is needed",
                "upgrade the cluster");
        if (minor < Autoscaling && objects.Find("HorizontalPodAutoscaler") is { } scaler)
            throw new ProblemException($"cluster {client.Access.Name}",
                $"has Kubernetes {version["gitVersion"]}, which has no autoscaling/v2 for HorizontalPodAutoscaler {Applier.Name(scaler)}",
                $"upgrade to 1.{Autoscaling} or later, or set the number of replicas instead");
    }

    /// <summary>Proxies capture and route only IPv4.</summary>
    private async Task AddressesAsync(CancellationToken stop)
    {
        if (await TryAsync(() => client.GetAsync<Service>(Kinds.Service, "default", "kubernetes", stop)) is not { } own) return;
        var addresses = own.Spec.ClusterIPs.Append(own.Spec.ClusterIP).Where(address => IPAddress.TryParse(address, out _)).ToList();
        if (addresses.Count == 0 || addresses.Exists(IsIPv4)) return;
        // IPv6 may be the first of two families. Pods then have addresses of both.
        var pods = await TryAsync(() => client.ListAllAsync<Pod>(Kinds.Pod, "kube-system", new ListOptions(), stop));
        if (pods is not null && !pods.Any(pod => !pod.Spec.HostNetwork && pod.Status.PodIPs.Exists(ip => IsIPv4(ip.Ip))))
            throw new ProblemException($"cluster {client.Access.Name}",
                $"has only IPv6 addresses (Service default/kubernetes is {addresses[0]}), which are not supported",
                "use a cluster whose Pods and Services have IPv4 addresses");
    }

    private static bool IsIPv4(string address) => IPAddress.TryParse(address, out var parsed) && parsed.AddressFamily == AddressFamily.InterNetwork;

    /// <summary>Asks for everything at once: a user who may create half of an installation would leave that half behind.</summary>
    private async Task RightsAsync(OperatorSpec spec, IReadOnlyList<JsonObject> objects, CancellationToken stop)
    {
        var asked = objects.Select(value => (Kind: Applier.KindOf(value), Namespace: value["metadata"]!["namespace"]?.ToString()))
            .Concat(Expected.Select(kind => (Kind: kind, Namespace: kind == Kinds.Namespace ? null : spec.Namespace)))
            .Distinct().SelectMany(one => ((string[])["create", "patch"]).Select(verb => (one.Kind, one.Namespace, Verb: verb))).ToList();
        var denied = (await Task.WhenAll(asked.Select(async one => (one, Allowed: await MayAsync(one.Kind, one.Namespace, one.Verb, stop)))))
            .Where(answer => !answer.Allowed).Select(answer => answer.one).ToList();
        if (denied.Count == 0) return;
        var words = denied.GroupBy(one => (one.Kind, one.Namespace))
            .Select(
                group =>
                    $"{string.Join(" and ", group.Select(one => one.Verb))} "
                        + $"{group.Key.Kind.Plural}{(group.Key.Namespace is { } ns ? $" in namespace {ns}" : "")}");
        throw new ProblemException($"cluster {client.Access.Name}", $"you may not {string.Join(", ", words)}",
            "use a kubeconfig user with the rights of cluster-admin");
    }

    private async Task<bool> MayAsync(ResourceKind kind, string? ns, string verb, CancellationToken stop)
    {
        var attributes = new JsonObject { ["verb"] = verb, ["group"] = kind.Group, ["resource"] = kind.Plural };
        if (ns is not null) attributes["namespace"] = ns;
        var review = new JsonObject
        {
            ["apiVersion"] = "authorization.k8s.io/v1", ["kind"] = "SelfSubjectAccessReview", ["metadata"] = new JsonObject(),
            ["spec"] = new JsonObject { ["resourceAttributes"] = attributes },
        };
        var answer = await TryAsync(() => client.CreateAsync(Kinds.SelfSubjectAccessReview, null, review, stop));
        return (bool?)answer?["status"]?["allowed"] ?? true;
    }

    /// <summary>No registry serves the default hub: such an image must be on the nodes.</summary>
    private async Task ImagesAsync(OperatorSpec spec, IReadOnlyList<JsonObject> objects, CancellationToken stop)
    {
        var image = spec.Image("isthmus");
        if (!image.StartsWith($"{WellKnown.OwnDomain}/", StringComparison.Ordinal) || (objects.Find("Deployment") ?? objects.Find("DaemonSet")) is null) return;
        var (begun, isNoted) = (time.GetTimestamp(), false);
        while (await OwnImagesAsync(stop) is { } names && !names.Contains(image) && !names.Contains(WellKnown.OwnImage))
        {
            if (time.GetElapsedTime(begun) < ImagePatience)
            {
                if (!isNoted)
                    note(
                        $"No node of {client.Access.Name} lists the image {image} yet{Tags(names)}. Kubelets list an image up to "
                            + $"{ImagePatience.TotalSeconds:0} s after it is loaded: waiting. If it is not loaded, interrupt this command, and run 'isthmus "
                            + $"image load', or set hub and tag.");
                isNoted = true;
                await Task.Delay(ImagePoll, time, stop);
                continue;
            }
            var tags = Tags(names);
            throw new ProblemException($"cluster {client.Access.Name}", $"no node has the image {image}, and no registry serves {WellKnown.OwnDomain}{tags}",
                tags.Length > 0
                    ? "set tag, or load the image on each node with 'isthmus image load'"
                    : "load the image on each node with 'isthmus image load', or push it with 'isthmus image push' and set hub and tag");
        }
    }

    private static string Tags(HashSet<string> names)
    {
        var tags = names.Where(name => name.StartsWith($"{WellKnown.OwnImage}:", StringComparison.Ordinal)).Order(StringComparer.Ordinal).ToList();
        return tags.Count > 0 ? $"; nodes have {string.Join(", ", tags)}" : "";
    }

    /// <summary>The names of the image that nodes list; the lab lists it without a tag, because it has all of them. Null if a node may have images that it does
    /// not list.</summary>
    private async Task<HashSet<string>?> OwnImagesAsync(CancellationToken stop)
    {
        // Kubelets list at most 50 images.
        const int MostListed = 50;
        if (await TryAsync(() => client.ListAllAsync<JsonObject>(Kinds.Node, null, new ListOptions(), stop)) is not { Count: > 0 } nodes) return null;
        var lists = nodes.Select(node => node["status"]?["images"] as JsonArray ?? []).ToList();
        if (lists.Any(list => list.Count is 0 or >= MostListed)) return null;
        return lists.SelectMany(list => list).SelectMany(one => one?["names"] as JsonArray ?? []).Select(name => name?.ToString() ?? "")
            .Where(name => name.StartsWith(WellKnown.OwnImage, StringComparison.Ordinal)).ToHashSet(StringComparer.Ordinal);
    }

    /// <summary>Lets the API server judge a Pod of each Deployment and DaemonSet without creating it. On these it would only warn.</summary>
    private async Task PodSecurityAsync(IReadOnlyList<JsonObject> objects, CancellationToken stop)
    {
        foreach (var deployment in objects.Where(value => value["kind"]?.ToString() is "Deployment" or "DaemonSet"))
        {
            var template = (JsonObject)deployment["spec"]!["template"]!.DeepClone();
            var ns = deployment["metadata"]!["namespace"]!.ToString();
            // Injection and the account do not exist yet.
            template["metadata"]!["labels"]![Labels.Inject] = "false";
            template["metadata"]!["generateName"] = $"{deployment["metadata"]!["name"]}-";
            template["spec"]!.AsObject().Remove("serviceAccountName");
            template["spec"]!["automountServiceAccountToken"] = false;
            (template["apiVersion"], template["kind"]) = ("v1", "Pod");
            try
            {
                await client.RawAsync(HttpMethod.Post, $"{Kinds.Pod.Path(ns)}?dryRun=All", template, stop);
            }
            catch (KubeException e) when (e.Message.Contains("violates PodSecurity", StringComparison.Ordinal))
            {
                throw new ProblemException($"Namespace {ns} in {client.Access.Name}",
                    $"refuses the Pods of {deployment["kind"]} {deployment["metadata"]!["name"]}: {e.Message}",
                    $"change the settings that the message names, or allow them: kubectl label namespace {ns} "
                        + $"pod-security.kubernetes.io/enforce={(deployment["kind"]!.ToString() == "DaemonSet" ? "privileged" : "baseline")} --overwrite",
                    e);
            }
            catch (KubeException)
            {
                // The namespace or an account may not exist yet, and quotas may admit the Pod when the old one is gone.
            }
        }
    }

    /// <summary>Istio's agent writes the same files on each node.</summary>
    private async Task NodeAgentAsync(OperatorSpec spec, CancellationToken stop)
    {
        if (await TryAsync(() => client.ListAllAsync<JsonObject>(Kinds.DaemonSet, null, new ListOptions { LabelSelector = $"k8s-app={CniObjects.Name}" },
            stop)) is not { } agents)
            return;
        foreach (var agent in agents)
        {
            var (ns, image) = (agent["metadata"]!["namespace"]!.ToString(), agent["spec"]?["template"]?["spec"]?["containers"]?[0]?["image"]?.ToString() ?? "");
            var isForeign = image.Split('/')[^1].Split(':', '@')[0] == "install-cni";
            if (!isForeign && ns == CniObjects.Namespace(spec)) continue;
            throw new ProblemException($"DaemonSet {ns}/{agent["metadata"]!["name"]} in {client.Access.Name}",
                $"is {(isForeign ? $"another CNI agent ({image})" : "the CNI agent of another installation")}, which writes the same files on each node",
                "to use it, leave components.cni.enabled=false and set values.istio_cni.enabled=true; otherwise remove it first");
        }
    }

    /// <summary>Cilium can replace the addresses of Services in the sockets of Pods: sidecars then never see the Service that is called.</summary>
    private async Task NetworkAsync(CancellationToken stop)
    {
        const string ns = "kube-system", name = "cilium-config", hostOnly = "bpf-lb-sock-hostns-only";
        if (await TryAsync(() => client.GetAsync(Kinds.ConfigMap, ns, name, stop)) is not { } map || map["data"] is not JsonObject data) return;
        var replaces = data["kube-proxy-replacement"]?.ToString() is "true" or "strict" || data["bpf-lb-sock"]?.ToString() == "true";
        if (!replaces || data[hostOnly]?.ToString() == "true") return;
        throw new ProblemException($"ConfigMap {ns}/{name} in {client.Access.Name}",
            $"{hostOnly} is not true: Cilium replaces the addresses of Services inside Pods, so calls bypass the routes of sidecars",
            "set socketLB.hostNamespaceOnly=true in Cilium's values, and restart its Pods");
    }

    private static JsonObject? Parse(byte[] text)
    {
        try { return StrictJson.Parse(text) as JsonObject; }
        catch (JsonException) { return null; }
    }

    private static async Task<T?> TryAsync<T>(Func<Task<T>> ask) where T : class
    {
        try { return await ask(); }
        catch (KubeException e) when (e.Code is 403 or 404 or 405 or 422) { return null; }
    }
}

file static class Objects
{
    internal static JsonObject? Find(this IReadOnlyList<JsonObject> objects, string kind) => objects.FirstOrDefault(value => value["kind"]?.ToString() == kind);
}
