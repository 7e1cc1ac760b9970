using System.Text.Json.Nodes;
using Isthmus.Core.Collections;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Yaml;

namespace Isthmus.Operate.Diagnose;

/// <summary>One east-west gateway Service.</summary>
/// <param name="OnNodes">Its entry is the nodes' addresses and a NodePort.</param>
public sealed record GatewayFacts(string Name, string Network, ValueList<string> Addresses, int ReadyEndpoints, bool HasPort, bool OnNodes = false);

/// <summary>One line of a control plane's <c>/debug/clusterz</c>.</summary>
/// <param name="Warning">What will be wrong if nobody does anything.</param>
public sealed record WatchedCluster(string Id, string Secret, string Status, string Message, string Warning = "")
{
    public static WatchedCluster Read(JsonObject line) => new(
        line["id"]?.ToString() ?? "", line["secretName"]?.ToString() ?? "", line["syncStatus"]?.ToString() ?? "", line["message"]?.ToString() ?? "", line["warning"]?.ToString() ?? "");
}

/// <summary>What one cluster tells about its part in a mesh: read once, judged by <see cref="MeshVerification"/>.</summary>
/// <param name="Context">The context of the kubeconfig it was read through.</param>
/// <param name="Error">Why its API server could not be asked; empty when it could. Then nothing below is known.</param>
/// <param name="Name">What its control plane calls it.</param>
/// <param name="HasIstio">The system namespace exists.</param>
/// <param name="ControlPlanes">Control plane Pods by name, and whether they are ready.</param>
/// <param name="NetworkLabel">The label of the system namespace; empty when it has none.</param>
/// <param name="RootFingerprint">SHA-256 of the root certificates that proxies trust; empty when they are not there yet.</param>
/// <param name="UntrustedWebhooks">Injection webhooks without a CA bundle, or with another CA's.</param>
public sealed record ClusterFacts(
    string Context,
    string Error,
    string Name = "",
    bool HasIstio = false,
    ValueMap<bool> ControlPlanes = default,
    string NetworkLabel = "",
    string MeshId = "",
    string TrustDomain = "",
    string RootFingerprint = "",
    ValueList<GatewayFacts> Gateways = default,
    bool ExposesServices = false,
    ValueList<WatchedCluster> Watched = default,
    ValueList<string> UntrustedWebhooks = default)
{
    /// <summary>What the control planes find odd or wrong: objects that they refused, and hosts that clusters define differently.</summary>
    public ValueList<Problem> Problems { get; init; }

    /// <summary>Where proxies here find a control plane that runs elsewhere; empty when it runs here, or nobody said.</summary>
    public ValueList<string> ControlPlaneAt { get; init; }

    /// <summary>The API server's address, as this kubeconfig has it.</summary>
    public string Server { get; init; } = "";

    /// <summary>Names of the control planes that the system namespace's annotation hands the cluster to.</summary>
    public ValueList<string> ControlPlaneClusters { get; init; }

    public ValueList<RemoteSecretFacts> RemoteSecrets { get; init; }

    /// <summary>Address ranges of the Pods, one for each node.</summary>
    public ValueList<string> PodRanges { get; init; }

    /// <summary>The networks that gateways' proxies were told at their start.</summary>
    public ValueList<string> ProxyNetworks { get; init; }
}

/// <summary>Reads <see cref="ClusterFacts"/> through API servers; changes nothing.</summary>
public sealed partial class MeshFactsReader(string istioNamespace)
{
    private static readonly ResourceKind Gateway = new("networking.istio.io", "v1beta1", "Gateway", "gateways", true);

    public async Task<ClusterFacts> ReadAsync(string context, ClusterAccess access, CancellationToken stop)
    {
        using var client = new KubeClient(access, "isthmus-verify") { RequestTimeout = TimeSpan.FromSeconds(4) };
        try
        {
            return await ReadAsync(context, client, stop);
        }
        catch (HttpRequestException e)
        {
            return new(context, $"{access.Server} cannot be reached: {e.InnerException?.Message ?? e.Message}");
        }
        catch (KubeException e)
        {
            return new(context, e.Message);
        }
    }

    private async Task<ClusterFacts> ReadAsync(string context, KubeClient client, CancellationToken stop)
    {
        var ns = await client.FindAsync<Namespace>(Kinds.Namespace, null, istioNamespace, stop);
        if (ns is null) return new(context, "");
        // Everything at once: what verify takes is what the slowest of these takes.
        var (reading, meshing) = (client.ListAllAsync<Pod>(Kinds.Pod, istioNamespace, new ListOptions(), stop), MeshAsync(client, stop));
        var (secrets, ranges, dead) = (SecretsAsync(client, stop), RangesAsync(client, stop), DeadWebhooksAsync(client, stop));
        var (gateways, listing, seeking) = (GatewaysAsync(client, stop), GatewayObjectsAsync(client, stop), ElsewhereAsync(client, stop));
        var root = (await client.FindAsync<ConfigMap>(Kinds.ConfigMap, istioNamespace, WellKnown.RootCertConfigMap, stop))?.Data.GetValueOrDefault(WellKnown.RootCertKey) ?? "";
        var all = await reading;
        var pods = all.Where(pod => pod.Metadata.Labels.GetValueOrDefault("app") == WellKnown.Istiod && pod.Metadata.DeletionTimestamp is null).ToList();
        var (watched, problems, untrusted) = (WatchedAsync(client, pods, stop), ProblemsAsync(client, pods, stop), UntrustedAsync(client, root, stop));
        var (mesh, objects, elsewhere) = (await meshing, await listing, await seeking);
        return new(context, "", NameOf(pods, elsewhere.Name, all), true,
            pods.Select(pod => KeyValuePair.Create(pod.Metadata.Name, pod.Status.IsReady)).ToValueMap(),
            ns.Metadata.Labels.GetValueOrDefault(Labels.Network) ?? "",
            (string?)mesh["defaultConfig"]?["meshId"] ?? "",
            mesh.Count == 0 ? "" : (string?)mesh["trustDomain"] ?? WellKnown.DefaultTrustDomain,
            root.Length == 0 ? "" : Convert.ToHexString(System.Security.Cryptography.SHA256.HashData(System.Text.Encoding.UTF8.GetBytes(root.Trim())))[..16],
            await gateways,
            objects.Any(gateway => (gateway["spec"]?["servers"] as JsonArray ?? []).Any(server => server?["tls"]?["mode"]?.ToString() == "AUTO_PASSTHROUGH")),
            await watched,
            await untrusted)
        {
            Problems = (await problems).Concat(await dead).Concat(await LooseRoutesAsync(client, objects, stop)).ToValueList(),
            ControlPlaneAt = elsewhere.At,
            Server = client.Access.Server.ToString().TrimEnd('/'),
            ControlPlaneClusters = (ns.Metadata.Annotations.GetValueOrDefault(Annotations.ControlPlaneClusters) ?? "").Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries).ToValueList(),
            RemoteSecrets = await secrets,
            PodRanges = await ranges,
            ProxyNetworks = OfProxies(all, "ISTIO_META_NETWORK").ToValueList(),
        };
    }

    /// <summary>What its control plane calls it, here or elsewhere; else what its gateways were told.</summary>
    private static string NameOf(IReadOnlyList<Pod> controlPlanes, string elsewhere, IReadOnlyList<Pod> all) =>
        ClusterName(controlPlanes) is { Length: > 0 } own ? own : elsewhere.Length > 0 ? elsewhere : OfProxies(all, "ISTIO_META_CLUSTER_ID").FirstOrDefault() ?? "";

    private static string ClusterName(IReadOnlyList<Pod> controlPlanes) =>
        controlPlanes.SelectMany(pod => pod.Spec.Containers).SelectMany(container => container.Env).FirstOrDefault(env => env.Name == "CLUSTER_ID")?.Value ?? "";

    /// <summary>A cluster whose control plane is elsewhere says so by a Service without Pods, and in its webhook's path what it is called.</summary>
    private async Task<(string Name, ValueList<string> At)> ElsewhereAsync(KubeClient client, CancellationToken stop)
    {
        foreach (var service in await client.ListAllAsync<Service>(Kinds.Service, istioNamespace, new ListOptions { LabelSelector = "app=istiod" }, stop))
        {
            if (service.Spec.Selector.Count > 0) continue;
            var endpoints = await client.FindAsync(Kinds.Endpoints, istioNamespace, service.Metadata.Name, stop);
            var at = (endpoints?["subsets"] as JsonArray ?? []).SelectMany(subset => subset?["addresses"] as JsonArray ?? []).Select(address => address?["ip"]?.ToString() ?? "");
            var configurations = await client.ListAllAsync<JsonObject>(Kinds.MutatingWebhookConfiguration, null, new ListOptions { LabelSelector = "app=sidecar-injector" }, stop);
            var path = configurations.Select(item => item["webhooks"]?[0]?["clientConfig"]).FirstOrDefault(config => config?["service"]?["namespace"]?.ToString() == istioNamespace)?["service"]?["path"]?.ToString() ?? "";
            return (path.Split('/') is ["", "inject", "cluster", var name, ..] ? name : "", service.Spec.ExternalName.Length > 0 ? [service.Spec.ExternalName] : at.ToValueList());
        }
        return ("", []);
    }

    private async Task<JsonObject> MeshAsync(KubeClient client, CancellationToken stop)
    {
        var map = await client.FindAsync<ConfigMap>(Kinds.ConfigMap, istioNamespace, "istio", stop);
        try { return YamlText.Parse(map?.Data.GetValueOrDefault("mesh") ?? "", "mesh") as JsonObject ?? []; }
        catch (ProblemException) { return []; }
    }

    private static async Task<ValueList<GatewayFacts>> GatewaysAsync(KubeClient client, CancellationToken stop)
    {
        var gateways = new List<GatewayFacts>();
        foreach (var service in await client.ListAllAsync<Service>(Kinds.Service, null, new ListOptions { LabelSelector = Labels.Network }, stop))
        {
            var slices = await client.ListAllAsync<EndpointSlice>(Kinds.EndpointSlice, service.Metadata.Namespace, new ListOptions { LabelSelector = $"{Labels.ServiceName}={service.Metadata.Name}" }, stop);
            var port = int.TryParse(service.Metadata.Labels.GetValueOrDefault(Labels.GatewayPort), out var own) ? own : Ports.EastWest;
            gateways.Add(new(service.Key, service.Metadata.Labels[Labels.Network],
                service.Status.LoadBalancer.Ingress.Select(ingress => ingress.Ip.Length > 0 ? ingress.Ip : ingress.Hostname).Concat(service.Spec.ExternalIPs).ToValueList(),
                slices.SelectMany(slice => slice.Endpoints).Count(endpoint => endpoint.Conditions.Ready ?? true),
                service.Spec.Ports.Any(candidate => candidate.Port == port), service.Metadata.Annotations.ContainsKey(Annotations.NodeSelector)));
        }
        return gateways.ToValueList();
    }

    private static async Task<IReadOnlyList<JsonObject>> GatewayObjectsAsync(KubeClient client, CancellationToken stop)
    {
        try
        {
            return await client.ListAllAsync<JsonObject>(Gateway, null, new ListOptions(), stop);
        }
        catch (KubeException e) when (e.IsNotFound)
        {
            return []; // no definitions: a remote cluster
        }
    }

    private async Task<ValueList<WatchedCluster>> WatchedAsync(KubeClient client, IReadOnlyList<Pod> pods, CancellationToken stop)
    {
        if (!pods.Any(pod => pod.Status.IsReady)) return [];
        var answers = await new MeshQuery(client, istioNamespace).AskControlPlanesAsync("/debug/clusterz", stop);
        return answers.SelectMany(answer => (answer.Answer as JsonArray ?? []).OfType<JsonObject>())
            .Select(WatchedCluster.Read).Distinct().ToValueList();
    }

    private async Task<ValueList<Problem>> ProblemsAsync(KubeClient client, IReadOnlyList<Pod> pods, CancellationToken stop)
    {
        if (!pods.Any(pod => pod.Status.IsReady)) return [];
        var answers = await new MeshQuery(client, istioNamespace).AskControlPlanesAsync("/debug/problemz", stop);
        return answers.SelectMany(answer => (answer.Answer as JsonArray ?? []).OfType<JsonObject>())
            .Select(line => new Problem(line["code"]?.ToString() ?? "", line["object"]?.ToString() ?? "", line["path"]?.ToString() ?? "", line["message"]?.ToString() ?? "",
                line["remedy"]?.ToString() ?? "", Enum.TryParse<Severity>(line["severity"]?.ToString(), out var severity) ? severity : Severity.Error))
            .Distinct().Where(problem => !IsOwn(problem)).ToValueList();
    }

    /// <summary>Each cluster has a DNS and perhaps a control plane of its own: that they differ is nobody's mistake.</summary>
    private bool IsOwn(Problem problem) =>
        problem is { Code: "IST0170", Severity: not Severity.Error } && (problem.Object.StartsWith("Service kube-system/", StringComparison.Ordinal) || problem.Object.StartsWith($"Service {istioNamespace}/{WellKnown.Istiod}", StringComparison.Ordinal));

    private static async Task<ValueList<string>> UntrustedAsync(KubeClient client, string root, CancellationToken stop)
    {
        var bundle = Convert.ToBase64String(System.Text.Encoding.UTF8.GetBytes(root));
        var configurations = await client.ListAllAsync<JsonObject>(Kinds.MutatingWebhookConfiguration, null, new ListOptions { LabelSelector = "app=sidecar-injector" }, stop);
        return configurations.Where(configuration => (configuration["webhooks"] as JsonArray ?? []).Any(webhook => webhook?["clientConfig"]?["caBundle"]?.ToString() != bundle))
            .Select(configuration => configuration["metadata"]!["name"]!.ToString()).ToValueList();
    }
}
