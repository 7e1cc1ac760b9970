using Isthmus.Mesh.Config;
using System.Text.Json.Nodes;
using Isthmus.Core.Collections;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Diagnose;

/// <summary>Reads <see cref="ClusterFacts"/> through API servers. It changes nothing.</summary>
public sealed partial class MeshFactsReader(string istioNamespace)
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(4);

    /// <summary>Reads a cluster. One slow or failed response is no verdict: after it, everything is read again, with more patience.</summary>
    public async Task<ClusterFacts> ReadAsync(string context, ClusterAccess access, CancellationToken stop)
    {
        using var client = new KubeClient(access with { Name = context }, "isthmus-verify");
        return await ReadPatientlyAsync(new ClusterLists(client, stop), stop);
    }

    /// <inheritdoc cref="ReadAsync(string, ClusterAccess, CancellationToken)"/>
    /// <param name="lists">They and their connections are used for the first attempt only: they may be what is broken.</param>
    public async Task<ClusterFacts> ReadPatientlyAsync(ClusterLists lists, CancellationToken stop)
    {
        var (first, isFinal) = await TryReadAsync(lists.Within(Patience), stop);
        if (isFinal) return first;
        using var other = new KubeClient(lists.Client.Access, "isthmus-verify") { RequestTimeout = Patience * 2 };
        var (second, _) = await TryReadAsync(new(other, stop), stop);
        return second with { FirstError = first.Error };
    }

    /// <summary>The same with a client of the caller's, whose connections stay open for the next time.</summary>
    public async Task<ClusterFacts> ReadAsync(KubeClient client, CancellationToken stop)
    {
        var (first, isFinal) = await TryReadAsync(new(client, stop), stop);
        if (isFinal) return first;
        var (second, _) = await TryReadAsync(new(client, stop), stop);
        return second with { FirstError = first.Error };
    }

    private async Task<(ClusterFacts Facts, bool IsFinal)> TryReadAsync(ClusterLists lists, CancellationToken stop)
    {
        var (context, server) = (lists.Client.Access.Name, lists.Client.Access.Server);
        try
        {
            return (await ReadFactsAsync(context, lists, stop), true);
        }
        catch (HttpRequestException e)
        {
            return (new(context, $"{server} cannot be reached: {Unreachable.Describe(e)}"), false);
        }
        catch (KubeException e)
        {
            return (new(context, e.Message) { ErrorStatus = e.Code }, e is { IsBusy: false, Code: < 500 });
        }
    }

    private async Task<ClusterFacts> ReadFactsAsync(string context, ClusterLists lists, CancellationToken stop)
    {
        var withheld = new WithheldParts();
        var configurations = await withheld.UnlessRefusedAsync(WithheldFacts.Webhooks,
            lists.SelectAsync(MeshApi.MutatingWebhookConfiguration, null, "app", "sidecar-injector", stop), []);
        var injectors = configurations.SelectMany(InjectorWebhook.Read).ToList();
        var system = InjectorWebhook.SystemNamespace(injectors, istioNamespace);
        var facts = await new MeshFactsReader(system).ReadAsync(context, lists, configurations, withheld, stop);
        return facts with { Withheld = withheld.All };
    }

    private async Task<ClusterFacts> ReadAsync(string context, ClusterLists lists, IReadOnlyList<JsonObject> configurations, WithheldParts withheld,
        CancellationToken stop)
    {
        var client = lists.Client;
        var injectors = configurations.SelectMany(InjectorWebhook.Read).ToList();
        // All reads run in parallel, so verify takes only as long as the slowest one.
        var (finding, planning) = (client.FindAsync<Namespace>(Kinds.Namespace, null, istioNamespace, stop), ControlPlanesAsync(client, stop));
        var (reading, meshing, rooting) = (client.ListAllAsync<Pod>(Kinds.Pod, istioNamespace, new ListOptions(), stop), MeshAsync(client, stop),
            RootAsync(client, stop));
        var (secrets, ranges, dead) = (SecretsAsync(lists, stop), withheld.UnlessRefusedAsync(WithheldFacts.Ranges, RangesAsync(lists, stop), []),
            DeadWebhooksAsync(client, injectors, stop));
        var (servicing, listing) = (lists.ListAsync<Service>(MeshApi.Service, stop), GatewayObjectsAsync(lists, stop));
        var seeking = ElsewhereAsync(client, servicing, injectors, stop);
        var (ns, planes, root) = (await finding, await planning, await rooting);
        var (all, services, objects) = (await reading, await servicing, await listing);
        var (hosted, entries) = (HostedAsync(lists, planes.Where(plane => plane.Namespace != istioNamespace), withheld, stop),
            EntriesAsync(lists, services, objects, withheld, stop));
        if (ns is null)
            return new(context, "") { SystemNamespace = istioNamespace, Hosted = await hosted, ControlPlaneEntries = await entries, Server = ServerOf(client) };
        var pods = all.Where(pod => pod.Metadata.Labels.GetValueOrDefault("app") == WellKnown.Istiod && pod.Metadata.DeletionTimestamp is null).ToList();
        var (watched, problems) = (withheld.UnlessRefusedAsync(WithheldFacts.Reports, WatchedAsync(client, pods, stop), new(new([], []), null)),
            pods.Any(pod => pod.Status.IsReady)
                ? withheld.UnlessRefusedAsync(WithheldFacts.Reports, ProblemsAsync(client, stop), new([], null))
                : Task.FromResult(new Told<ValueList<Problem>>([], null)));
        var byNames = objects.SelectMany(gateway => gateway["spec"]?["servers"] as JsonArray ?? []).Any(PassesNames);
        var (gateways, loose, dns) = (NetworkGatewayReader.ReadAsync(client, services, byNames, stop), LooseRoutesAsync(lists, objects, stop),
            DnsAsync(client, services, stop));
        var (mesh, elsewhere, clusters, faults) = (await meshing, await seeking, await watched, await problems);
        var own = planes.Where(plane => plane.Namespace == istioNamespace).ToList();
        return new(context, "", NameOf(own, elsewhere.Name, all), true,
            own.SelectMany(plane => plane.Pods).ToValueMap(),
            ns.Metadata.Labels.GetValueOrDefault(Labels.Network) ?? "",
            (string?)mesh["defaultConfig"]?["meshId"] ?? "",
            mesh.Count == 0 ? "" : (string?)mesh["trustDomain"] ?? WellKnown.DefaultTrustDomain,
            Root.Of(root),
            await gateways,
            objects.Any(PassingGateways.IsIstios) || await withheld.UnlessRefusedAsync(WithheldFacts.Gateways, PassingGateways.AnyAsync(lists, stop), true),
            clusters.Answer.Lines.Distinct().ToValueList(),
            Untrusted(configurations, root))
        {
            Problems = faults.Answer.Concat(Silences(client, faults.Silence, clusters.Silence)).Concat(clusters.Answer.Unknown).Concat(await dead)
                .Concat(await loose).ToValueList(),
            TellsWatched = clusters.Answer.IsKnown,
            TrustDomainAliases = (mesh["trustDomainAliases"] as JsonArray ?? []).Select(alias => (string?)alias ?? "").ToValueList(),
            SystemNamespace = istioNamespace,
            ScaledToZero = own.Select(plane => plane.ScaledToZero).FirstOrDefault() ?? "",
            Hosted = await hosted,
            IsJoinedByNames = byNames,
            ControlPlaneEntries = await entries,
            ControlPlaneAt = elsewhere.At,
            Server = ServerOf(client),
            ControlPlaneClusters = (ns.Metadata.Annotations.GetValueOrDefault(Annotations.ControlPlaneClusters) ?? "")
                .Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries).ToValueList(),
            RemoteSecrets = await secrets,
            PodRanges = await ranges,
            ProgramImage = all.Where(pod => pod.Metadata.DeletionTimestamp is null).SelectMany(pod => pod.Spec.Containers)
                .Where(container => container.Name is "discovery" or "istio-proxy")
                .OrderBy(container => container.Name, StringComparer.Ordinal).Select(container => container.Image)
                .FirstOrDefault(image => image is not ("" or "auto"))
                ?? "",
            Revision = RevisionOf(configurations),
            ProxyPod = all.Where(pod => pod.Status.IsReady && pod.Metadata.DeletionTimestamp is null
                && pod.Spec.Containers.Exists(container => container.Name == "istio-proxy"))
                .Select(pod => pod.Metadata.Name).Order(StringComparer.Ordinal).FirstOrDefault() ?? "",
            Dns = await dns,
            ProxyNetworks = OfProxies(all, "ISTIO_META_NETWORK").ToValueList(),
        };
    }

    /// <summary>The revision of the webhooks: the default one, if there is one.</summary>
    private static string RevisionOf(IReadOnlyList<JsonObject> configurations)
    {
        var revisions = configurations.Select(configuration => configuration["metadata"]?["labels"]?[Labels.Revision]?.ToString() ?? "")
            .Where(revision => revision.Length > 0).Order(StringComparer.Ordinal).ToList();
        return revisions.Count == 0 || revisions.Contains("default") ? "default" : revisions[0];
    }

    private static bool PassesNames(JsonNode? server) => server?["tls"]?["mode"]?.ToString() == "AUTO_PASSTHROUGH"
        && server["hosts"] is JsonArray { Count: > 0 } hosts && hosts.All(host => host?.ToString().EndsWith(".global", StringComparison.Ordinal) ?? false);

    internal static string ServerOf(KubeClient client) => client.Access.Server.ToString().TrimEnd('/');

    private async Task<string> RootAsync(KubeClient client, CancellationToken stop) =>
        (await client.FindAsync<ConfigMap>(Kinds.ConfigMap, istioNamespace, WellKnown.RootCertConfigMap, stop))?.Data.GetValueOrDefault(WellKnown.RootCertKey)
            ?? "";

    /// <summary>The name that its control plane uses, here or elsewhere; otherwise the name given to its
    /// gateways.</summary>
    private static string NameOf(IReadOnlyList<HostedControlPlane> own, string elsewhere, IReadOnlyList<Pod> all) =>
        own.FirstOrDefault(plane => plane.Cluster.Length > 0) is { } known
            ? known.Cluster
            : elsewhere.Length > 0
            ? elsewhere
            : OfProxies(all, "ISTIO_META_CLUSTER_ID").FirstOrDefault() ?? "";

    /// <summary>A cluster with its control plane elsewhere has a Service without a selector; the path of its webhook
    /// contains the cluster's name.</summary>
    private async Task<(string Name, ValueList<string> At)> ElsewhereAsync(KubeClient client, Task<IReadOnlyList<Service>> servicing,
        IReadOnlyList<InjectorWebhook> injectors, CancellationToken stop)
    {
        foreach (var service in await servicing)
        {
            if (service.Metadata.Namespace != istioNamespace || service.Metadata.Labels.GetValueOrDefault("app") != WellKnown.Istiod) continue;
            if (service.Spec.Selector.Count > 0) continue;
            var at = service.Spec.ExternalName.Length > 0 ? [service.Spec.ExternalName] : await AddressesBehindAsync(client, service, stop);
            return (injectors.FirstOrDefault(injector => injector.Namespace == istioNamespace)?.Cluster ?? "", at);
        }
        return ("", []);
    }

    /// <summary>Of its EndpointSlices; of its Endpoints, if someone wrote these and they are not mirrored.</summary>
    private static async Task<ValueList<string>> AddressesBehindAsync(KubeClient client, Service service, CancellationToken stop)
    {
        var (ns, name) = (service.Metadata.Namespace, service.Metadata.Name);
        var slices = await client.ListAllAsync<EndpointSlice>(Kinds.EndpointSlice, ns, new ListOptions { LabelSelector = $"{Labels.ServiceName}={name}" },
            stop);
        var found = slices.SelectMany(slice => slice.Endpoints).SelectMany(endpoint => endpoint.Addresses).Distinct(StringComparer.Ordinal)
            .Order(StringComparer.Ordinal).ToValueList();
        if (!found.IsEmpty) return found;
        var endpoints = await client.FindAsync<Endpoints>(Kinds.Endpoints, ns, name, stop);
        return (endpoints?.Subsets ?? []).SelectMany(subset => subset.Addresses).Select(address => address.Ip).ToValueList();
    }

    private async Task<JsonObject> MeshAsync(KubeClient client, CancellationToken stop)
    {
        // The name of a control plane with a revision contains the revision; otherwise the names are almost the same.
        var maps = await client.ListAllAsync<ConfigMap>(Kinds.ConfigMap, istioNamespace, new ListOptions { LabelSelector = Labels.Revision }, stop);
        var map = maps.Where(candidate => candidate.Data.ContainsKey("mesh")).OrderBy(candidate => candidate.Metadata.Name, StringComparer.Ordinal)
            .FirstOrDefault();
        try { return YamlText.Parse(map?.Data.GetValueOrDefault("mesh") ?? "", "mesh") as JsonObject ?? []; }
        catch (ProblemException) { return []; }
    }

    private static async Task<DnsFacts?> DnsAsync(KubeClient client, IReadOnlyList<Service> services, CancellationToken stop) =>
        services.FirstOrDefault(service => service.Metadata.Namespace == "kube-system"
            && service.Metadata.Labels.GetValueOrDefault("k8s-app") == "kube-dns") is { Spec.Selector.Count: > 0 } dns
            ? new(dns.Key, await ReadyAsync(client, dns, stop)) : null;

    internal static ValueList<string> AddressesOf(Service service) =>
        service.Status.LoadBalancer.Ingress.Select(ingress => ingress.Ip.Length > 0 ? ingress.Ip : ingress.Hostname).Concat(service.Spec.ExternalIPs)
            .ToValueList();

    internal static async Task<int> ReadyAsync(KubeClient client, Service service, CancellationToken stop) =>
        (await client.ListAllAsync<EndpointSlice>(Kinds.EndpointSlice, service.Metadata.Namespace,
            new ListOptions { LabelSelector = $"{Labels.ServiceName}={service.Metadata.Name}" }, stop))
            .SelectMany(slice => slice.Endpoints).Count(endpoint => endpoint.Conditions.Ready ?? true);

    private static async Task<IReadOnlyList<JsonObject>> GatewayObjectsAsync(ClusterLists lists, CancellationToken stop)
    {
        try
        {
            return await lists.ListAsync(MeshApi.Gateway, stop);
        }
        catch (KubeException e) when (e.IsNotFound)
        {
            return []; // The kinds are not defined: a remote cluster.
        }
    }

    /// <summary>What control planes answered to a question.</summary>
    /// <param name="Silence">Why none of them did; null: one did.</param>
    private sealed record Told<T>(T Answer, Problem? Silence);

    private async Task<Told<WatchedClusters>> WatchedAsync(KubeClient client, IReadOnlyList<Pod> pods, CancellationToken stop)
    {
        if (!pods.Any(pod => pod.Status.IsReady)) return new(new([], []), null);
        try
        {
            return new(await new MeshQuery(client, istioNamespace).WatchedAsync(stop), null);
        }
        catch (ProblemException e)
        {
            return new(new([], []) { IsKnown = false }, e.Problem);
        }
    }

    private async Task<Told<ValueList<Problem>>> ProblemsAsync(KubeClient client, CancellationToken stop)
    {
        try
        {
            var problems = await new MeshQuery(client, istioNamespace).ProblemsAsync(stop);
            return new(problems.Where(problem => !IsOwn(problem)).ToValueList(), null);
        }
        catch (ProblemException e)
        {
            return new([], e.Problem);
        }
    }

    /// <summary>What is not known because no control plane answered.</summary>
    private static IEnumerable<Problem> Silences(KubeClient client, Problem? ofProblems, Problem? ofWatched)
    {
        if ((ofProblems ?? ofWatched) is not { } why) yield break;
        var what = ofWatched is null ? "what it finds wrong"
            : ofProblems is null ? "which clusters it watches" : "what it finds wrong, and which clusters it watches,";
        yield return new("ISM1040", $"{why.Object} in {client.Access.Name}", "", $"{why.Message}: {what} is not known", why.Remedy);
    }

    /// <summary>Each cluster has its own DNS and perhaps its own control plane, so differences between them are not
    /// errors.</summary>
    private bool IsOwn(Problem problem) =>
        problem is { Code: "IST0170", Severity: not Severity.Error }
            && (problem.Object.StartsWith("Service kube-system/", StringComparison.Ordinal)
                || problem.Object.StartsWith($"Service {istioNamespace}/{WellKnown.Istiod}", StringComparison.Ordinal));

    private static ValueList<string> Untrusted(IReadOnlyList<JsonObject> configurations, string root)
    {
        var bundle = Convert.ToBase64String(System.Text.Encoding.UTF8.GetBytes(root));
        return configurations.Where(configuration => (configuration["webhooks"] as JsonArray ?? [])
            .Any(webhook => webhook?["clientConfig"]?["caBundle"]?.ToString() != bundle))
            .Select(configuration => configuration["metadata"]!["name"]!.ToString()).ToValueList();
    }
}
