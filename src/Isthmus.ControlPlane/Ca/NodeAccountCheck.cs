using Google.Protobuf.WellKnownTypes;
using Isthmus.Core.Identity;
using Isthmus.Core.Names;
using Isthmus.Graph.Derive;
using Isthmus.Graph.Settings;
using Isthmus.Mesh.Model;
using Isthmus.Wire.Grpc;
using Isthmus.Wire.Istio;
using Microsoft.Extensions.Logging;

namespace Isthmus.ControlPlane.Ca;

/// <summary>
/// Whether a proxy that serves the workloads of its Node gets a certificate for one of them, as Istio's ztunnel does: its account is trusted
/// with that, its token is bound to a Pod, and a Pod of the other account runs on the same Node. What is not known yet is no reason to refuse
/// for good.
/// </summary>
/// <param name="isKnown">Whether the objects of a cluster have been read.</param>
/// <param name="trustDomain">That of the mesh.</param>
public sealed partial class NodeAccountCheck(MeshSources mesh, Func<string, bool> isKnown, DiscoverySettings settings, Func<string> trustDomain,
    ILogger log)
{
    /// <summary>In the metadata of a request: the SPIFFE ID to sign for, in place of the caller's own.</summary>
    private const string Key = "ImpersonatedIdentity";

    private const int LongestShown = 200;

    /// <summary>What a request asks for in place of its caller's own identity; null for nothing.</summary>
    /// <exception cref="GrpcException">It is not a text.</exception>
    internal static string? Asked(IstioCertificateRequest request)
    {
        if (request.Metadata?.Fields is not { } fields || !fields.TryGetValue(Key, out var value)) return null;
        if (value.KindCase != Value.KindOneofCase.StringValue) throw new GrpcException(GrpcCode.InvalidArgument, $"metadata {Key} is not a string");
        return value.StringValue.Length > 0 ? value.StringValue : null;
    }

    /// <summary>Istio's answer, with the reason.</summary>
    internal static GrpcException Refusal(string why) => new(GrpcCode.Unauthenticated, $"request impersonation authentication failure: {why}");

    /// <summary>The identity to sign for.</summary>
    /// <exception cref="GrpcException">The caller does not get it, or it is not known yet whether it does.</exception>
    internal SpiffeId Require(Caller caller, string asked)
    {
        var account = new NodeAccount(caller.Identity.Namespace, caller.Identity.ServiceAccount);
        if (!settings.TrustedNodeAccounts.Contains(account))
            throw Refuse(caller, asked, $"ServiceAccount {account} is not one of CA_TRUSTED_NODE_ACCOUNTS");
        if (!SpiffeId.TryParse(asked, out var identity))
            throw Refuse(caller, asked, "it is not of the form spiffe://TRUSTDOMAIN/ns/NAMESPACE/sa/SERVICEACCOUNT");
        if (identity.TrustDomain != trustDomain()) throw Refuse(caller, asked, $"the trust domain of the mesh is {trustDomain()}");
        if (caller.Cluster is not { } cluster || caller.Pod.Length == 0)
            throw Refuse(caller, asked, "only a token that is bound to a Pod shows on which Node it is needed");
        var node = NodeOf(caller, cluster);
        var wanted = new AccountKey(cluster, identity.Namespace, identity.ServiceAccount);
        return mesh.Workloads.Items.Values.Any(pod => pod.Node == node && pod.IsPod && !pod.HasEnded && pod.Account == wanted) ? identity
            : throw Refuse(caller, asked, $"no Pod of ServiceAccount {wanted} runs on Node {node} of cluster '{cluster}'");
    }

    private string NodeOf(Caller caller, string cluster)
    {
        var name = $"{caller.Identity.Namespace}/{caller.Pod}";
        if (!isKnown(cluster)) throw Later($"the Pods of cluster '{cluster}' are not known yet");
        // The API server has just confirmed that the Pod exists: what is known here is older.
        if (mesh.Workloads.Items.GetValueOrDefault(Workload.KeyOfPod(new(cluster, caller.Identity.Namespace, caller.Pod))) is not { Node.Length: > 0 } pod
            || pod.ServiceAccount != caller.Identity.ServiceAccount)
            throw Later($"Pod {name} of cluster '{cluster}' is not known yet, or not its Node");
        if (caller.Node.Length > 0 && pod.Node != caller.Node)
            throw Later($"Pod {name} of cluster '{cluster}' is known on Node {pod.Node}, and its token is of Node {caller.Node}");
        return pod.Node;
    }

    private static GrpcException Later(string why) => new(GrpcCode.Unavailable, $"{why}: try again later");

    private GrpcException Refuse(Caller caller, string asked, string why)
    {
        // It may be any text.
        Refused(log, string.Concat(asked.Take(LongestShown).Select(each => char.IsControl(each) ? ' ' : each)), caller.Identity, why);
        return Refusal(why);
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "No certificate for {Asked}, which {Caller} asks for: {Why}")]
    private static partial void Refused(ILogger log, string asked, SpiffeId caller, string why);
}
