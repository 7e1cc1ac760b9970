using System.Text.Json.Nodes;
using Isthmus.Core.Collections;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Graph.Settings;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Diagnose;

/// <summary>Reads the control planes that run in a cluster, its own and those of others: what they know, and how other clusters reach them.</summary>
/// <param name="lists">Of the cluster.</param>
/// <param name="istioNamespace">The namespace of the control plane that is asked.</param>
internal sealed class ControlPlaneReader(ClusterLists lists, string istioNamespace)
{
    /// <summary>All control planes here. The Deployment of one without Pods shows that it is meant to run.</summary>
    internal static async Task<IReadOnlyList<HostedControlPlane>> AllAsync(ClusterLists lists, CancellationToken stop)
    {
        var (listing, reading) = (OwnAsync<Deployment>(lists, MeshApi.Deployment, stop), OwnAsync<Pod>(lists, MeshApi.Pod, stop));
        var (deployments, pods) = (await listing, (await reading).Where(pod => pod.Metadata.DeletionTimestamp is null).ToList());
        return
        [
            .. from deployment in deployments
               let own = pods.Where(pod => pod.Metadata.Namespace == deployment.Metadata.Namespace && deployment.Spec.Selector.Matches(pod.Metadata.Labels))
                   .ToList()
               select new HostedControlPlane(deployment.Metadata.Namespace, ControlPlaneDeployment.Read(deployment).Cluster,
                   own.Count == 0
                       ? new ValueMap<bool>([new(deployment.Metadata.Name, false)])
                       : own.Select(pod => KeyValuePair.Create(pod.Metadata.Name, pod.Status.IsReady)).ToValueMap())
                   {
                       ScaledToZero = deployment.Spec.Replicas == 0 ? deployment.Metadata.Name : "",
                       Unready = own.Where(pod => !pod.Status.IsReady).Select(UnreadyControlPlane.Of).ToValueList(),
                   },
        ];
    }

    /// <summary>Whether a control plane runs here, for this cluster or for another one.</summary>
    public static async Task<ValueList<HostedControlPlane>> HostedAsync(ClusterLists lists, IEnumerable<HostedControlPlane> planes, WithheldParts withheld,
        CancellationToken stop)
    {
        var found = await Task.WhenAll(planes.Select(async plane =>
        {
            var reader = new ControlPlaneReader(lists, plane.Namespace);
            var secrets = reader.SecretsAsync(stop);
            var problems = plane.Pods.Any(pod => pod.Value)
                ? await withheld.UnlessRefusedAsync(WithheldFacts.Reports, reader.ProblemsAsync(stop), new([], null))
                : new([], null);
            // The kubeconfig that it uses does not name the cluster, since it holds only one.
            return plane with
            {
                Problems = problems.Answer.Concat(Silences(lists.Client, problems.Silence, null)).ToValueList(),
                RemoteSecrets = (await secrets).Select(secret => secret.IsConfig ? secret with { Cluster = plane.Cluster } : secret).ToValueList()
            };
        }));
        return found.ToValueList();
    }

    // Few and vital: where the list of all objects failed, they are asked for by themselves.
    private static async Task<IReadOnlyList<T>> OwnAsync<T>(ClusterLists lists, KindDescriptor kind, CancellationToken stop) where T : class
    {
        try
        {
            return await lists.SelectAsync<T>(kind, null, "app", WellKnown.Istiod, stop);
        }
        catch (Exception e) when (e is KubeException or HttpRequestException)
        {
            return await lists.Client.ListAllAsync<T>(kind.In(kind.ReadVersion), null, new() { LabelSelector = $"app={WellKnown.Istiod}" }, stop);
        }
    }

    /// <summary>Services through which proxies of other clusters may reach control planes here.</summary>
    public static async Task<ValueList<ControlPlaneEntry>> EntriesAsync(ClusterLists lists, IReadOnlyList<Service> services,
        IReadOnlyList<Gateway> gateways, WithheldParts withheld, CancellationToken stop)
    {
        var entries = new List<ControlPlaneEntry>();
        Task<IReadOnlyList<JsonObject>?>? ofApi = null;
        foreach (var service in services)
        {
            if (MeshFactsReader.AddressesOf(service) is { IsEmpty: false } addresses
                && service.Spec.Ports.FirstOrDefault(port => port.Port == Ports.DiscoveryTls) is { } port)
            {
                var target = int.TryParse(port.TargetPort?.ToString(), out var number) ? number : port.Port;
                // Whoever may not read those of the Gateway API hears of that, and not that none opens it.
                var opens = gateways.Any(gateway => gateway.Servers.Any(server => server.Port == target))
                    || await (ofApi ??= withheld.UnlessRefusedAsync(WithheldFacts.Gateways, OfApiAsync(lists, stop), null)) is not { } known
                    || known.Any(gateway => PassingGateways.Leads(gateway, service, Ports.DiscoveryTls));
                entries.Add(new(service.Key, addresses, await MeshFactsReader.ReadyAsync(lists, service, stop), opens));
            }
        }
        return entries.ToValueList();
    }

    private static async Task<IReadOnlyList<JsonObject>?> OfApiAsync(ClusterLists lists, CancellationToken stop) =>
        await lists.ListIfDefinedAsync(MeshApi.ApiGateway, stop);

    /// <summary>A cluster with its control plane elsewhere has a Service without a selector; the path of its webhook
    /// contains the cluster's name.</summary>
    public async Task<(string Name, ValueList<string> At)> ElsewhereAsync(Task<IReadOnlyList<Service>> servicing, IReadOnlyList<InjectorWebhook> injectors,
        CancellationToken stop)
    {
        foreach (var service in await servicing)
        {
            if (service.Metadata.Namespace != istioNamespace || service.Metadata.Labels.GetValueOrDefault("app") != WellKnown.Istiod) continue;
            if (service.Spec.Selector.Count > 0) continue;
            var at = service.Spec.ExternalName.Length > 0 ? [service.Spec.ExternalName] : await AddressesBehindAsync(service, stop);
            return (injectors.FirstOrDefault(injector => injector.Namespace == istioNamespace)?.Cluster ?? "", at);
        }
        return ("", []);
    }

    /// <summary>Of its EndpointSlices; of its Endpoints, if someone wrote these and they are not mirrored.</summary>
    private async Task<ValueList<string>> AddressesBehindAsync(Service service, CancellationToken stop)
    {
        var (ns, name) = (service.Metadata.Namespace, service.Metadata.Name);
        var slices = await lists.SelectAsync<EndpointSlice>(MeshApi.EndpointSlice, ns, Labels.ServiceName, name, stop);
        var found = slices.SelectMany(slice => slice.Endpoints).SelectMany(endpoint => endpoint.Addresses).Distinct(StringComparer.Ordinal)
            .Order(StringComparer.Ordinal).ToValueList();
        if (!found.IsEmpty) return found;
        var endpoints = await lists.Client.FindAsync<Endpoints>(Kinds.Endpoints, ns, name, stop);
        return (endpoints?.Subsets ?? []).SelectMany(subset => subset.Addresses).Select(address => address.Ip).ToValueList();
    }

    /// <summary>Remote secrets; also empty for users who may not read Secrets. Then only the control planes' reports about
    /// them are known.</summary>
    public async Task<ValueList<RemoteSecretFacts>> SecretsAsync(CancellationToken stop)
    {
        try
        {
            var secrets = await lists.SelectAsync<Secret>(MeshApi.Secret, istioNamespace, Labels.MultiCluster, "true", stop);
            return secrets.OrderBy(secret => secret.Metadata.Name, StringComparer.Ordinal).SelectMany(secret => SecretFacts.Of(secret).Remote).ToValueList();
        }
        catch (KubeException e) when (e.Code is 401 or 403)
        {
            return [];
        }
    }

    /// <summary>What control planes answered to a question.</summary>
    /// <param name="Silence">Why none of them did; null: one did.</param>
    internal sealed record Told<T>(T Answer, Problem? Silence);

    /// <param name="pods">Those of the control plane; it is not asked where none is ready.</param>
    public async Task<Told<WatchedClusters>> WatchedAsync(IReadOnlyList<Pod> pods, CancellationToken stop)
    {
        if (!pods.Any(pod => pod.Status.IsReady)) return new(new([], []), null);
        try
        {
            return new(await new MeshQuery(lists.Client, istioNamespace).WatchedAsync(stop), null);
        }
        catch (ProblemException e)
        {
            return new(new([], []) { IsKnown = false }, e.Problem);
        }
    }

    public async Task<Told<ValueList<Problem>>> ProblemsAsync(CancellationToken stop)
    {
        try
        {
            var problems = await new MeshQuery(lists.Client, istioNamespace).ProblemsAsync(stop);
            return new(problems.Where(problem => !IsOwn(problem)).ToValueList(), null);
        }
        catch (ProblemException e)
        {
            return new([], e.Problem);
        }
    }

    /// <summary>What is not known because no control plane answered.</summary>
    public static IEnumerable<Problem> Silences(KubeClient client, Problem? ofProblems, Problem? ofWatched)
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
}
