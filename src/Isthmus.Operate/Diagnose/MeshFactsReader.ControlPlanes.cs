using System.Text.Json.Nodes;
using Isthmus.Core.Collections;
using Isthmus.Core.Names;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Diagnose;

/// <summary>Reads the control planes that run in a cluster, its own and those of others, and how other clusters reach
/// them.</summary>
public sealed partial class MeshFactsReader
{
    /// <summary>All control planes here. The Deployment of one without Pods shows that it is meant to run.</summary>
    internal static async Task<IReadOnlyList<HostedControlPlane>> ControlPlanesAsync(KubeClient client, CancellationToken stop)
    {
        var options = new ListOptions { LabelSelector = $"app={WellKnown.Istiod}" };
        var (listing, reading) = (client.ListAllAsync<Deployment>(Kinds.Deployment, null, options, stop),
            client.ListAllAsync<Pod>(Kinds.Pod, null, options, stop));
        var (deployments, pods) = (await listing, (await reading).Where(pod => pod.Metadata.DeletionTimestamp is null).ToList());
        return
        [
            .. from deployment in deployments
               let own = pods.Where(pod => pod.Metadata.Namespace == deployment.Metadata.Namespace && deployment.Spec.Selector.Matches(pod.Metadata.Labels))
                   .ToList()
               let cluster = (deployment.Spec.Template["spec"]?["containers"] as JsonArray ?? []).SelectMany(container => container?["env"] as JsonArray ?? [])
                   .FirstOrDefault(env => env?["name"]?.ToString() == "CLUSTER_ID")?["value"]
               select new HostedControlPlane(deployment.Metadata.Namespace, cluster?.ToString() ?? "",
                   own.Count == 0
                       ? new ValueMap<bool>([new(deployment.Metadata.Name, false)])
                       : own.Select(pod => KeyValuePair.Create(pod.Metadata.Name, pod.Status.IsReady)).ToValueMap())
                   {
                       ScaledToZero = deployment.Spec.Replicas == 0 ? deployment.Metadata.Name : ""
                   },
        ];
    }

    /// <summary>Whether a control plane runs here, for this cluster or for another one.</summary>
    private static async Task<ValueList<HostedControlPlane>> HostedAsync(ClusterLists lists, IEnumerable<HostedControlPlane> planes, WithheldParts withheld,
        CancellationToken stop)
    {
        var client = lists.Client;
        var found = await Task.WhenAll(planes.Select(async plane =>
        {
            var reader = new MeshFactsReader(plane.Namespace);
            var secrets = reader.SecretsAsync(lists, stop);
            var problems = plane.Pods.Any(pod => pod.Value)
                ? await withheld.UnlessRefusedAsync(WithheldFacts.Reports, reader.ProblemsAsync(client, stop), new([], null))
                : new([], null);
            // The kubeconfig that it uses does not name the cluster, since it holds only one.
            return plane with
            {
                Problems = problems.Answer.Concat(Silences(client, problems.Silence, null)).ToValueList(),
                RemoteSecrets = (await secrets).Select(secret => secret.IsConfig ? secret with { Cluster = plane.Cluster } : secret).ToValueList()
            };
        }));
        return found.ToValueList();
    }

    private static async Task<ValueList<ControlPlaneEntry>> EntriesAsync(ClusterLists lists, IReadOnlyList<Service> services,
        IReadOnlyList<JsonObject> gateways, WithheldParts withheld, CancellationToken stop)
    {
        var entries = new List<ControlPlaneEntry>();
        Task<IReadOnlyCollection<JsonObject>?>? ofApi = null;
        foreach (var service in services)
        {
            if (AddressesOf(service) is { IsEmpty: false } addresses && service.Spec.Ports.FirstOrDefault(port => port.Port == Ports.DiscoveryTls) is { } port)
            {
                var target = int.TryParse(port.TargetPort?.ToString(), out var number) ? number : port.Port;
                // Whoever may not read those of the Gateway API hears of that, and not that none opens it.
                var opens = gateways.Any(gateway => Opens(gateway, target))
                    || await (ofApi ??= withheld.UnlessRefusedAsync(WithheldFacts.Gateways, PassingGateways.AllAsync(lists, stop), null)) is not { } known
                    || known.Any(gateway => PassingGateways.Leads(gateway, service, Ports.DiscoveryTls));
                entries.Add(new(service.Key, addresses, await ReadyAsync(lists.Client, service, stop), opens));
            }
        }
        return entries.ToValueList();
    }

    private static bool Opens(JsonObject gateway, int port) =>
        (gateway["spec"]?["servers"] as JsonArray ?? [])
            .Any(server => server?["port"]?["number"]?.ToString() == port.ToString(System.Globalization.CultureInfo.InvariantCulture));
}
