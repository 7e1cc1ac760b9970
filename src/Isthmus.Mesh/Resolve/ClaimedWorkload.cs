using Isthmus.Core.Collections;
using Isthmus.Core.Problems;
using Isthmus.Mesh.Model;

namespace Isthmus.Mesh.Resolve;

/// <summary>
/// The workload that a proxy says it belongs to, held against what the cluster says: labels, node and type are those of the Pod, or of the
/// WorkloadEntry, of the account that the proxy has proven. A sidecar without either keeps what it says of itself, which concerns only itself;
/// a gateway does not, because labels decide whose Gateways it serves.
/// </summary>
/// <param name="Workload">Null: it is not known, or not the proxy's.</param>
/// <param name="Denial">Why a gateway cannot be one; empty: it can.</param>
public sealed record ClaimedWorkload(Workload? Workload, ValueMap<string> Labels, string Denial)
{
    public const string Code = "ISM1036";

    /// <summary>The proxy has proven to be this workload.</summary>
    public bool IsProven { get; init; }

    public static ClaimedWorkload Of(ProxyIdentity proxy, MeshReads mesh)
    {
        var named = mesh.Workload(Workload.KeyOfPod(new(proxy.Cluster, proxy.Namespace, proxy.Name)));
        var (workload, denial) = proxy.Proof is { } proof ? Hold(proxy, proof, named, mesh) : (named, "it has not proven who it is");
        return proxy.Kind == ProxyKind.Router && denial.Length > 0
            ? new(null, default, denial)
            : new(workload, workload?.Labels ?? proxy.Labels, "") { IsProven = proxy.Proof is not null && workload is not null };
    }

    /// <summary>Why a gateway gets nothing; null: it can be one.</summary>
    public Problem? ProblemOf(ProxyIdentity proxy) => Denial.Length == 0 ? null : new(
        Code, $"proxy {proxy.Id}", "", $"says that it is a gateway in cluster '{proxy.Cluster}', but {Denial}: it gets no configuration and no certificates",
        "run it in a Pod with a token of the Pod's own ServiceAccount and the cluster's ID, or on a machine with a WorkloadEntry that names its ServiceAccount "
            + "and address");

    private static (Workload? Workload, string Denial) Hold(ProxyIdentity proxy, ProxyProof proof, Workload? named, MeshReads mesh)
    {
        if (proof.Account.Cluster != proxy.Cluster || proof.Account.Namespace != proxy.Namespace)
            return (null,
                proof.Account.Cluster.Length == 0
                    ? "its certificate does not say of which cluster it is"
                    : $"its token is of cluster '{proof.Account.Cluster}'");
        if (proof.Pod.Length > 0 && proof.Pod != proxy.Name) return (null, $"its token is bound to Pod {proof.Account.Namespace}/{proof.Pod}");
        if (named is null)
        {
            // A token that is bound to a Pod is of no machine.
            var machine = proof.Pod.Length > 0 ? null : MachineOf(proxy, mesh.MachinesOf(proof.Account));
            return (machine,
                machine is null ? $"neither Pod {proxy.Namespace}/{proxy.Name} nor a WorkloadEntry of ServiceAccount {proof.Account} is known" : "");
        }
        if (named.ServiceAccount != proof.Account.Name)
            return (null,
                $"Pod {proxy.Namespace}/{proxy.Name} runs as ServiceAccount {proxy.Namespace}/{named.ServiceAccount}, and its credential is of "
                    + $"{proof.Account}");
        return (named, named.Runs is { } kind && kind != proxy.Kind ? $"Pod {proxy.Namespace}/{proxy.Name} runs a sidecar" : "");
    }

    private static Workload? MachineOf(ProxyIdentity proxy, ValueList<Workload> machines)
    {
        return machines.FirstOrDefault(machine => machine.Addresses.Any(address => proxy.Addresses.Contains(address)))
            ?? machines.FirstOrDefault(machine => machine.Name == proxy.Name)
            // Machines behind the gateway of their network have no address of their own.
            ?? (machines.Count == 1 ? machines[0] : null);
    }
}
