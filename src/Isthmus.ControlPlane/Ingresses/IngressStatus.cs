using System.Net;
using System.Text.Json.Nodes;
using Isthmus.ControlPlane.Clusters;
using Isthmus.ControlPlane.Push;
using Isthmus.ControlPlane.Settings;
using Isthmus.Core.Collections;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Model;
using Microsoft.Extensions.Logging;

namespace Isthmus.ControlPlane.Ingresses;

/// <summary>Keeps the addresses of the gateways' Service in the status of each Ingress that gateways serve, where kubectl and DNS controllers look. One control
/// plane of the
/// cluster does so.</summary>
public sealed partial class IngressStatus(KubeClient client, DiscoverySettings settings, PushEngine engine, TimeProvider time, ILoggerFactory logs)
{
    internal const string Lease = "istio-ingress-status-leader";

    private readonly LeaderElection _lead = ClusterDuties.Election(client, settings, Lease, time, logs);
    private readonly ILogger _log = logs.CreateLogger<IngressStatus>();
    private readonly HashSet<ObjectKey> _written = [];
    private readonly HashSet<OutdatedIngress> _refused = [];

    public Task RunAsync(CancellationToken stop) => _lead.RunAsync(LeadAsync, stop);

    private async Task LeadAsync(CancellationToken stop)
    {
        var rounds = new Rounds(time);
        engine.Committed += rounds.Tell;
        try
        {
            await rounds.RunAsync(UpdateAsync, stop).ConfigureAwait(false);
        }
        finally
        {
            engine.Committed -= rounds.Tell;
        }
    }

    /// <returns>Whether all is written, so that only a change can need another call.</returns>
    private async Task<bool> UpdateAsync(CancellationToken stop)
    {
        // Before all is known, the Service seems to be missing.
        if (!engine.IsReady) return false;
        var written = _written.ToHashSet();
        var outdated = await engine.AskAsync(writer => IngressAddresses.Outdated(writer.Mesh, settings.Namespace, written), stop).ConfigureAwait(false);
        var isComplete = true;
        foreach (var item in outdated.Where(item => !_refused.Contains(item)))
        {
            try
            {
                await client.PatchAsync(Kinds.Ingress, item.Key.Namespace, item.Key.Name, Patch(item.Addresses), PatchType.Merge, stop, "status")
                    .ConfigureAwait(false);
                if (item.Addresses.IsEmpty) _written.Remove(item.Key);
                else _written.Add(item.Key);
            }
            catch (KubeException e) when (e is { IsConflict: false, IsBusy: false })
            {
                // Gone meanwhile, or without permission: only a change can help.
                NotWritten(_log, $"{item.Key.Namespace}/{item.Key.Name}", e.Message);
                _refused.Add(item);
            }
            catch (Exception e) when (ApiTrouble.Is(e, stop))
            {
                isComplete = false;
            }
        }
        return isComplete;
    }

    private static JsonObject Patch(ValueList<string> addresses) => new()
    {
        ["status"] = new JsonObject
        {
            ["loadBalancer"] = new JsonObject
            {
                ["ingress"] = new JsonArray([.. addresses.Select(address => (JsonNode)new JsonObject
                {
                    [IPAddress.TryParse(address, out _) ? "ip" : "hostname"] = address
                })])
            },
        },
    };

    [LoggerMessage(Level = LogLevel.Warning, Message = "The status of Ingress {Name} is not written: {Reason}")]
    private static partial void NotWritten(ILogger log, string name, string reason);
}
