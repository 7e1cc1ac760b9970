using Isthmus.Core.Collections;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Mesh.Model;
using Isthmus.Operate.Inventory;
using Isthmus.Reports;

namespace Isthmus.Operate.Diagnose;

/// <summary>A Deployment whose Pods the API server refuses to create.</summary>
/// <param name="Deployment">As <c>namespace/name</c>.</param>
public sealed record RefusedDeployment(string Deployment, string Why, string Remedy);

/// <summary>One east-west gateway Service.</summary>
/// <param name="OnNodes">You reach it at the nodes' addresses and a NodePort.</param>
public sealed record GatewayFacts(string Name, string Network, ValueList<string> Addresses, int ReadyEndpoints, bool HasPort, bool OnNodes = false)
{
    /// <summary>The port of mesh traffic.</summary>
    public int Port { get; init; } = Ports.EastWest;

    /// <summary>Those of its addresses that only spec.externalIPs say.</summary>
    public ValueList<string> Given { get; init; } = [];

    /// <summary>The type of the Service.</summary>
    public string Type { get; init; } = "LoadBalancer";

    /// <summary>The Service's selector, where it matches no Pod at all; empty otherwise.</summary>
    public string SelectsNothing { get; init; } = "";

    /// <summary>The Deployment of its Pods, as <c>namespace/name</c>, if that is scaled to 0; empty otherwise.</summary>
    public string ScaledToZero { get; init; } = "";

    /// <summary>Why the Pods of its Deployment are refused; null: they are not.</summary>
    public RefusedDeployment? Refused { get; init; }

    /// <summary>A Pod of it that is a workload with a sidecar, not a gateway; empty: none, or nobody knows.</summary>
    public string Workload { get; init; } = "";

    /// <summary>A Pod of an application that its Service selects beside its gateways. Null if there is none, or if that is not known.</summary>
    public Problem? Stranger { get; init; }

    /// <summary>A Pod of it that gets the endpoints of other networks, too; empty: none, or nobody knows.</summary>
    public string SeesAllNetworks { get; init; } = "";

    /// <summary>The Service leads to other Pods than those that pass calls on. Null if it does not, or if that is not known.</summary>
    public StraySelector? Astray { get; init; }
}

/// <summary>The selector of a gateway's Service that selects Pods which no Gateway with AUTO_PASSTHROUGH selects, while others are meant.</summary>
/// <param name="Selector">As it is.</param>
/// <param name="Pod">A Pod that it selects.</param>
/// <param name="Gateway">A Gateway that passes calls on, as <c>namespace/name</c>.</param>
/// <param name="Serving">A Pod of that Gateway.</param>
/// <param name="Wanted">The selector of that Gateway, labels of its Pods.</param>
public sealed record StraySelector(string Selector, string Pod, string Gateway, string Serving, ValueMap<string> Wanted);

/// <summary>A part of a cluster's facts that the user may not read. The rest is read all the same.</summary>
/// <param name="Part">One of the names below; Pods and Deployments of gateways are followed by a namespace.</param>
/// <param name="Why">What the API server says.</param>
public sealed record WithheldFacts(string Part, string Why)
{
    public const string Webhooks = "injection webhooks", Reports = "reports of control planes", Ranges = "ranges of Pods",
        Gateways = "Gateways of the Gateway API", GatewayPods = "Pods of gateways", GatewayDeployments = "Deployments of gateways";
}

/// <summary>A connection from a proxy of one cluster to the gateway of another.</summary>
/// <param name="From">The context of the cluster that it was tried from.</param>
/// <param name="Proxy">The Pod that was asked; empty when none could be.</param>
/// <param name="Error">Why it failed, or why it is not known; empty when it was made.</param>
/// <param name="IsKnown">Whether a proxy could be asked.</param>
public sealed record GatewayReach(string From, string Proxy, string To, string Gateway, string Address, string Error, bool IsKnown)
{
    /// <summary>Whether someone wrote the address into spec.externalIPs of the Service; otherwise, a load balancer gave it.</summary>
    public bool IsGiven { get; init; }

    /// <summary>What is wrong with the selector of the gateway's Service; null for others.</summary>
    public StraySelector? Astray { get; init; }
}

/// <summary>The DNS of a cluster.</summary>
public sealed record DnsFacts(string Service, int ReadyEndpoints);

/// <summary>One line of a control plane's <c>/debug/clusterz</c>.</summary>
/// <param name="Warning">What will fail unless someone acts.</param>
/// <param name="Source">The source of the state that it serves.</param>
public sealed record WatchedCluster(string Id, string Secret, string Status, string Message, string Warning = "", string Source = "")
{
    /// <summary>The UID of the Namespace kube-system of the cluster to which its credentials lead; empty when the control plane does not say.</summary>
    public string Uid { get; init; } = "";

    /// <summary>The status as shown to people. A cluster that was synced keeps that status while the control plane serves
    /// its last known state.</summary>
    public string Shown => Status == "synced" && Source == "memory" ? "unreachable" : Status;

    /// <summary>Whether its credentials are in a file of the control plane's Pod (<c>PILOT_MULTICLUSTER_KUBECONFIG_PATH</c>), which then reads no remote
    /// secrets.</summary>
    public bool IsInFile => Secret.StartsWith('/');

    /// <summary>What holds its credentials, as problems name it.</summary>
    public string Place => IsInFile ? $"File {Secret}" : $"Secret {Secret}";

    /// <summary>Whether its API server does not take its token.</summary>
    public bool IsRefused => Message.Contains("rejects the token", StringComparison.Ordinal);

    /// <summary>Whether it warns of the end of its credentials.</summary>
    public bool IsExpiring => Warning.StartsWith("its credentials", StringComparison.Ordinal);

    /// <summary>The command that makes a remote secret.</summary>
    /// <param name="of">The context of the cluster that it is of; null: not known, and the reader is told to write it.</param>
    /// <param name="to">The context of the cluster whose control plane reads it.</param>
    /// <param name="ns">The namespace of that control plane.</param>
    /// <param name="more">More options, after a space.</param>
    public static string Create(string? of, string name, string to, string ns, string more = "") =>
        $"isthmus create-remote-secret --context={of ?? "CONTEXT"} --name={name}{(ns == WellKnown.SystemNamespace ? "" : $" --namespace={ns}")}{more} | "
            + $"kubectl apply -f - --context={to}{(of is null ? $"; CONTEXT is the context of cluster {name}" : "")}";

    /// <summary>How to renew its credentials.</summary>
    /// <param name="of">The context of the cluster that is watched; null: not known.</param>
    /// <param name="to">The context of the cluster whose control plane watches it.</param>
    /// <param name="ns">The namespace of that control plane.</param>
    public string Renewal(string? of, string to, string ns)
    {
        if (IsInFile) return "mount a kubeconfig that works in its place: the control plane follows changes of the file";
        if (AccountWithoutRights() is not var (at, name)) return Create(of, Id, to, ns, IsRefused || IsExpiring ? " --rotate" : "");
        // All control planes that watch the cluster share the account: it must stay, and its tokens.
        return (at, name) == (ns, WellKnown.ReaderServiceAccount) ? Create(of, Id, to, ns, " --restore-permissions")
            : $"give ServiceAccount {at}/{name} of {of ?? $"cluster {Id}"} the permission, which a new token would not have either";
    }

    /// <summary>The account of its credentials, where the API server says what that may not do; a new token would not help.</summary>
    private (string Namespace, string Name)? AccountWithoutRights()
    {
        const string account = "User \"system:serviceaccount:";
        var at = Message.IndexOf(account, StringComparison.Ordinal);
        return at >= 0 && Message.Contains(" cannot ", StringComparison.Ordinal)
            && Message[(at + account.Length)..].Split('"')[0].Split(':') is [var ns, var name] ? (ns, name) : null;
    }

    /// <summary>How to let a control plane watch one more cluster, where a new Secret is made by <paramref name="command"/>.</summary>
    /// <param name="others">Those that it watches.</param>
    public static string Beginning(IEnumerable<WatchedCluster> others, string command) => others.FirstOrDefault(other => other.IsInFile) is { } file
        ? $"mount a kubeconfig of it beside {file.Secret}: this control plane reads files (PILOT_MULTICLUSTER_KUBECONFIG_PATH), and no remote secrets"
        : command;

    public static WatchedCluster Read(WatchedReport line) =>
        new(line.Id ?? "", line.SecretName ?? "", line.SyncStatus ?? "", line.Message ?? "", line.Warning ?? "", line.Source ?? "") { Uid = line.Uid ?? "" };
}

/// <summary>A Service with an external address through which proxies in other clusters may reach a control plane.</summary>
/// <param name="Opens">Whether a Gateway opens the port on it.</param>
public sealed record ControlPlaneEntry(string Name, ValueList<string> Addresses, int ReadyEndpoints, bool Opens);

/// <summary>A control plane that runs here and serves another cluster.</summary>
/// <param name="Cluster">The cluster that it serves, by the name that the control plane uses.</param>
/// <param name="Pods">Whether each Pod is ready, by name.</param>
public sealed record HostedControlPlane(string Namespace, string Cluster, ValueMap<bool> Pods)
{
    public ValueList<Problem> Problems { get; init; }

    public ValueList<RemoteSecretFacts> RemoteSecrets { get; init; }

    /// <summary>Its Deployment, if that asks for no Pods; empty otherwise.</summary>
    public string ScaledToZero { get; init; } = "";

    /// <summary>Those of its Pods that are not ready.</summary>
    public ValueList<UnreadyControlPlane> Unready { get; init; }
}

/// <summary>What one cluster contributes to a mesh: read once, then judged by <see cref="MeshVerification"/>.</summary>
/// <param name="Context">The kubeconfig context that it was read through.</param>
/// <param name="Error">Why its API server could not be read; empty when it could. With an error, nothing below is
/// known.</param>
/// <param name="Name">The name that its control plane uses for it.</param>
/// <param name="HasIstio">Whether the system namespace exists.</param>
/// <param name="ControlPlanes">Whether each control plane Pod is ready, by name.</param>
/// <param name="NetworkLabel">The label of the system namespace; empty when it has none.</param>
/// <param name="Root">The root that its proxies are configured to trust; unknown when it does not exist yet.</param>
/// <param name="UntrustedWebhooks">Injection webhooks without a CA bundle, or with the bundle of another CA.</param>
public sealed record ClusterFacts(
    string Context,
    string Error,
    string Name = "",
    bool HasIstio = false,
    ValueMap<bool> ControlPlanes = default,
    string NetworkLabel = "",
    string MeshId = "",
    string TrustDomain = "",
    Root Root = default,
    ValueList<GatewayFacts> Gateways = default,
    bool ExposesServices = false,
    ValueList<WatchedCluster> Watched = default,
    ValueList<string> UntrustedWebhooks = default)
{
    /// <summary>Why API servers refuse what webhooks here serve, by configuration, as handshakes show; empty for those that they accept. Others were not
    /// proven.</summary>
    public ValueMap<string> Handshakes { get; init; }

    /// <summary>The status with which the API server refused: 401, 403 …; 0 when it did not.</summary>
    public int ErrorStatus { get; init; }

    /// <summary>What the user may not read: nothing is known of it.</summary>
    public ValueList<WithheldFacts> Withheld { get; init; }

    public bool Withholds(string part) => Withheld.Any(withheld => withheld.Part == part);

    /// <summary>The Pods of its own control plane that are not ready.</summary>
    public ValueList<UnreadyControlPlane> Unready { get; init; }

    /// <summary>Namespaces that ask for sidecars, where no webhook injects any; null where one does.</summary>
    public ValueList<string>? Uninjected { get; init; }

    /// <summary>The gateways of networks that meshNetworks of its control plane name, by network, as addresses or names of Services.</summary>
    public ValueMap<string> GivenGateways { get; init; }

    /// <summary>Other trust domains whose identities its proxies accept as those of its own.</summary>
    public ValueList<string> TrustDomainAliases { get; init; }

    /// <summary>The MeshConfig of its own control plane; null when none was read.</summary>
    public MeshConfig? Mesh { get; init; }

    /// <summary>The ConfigMap by which no mutual TLS is automatic; empty where it is.</summary>
    public string WithoutAutoMtls { get; init; } = "";

    /// <summary>Whether its proxies accept identities of another cluster.</summary>
    public bool Takes(ClusterFacts other) => other.TrustDomain == TrustDomain || TrustDomainAliases.Contains(other.TrustDomain);

    /// <summary>What comes nearest to a server that exposes its services; null for nothing.</summary>
    public NearServer? NearlyExposing { get; init; }

    /// <summary>Whether a control plane here tells which clusters it watches.</summary>
    public bool TellsWatched { get; init; } = true;

    /// <summary>Why the first attempt to read its API server failed; empty when it succeeded.</summary>
    public string FirstError { get; init; } = "";

    /// <summary>Problems that the control planes report: rejected objects, and hosts that clusters define
    /// differently.</summary>
    public ValueList<Problem> Problems { get; init; }

    /// <summary>Addresses at which proxies here find a control plane that runs elsewhere; empty when it runs here or is not
    /// set.</summary>
    public ValueList<string> ControlPlaneAt { get; init; }

    /// <summary>Where its own control plane runs or, if it has none, where it finds one.</summary>
    public string SystemNamespace { get; init; } = WellKnown.SystemNamespace;

    /// <summary>The Deployment of its own control plane, if that asks for no Pods; empty otherwise.</summary>
    public string ScaledToZero { get; init; } = "";

    /// <summary>Control planes that run here for other clusters.</summary>
    public ValueList<HostedControlPlane> Hosted { get; init; }

    /// <summary>Whether others call its services by names in the zone <c>global</c>, through a gateway that routes such
    /// calls.</summary>
    public bool IsJoinedByNames { get; init; }

    /// <summary>Entry points through which proxies of other clusters reach control planes here.</summary>
    public ValueList<ControlPlaneEntry> ControlPlaneEntries { get; init; }

    /// <summary>The UID of the Namespace kube-system, by which clusters are told apart; empty when it is not known.</summary>
    public string Uid { get; init; } = "";

    /// <summary>The API server's address in this kubeconfig.</summary>
    public string Server { get; init; } = "";

    /// <summary>Names of the control planes that the system namespace's annotation assigns the cluster to.</summary>
    public ValueList<string> ControlPlaneClusters { get; init; }

    public ValueList<RemoteSecretFacts> RemoteSecrets { get; init; }

    /// <summary>Remote secrets that its control planes do not read for lack of a label.</summary>
    public ValueList<UnlabelledSecret> UnlabelledSecrets { get; init; }

    /// <summary>Pod address ranges, one per node.</summary>
    public ValueList<string> PodRanges { get; init; }

    /// <summary>The image in which its proxies or control planes run; empty when it is not that of this program.</summary>
    public string ProgramImage { get; init; } = "";

    /// <summary>The revision that injects Pods, <c>default</c> for the default one.</summary>
    public string Revision { get; init; } = "default";

    /// <summary>A ready Pod of the system namespace with a proxy; empty when there is none.</summary>
    public string ProxyPod { get; init; } = "";

    /// <summary>Null when its DNS is not the usual one (a Service with label <c>k8s-app=kube-dns</c>).</summary>
    public DnsFacts? Dns { get; init; }

    /// <summary>The networks that gateway proxies were started with.</summary>
    public ValueList<string> ProxyNetworks { get; init; }
}
