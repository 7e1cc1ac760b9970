using System.Text.Json.Nodes;
using Isthmus.ControlPlane.Clusters;
using Isthmus.ControlPlane.Push;
using Isthmus.Graph.Settings;
using Isthmus.ControlPlane.Statuses;
using Isthmus.Core.Collections;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Model;
using Microsoft.Extensions.Logging;
using EndpointAddress = Isthmus.Mesh.Model.EndpointAddress;

namespace Isthmus.ControlPlane.Ingresses;

/// <summary>Keeps the addresses of the gateways' Service in the status of each Ingress that gateways serve, where kubectl and DNS controllers look. One control
/// plane of the cluster does so.</summary>
public sealed class IngressStatus(KubeClient client, DiscoverySettings settings, PushEngine engine, TimeProvider time, ILoggerFactory logs)
{
    internal const string Lease = "istio-ingress-status-leader";

    private readonly LeaderElection _lead = ClusterDuties.Election(client, settings, Lease, time, logs);
    private readonly StatusWriter _writer = new(client, logs.CreateLogger<IngressStatus>());
    private readonly HashSet<ObjectKey> _written = [];

    private readonly Refusals<OutdatedIngress> _refused = new(time);

    public Task RunAsync(CancellationToken stop) =>
        _lead.RunAsync(lead => new Rounds(time).AfterAsync([Trigger.Commit(engine)], UpdateAsync, lead), stop);

    private async Task<NextRound> UpdateAsync(CancellationToken stop)
    {
        // Before all is known, the Service seems to be missing.
        if (!engine.IsReady) return NextRound.Soon;
        var written = _written.ToHashSet();
        var outdated = await engine.AskAsync(writer => IngressAddresses.Outdated(writer.Mesh, settings.Namespace, written), stop).ConfigureAwait(false);
        return await WriteAsync(outdated.ToHashSet(), stop).ConfigureAwait(false);
    }

    internal async Task<NextRound> WriteAsync(IReadOnlySet<OutdatedIngress> outdated, CancellationToken stop)
    {
        _refused.Keep(outdated.Contains);
        var next = NextRound.AtChange;
        foreach (var item in outdated.Where(item => !_refused.Has(item)))
        {
            var (wanted, key) = (Wanted(item.Addresses), item.Key);
            switch (await _writer.WriteAsync(Kinds.Ingress, key.Namespace, key.Name, found => Changes(found, wanted), stop).ConfigureAwait(false))
            {
                case StatusOutcome.Later:
                    next = NextRound.Soon;
                    break;
                case StatusOutcome.Refused:
                    _refused.Add(item);
                    break;
                case StatusOutcome.Done when item.Addresses.IsEmpty:
                    _written.Remove(key);
                    break;
                default:
                    _written.Add(key);
                    break;
            }
        }
        return next.Or(_refused.Next);
    }

    private static JsonObject? Changes(JsonObject found, JsonArray wanted) =>
        JsonNode.DeepEquals(found["status"]?["loadBalancer"]?["ingress"] ?? new JsonArray(), wanted) ? null
            : new() { ["loadBalancer"] = new JsonObject { ["ingress"] = wanted.DeepClone() } };

    private static JsonArray Wanted(ValueList<EndpointAddress> addresses) => new([.. addresses.Select(address => (JsonNode)new JsonObject
    {
        [address.Ip is null ? "hostname" : "ip"] = address.ToString(),
    })]);
}
