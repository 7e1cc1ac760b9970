using Isthmus.Graph.Derive;
using Isthmus.Graph.Settings;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Model;
using Isthmus.Wire.Grpc;
using Microsoft.Extensions.Logging;

namespace Isthmus.ControlPlane.Ca;

/// <summary>
/// Whether an account that proves itself with nothing but a certificate still has a workload. An API server that is away changes nothing:
/// what was last known of its cluster counts.
/// </summary>
/// <param name="clientOf">The client of a cluster by its ID; null when the cluster is unknown.</param>
/// <param name="isKnown">Whether the objects of a cluster have been read, now or by an earlier control plane.</param>
public sealed partial class AccountCheck(Func<string, KubeClient?> clientOf, Func<string, bool> isKnown, MeshSources mesh, DiscoverySettings settings,
    TimeProvider time, ILogger<AccountCheck> log)
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    /// <exception cref="GrpcException">The account has no workload, or it is not known yet whether it has one.</exception>
    public async Task RequireAsync(Caller caller, GrpcCall call, CancellationToken stop)
    {
        var cluster = call.Header("clusterid") is { Length: > 0 } named ? named : settings.ClusterId;
        var (ns, account) = (caller.Identity.Namespace, caller.Identity.ServiceAccount);
        if (clientOf(cluster) is not { } client) throw Refuse(caller, $"cluster '{cluster}' is unknown here");
        if (!isKnown(cluster))
            throw new GrpcException(GrpcCode.Unavailable,
                $"the Pods of cluster '{cluster}' are not known yet: try again later, or send the service account token, too");
        if (!HasWorkload(new(cluster, ns, account)))
            throw Refuse(caller, $"cluster '{cluster}' has no Pod and no WorkloadEntry of ServiceAccount {ns}/{account}");
        if (!await ExistsAsync(client, ns, account, stop)) throw Refuse(caller, $"cluster '{cluster}' has no ServiceAccount {ns}/{account}");
    }

    private bool HasWorkload(AccountKey account) => mesh.Workloads.Items.Values.Any(workload => workload.Account == account);

    /// <summary>Without an answer, or without permission, its workloads must do.</summary>
    private async Task<bool> ExistsAsync(KubeClient client, string ns, string account, CancellationToken stop)
    {
        using var patience = new CancellationTokenSource(Patience, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(patience.Token, stop);
        try
        {
            return await client.FindAsync(Kinds.ServiceAccount, ns, account, either.Token) is not null;
        }
        catch (Exception e) when (e is KubeException or HttpRequestException or IOException
            || (e is OperationCanceledException && !stop.IsCancellationRequested))
        {
            return true;
        }
    }

    private GrpcException Refuse(Caller caller, string why)
    {
        Refused(log, caller.Identity.ToString(), why);
        return new(GrpcCode.PermissionDenied, $"no certificate for {caller.Identity}: {why} (a service account token proves it, too)");
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "No certificate for {Identity}, which has one and no token: {Why}")]
    private static partial void Refused(ILogger log, string identity, string why);
}
