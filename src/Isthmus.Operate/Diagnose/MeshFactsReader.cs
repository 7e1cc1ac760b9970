using Isthmus.Mesh.Config;
using System.Text.Json.Nodes;
using Isthmus.Core.Collections;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Model;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Diagnose;

/// <summary>Reads <see cref="ClusterFacts"/> through API servers. It changes nothing.</summary>
public sealed class MeshFactsReader(string istioNamespace)
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(4);

    /// <summary>Reads a cluster. One slow or failed response decides nothing: after it, everything is read again, with more patience.</summary>
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

    /// <summary>The same with lists that others read, too, and connections that stay open: only what failed is read again.</summary>
    public async Task<ClusterFacts> ReadAsync(ClusterLists lists, CancellationToken stop)
    {
        var (first, isFinal) = await TryReadAsync(lists, stop);
        if (isFinal) return first;
        var (second, _) = await TryReadAsync(lists.Again(), stop);
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
            lists.SelectAsync(MeshApi.MutatingWebhookConfiguration, null, "app", InjectorWebhook.App, stop), []);
        var injectors = configurations.SelectMany(InjectorWebhook.Read).ToList();
        var system = InjectorWebhook.SystemNamespace(injectors, istioNamespace);
        var facts = await new MeshFactsReader(system).ReadAsync(context, lists, configurations, withheld, stop);
        return facts with
        {
            Uninjected = injectors.Count > 0 || !facts.HasIstio || withheld.All.Any(part => part.Part == WithheldFacts.Webhooks) ? null
                : await withheld.UnlessRefusedAsync(WithheldFacts.Webhooks, AskingAsync(lists, system, stop), null),
            Withheld = withheld.All,
        };
    }

    /// <summary>The namespaces that ask for sidecars.</summary>
    private static async Task<ValueList<string>?> AskingAsync(ClusterLists lists, string system, CancellationToken stop) =>
        (await lists.ListAsync<Namespace>(MeshApi.Namespace, stop))
            .Where(ns => ns.Metadata.Name != system && InjectorWebhook.Asks(ns) == true).Select(ns => ns.Metadata.Name)
            .Order(StringComparer.Ordinal).ToValueList();

    private async Task<ClusterFacts> ReadAsync(string context, ClusterLists lists, IReadOnlyList<JsonObject> configurations, WithheldParts withheld,
        CancellationToken stop)
    {
        var client = lists.Client;
        var injectors = configurations.SelectMany(InjectorWebhook.Read).ToList();
        // All reads run in parallel, so verify takes only as long as the slowest one.
        var (finding, planning) = (client.FindAsync<Namespace>(Kinds.Namespace, null, istioNamespace, stop), ControlPlaneReader.AllAsync(lists, stop));
        var (reading, meshing, rooting) = (lists.ListAsync<Pod>(MeshApi.Pod, stop, istioNamespace), MeshAsync(lists, RevisionOf(configurations), stop),
            RootAsync(client, stop));
        var (servicing, listing) = (lists.ListAsync<Service>(MeshApi.Service, stop), lists.ListIfDefinedAsync(MeshApi.Gateway, stop));
        var (telling, losing) = (UidAsync(client, stop), UnlabelledSecret.ReadAsync(lists, istioNamespace, stop));
        var reader = new ControlPlaneReader(lists, istioNamespace);
        var (secrets, ranges, dead) = (reader.SecretsAsync(stop), withheld.UnlessRefusedAsync(WithheldFacts.Ranges, RangesAsync(lists, stop), []),
            DanglingReferences.DeadWebhooksAsync(lists, servicing, injectors, stop));
        var barring = withheld.UnlessRefusedAsync(WithheldFacts.Webhooks, DanglingReferences.DeadValidatorsAsync(lists, servicing, stop), []);
        var seeking = reader.ElsewhereAsync(servicing, injectors, stop);
        var (ns, planes, root) = (await finding, await planning, await rooting);
        var (all, services, objects) = (await reading, await servicing, await listing);
        // Also those with errors: a control plane that runs since before goes on with what it read then.
        var passing = ClusterInventory.From(context, objects).Written<Gateway>().ToList();
        var (hosted, entries) = (ControlPlaneReader.HostedAsync(lists, planes.Where(plane => plane.Namespace != istioNamespace), withheld, stop),
            ControlPlaneReader.EntriesAsync(lists, services, passing, withheld, stop));
        if (ns is null)
            return new(context, "")
            {
                SystemNamespace = istioNamespace, Hosted = await hosted, ControlPlaneEntries = await entries, Server = ServerOf(client), Uid = await telling,
            };
        var pods = all.Where(pod => pod.Metadata.Labels.GetValueOrDefault("app") == WellKnown.Istiod && pod.Metadata.DeletionTimestamp is null).ToList();
        var (watched, problems) = (withheld.UnlessRefusedAsync(WithheldFacts.Reports, reader.WatchedAsync(pods, stop), new(new([], []), null)),
            pods.Any(pod => pod.Status.IsReady)
                ? withheld.UnlessRefusedAsync(WithheldFacts.Reports, reader.ProblemsAsync(stop), new([], null))
                : Task.FromResult(new ControlPlaneReader.Told<ValueList<Problem>>([], null)));
        var byNames = passing.Exists(gateway => gateway.PassesGlobalNames);
        var (gateways, loose, dns) = (new NetworkGatewayReader(lists, withheld).ReadAsync(services, byNames, passing, stop),
            DanglingReferences.LooseRoutesAsync(lists, objects, stop), DnsAsync(lists, services, stop));
        var (mesh, elsewhere, clusters, faults) = (await meshing, await seeking, await watched, await problems);
        var own = planes.Where(plane => plane.Namespace == istioNamespace).ToList();
        var unready = await Task.WhenAll(own.SelectMany(plane => plane.Unready).Select(pod => pod.WithRightsAsync(client, stop)));
        return new(context, "", NameOf(own, elsewhere.Name, all), true,
            own.SelectMany(plane => plane.Pods).ToValueMap(),
            ns.Metadata.Labels.GetValueOrDefault(Labels.Network) ?? "",
            mesh?.MeshId ?? "",
            mesh is { IsReadable: true } ? mesh.Settings.Mesh.TrustDomain : "",
            Root.Of(root),
            await gateways,
            passing.Exists(gateway => gateway.PassesBySni)
                || await withheld.UnlessRefusedAsync(WithheldFacts.Gateways, PassingGateways.AnyAsync(lists, stop), true),
            clusters.Answer.Lines.Distinct().ToValueList(),
            Untrusted(configurations, root))
        {
            Problems = faults.Answer.Concat(ControlPlaneReader.Silences(client, faults.Silence, clusters.Silence)).Concat(clusters.Answer.Unknown)
                .Concat(await dead).Concat(await barring).Concat(await loose).ToValueList(),
            NearlyExposing = PassingGateways.Nearest(passing),
            TellsWatched = clusters.Answer.IsKnown,
            Mesh = mesh is { IsReadable: true } ? mesh.Settings.Mesh : null,
            WithoutAutoMtls = mesh is { IsReadable: true, Settings.Mesh.EnableAutoMtls: false } ? $"ConfigMap {mesh.Namespace}/{mesh.Name}" : "",
            TrustDomainAliases = mesh?.Settings.Mesh.TrustDomainAliases ?? [],
            Unready = unready.ToValueList(),
            GivenGateways = (mesh is { IsReadable: true } ? mesh.Settings.Networks.Networks : default).Where(network => !network.Value.Gateways.IsEmpty)
                .Select(network => KeyValuePair.Create(network.Key, string.Join(",", network.Value.Gateways.Select(gateway =>
                    gateway.RegistryServiceName.Length > 0 ? gateway.RegistryServiceName : $"{gateway.Address}")))).ToValueMap(),
            SystemNamespace = istioNamespace,
            ScaledToZero = own.Select(plane => plane.ScaledToZero).FirstOrDefault() ?? "",
            Hosted = await hosted,
            IsJoinedByNames = byNames,
            ControlPlaneEntries = await entries,
            ControlPlaneAt = elsewhere.At,
            Server = ServerOf(client),
            Uid = await telling,
            ControlPlaneClusters = (ns.Metadata.Annotations.GetValueOrDefault(Annotations.ControlPlaneClusters) ?? "")
                .Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries).ToValueList(),
            RemoteSecrets = await secrets,
            UnlabelledSecrets = await losing,
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

    /// <summary>Whoever may read the system namespace alone does not learn it.</summary>
    private static async Task<string> UidAsync(KubeClient client, CancellationToken stop)
    {
        try { return (await client.FindAsync<Namespace>(Kinds.Namespace, null, "kube-system", stop))?.Metadata.Uid ?? ""; }
        catch (KubeException e) when (e.Code == 403) { return ""; }
    }

    /// <summary>The revision of the webhooks: the default one, if there is one.</summary>
    private static string RevisionOf(IReadOnlyList<JsonObject> configurations)
    {
        var revisions = configurations.Select(configuration => configuration["metadata"]?["labels"]?[Labels.Revision]?.ToString() ?? "")
            .Where(revision => revision.Length > 0).Order(StringComparer.Ordinal).ToList();
        return revisions.Count == 0 || revisions.Contains("default") ? "default" : revisions[0];
    }

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

    private async Task<MeshMap?> MeshAsync(ClusterLists lists, string revision, CancellationToken stop)
    {
        var maps = await lists.SelectAsync(MeshApi.ConfigMap, istioNamespace, Labels.Revision, null, stop);
        return MeshMap.Of(maps.Select(MeshMap.Read).OfType<MeshMap>(), revision);
    }

    private static async Task<DnsFacts?> DnsAsync(ClusterLists lists, IReadOnlyList<Service> services, CancellationToken stop) =>
        services.FirstOrDefault(service => service.Metadata.Namespace == "kube-system"
            && service.Metadata.Labels.GetValueOrDefault("k8s-app") == "kube-dns") is { Spec.Selector.Count: > 0 } dns
            ? new(dns.Key, await ReadyAsync(lists, dns, stop)) : null;

    internal static ValueList<string> AddressesOf(Service service) =>
        service.Status.LoadBalancer.Ingress.Select(ingress => ingress.Ip.Length > 0 ? ingress.Ip : ingress.Hostname).Concat(service.Spec.ExternalIPs)
            .ToValueList();

    /// <summary>How many endpoints of a Service are ready.</summary>
    internal static async Task<int> ReadyAsync(ClusterLists lists, Service service, CancellationToken stop) =>
        (await lists.SelectAsync<EndpointSlice>(MeshApi.EndpointSlice, service.Metadata.Namespace, Labels.ServiceName, service.Metadata.Name, stop))
            .SelectMany(slice => slice.Endpoints).Count(endpoint => endpoint.Conditions.Ready ?? true);

    private static ValueList<string> Untrusted(IReadOnlyList<JsonObject> configurations, string root)
    {
        var bundle = Convert.ToBase64String(System.Text.Encoding.UTF8.GetBytes(root));
        return configurations.Where(configuration => (configuration["webhooks"] as JsonArray ?? [])
            .Any(webhook => webhook?["clientConfig"]?["caBundle"]?.ToString() != bundle))
            .Select(configuration => configuration["metadata"]!["name"]!.ToString()).ToValueList();
    }

    private static async Task<ValueList<string>> RangesAsync(ClusterLists lists, CancellationToken stop)
    {
        var nodes = await lists.ListAsync<Node>(MeshApi.Node, stop);
        return nodes.Select(node => node.Spec.PodCIDR).Where(range => range.Length > 0).Distinct().Order(StringComparer.Ordinal).ToValueList();
    }

    /// <summary>The start configuration of the proxies in the system namespace (the gateways).</summary>
    private static IEnumerable<string> OfProxies(IEnumerable<Pod> pods, string variable) =>
        pods.SelectMany(pod => pod.Spec.Containers.Concat(pod.Spec.InitContainers).Where(container => container.Name == "istio-proxy"))
            .SelectMany(container => container.Env)
            .Where(env => env.Name == variable).Select(env => env.Value ?? "").Where(value => value.Length > 0).Distinct().Order(StringComparer.Ordinal);
}
