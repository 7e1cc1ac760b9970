using System.Text.Json.Nodes;
using Isthmus.Core.Collections;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Diagnose;

/// <summary>One east-west gateway Service.</summary>
/// <param name="OnNodes">Its entry is the nodes' addresses and a NodePort.</param>
public sealed record GatewayFacts(string Name, string Network, ValueList<string> Addresses, int ReadyEndpoints, bool HasPort, bool OnNodes = false);

/// <summary>One line of a control plane's <c>/debug/clusterz</c>.</summary>
/// <param name="Warning">What will fail unless someone acts.</param>
/// <param name="Source">The source of its served state.</param>
public sealed record WatchedCluster(string Id, string Secret, string Status, string Message, string Warning = "", string Source = "")
{
    /// <summary>The status for people: one that was synced stays so for its control plane while it goes on with what it remembers.</summary>
    public string Shown => Status == "synced" && Source == "memory" ? "unreachable" : Status;

    public static WatchedCluster Read(JsonObject line) => new(
        line["id"]?.ToString() ?? "", line["secretName"]?.ToString() ?? "", line["syncStatus"]?.ToString() ?? "", line["message"]?.ToString() ?? "", line["warning"]?.ToString() ?? "", line["source"]?.ToString() ?? "");
}

/// <summary>A Service with an address outside by which proxies elsewhere may reach a control plane.</summary>
/// <param name="Opens">A Gateway opens the port on it.</param>
public sealed record ControlPlaneEntry(string Name, ValueList<string> Addresses, int ReadyEndpoints, bool Opens);

/// <summary>A control plane that runs here and serves another cluster.</summary>
/// <param name="Cluster">The cluster that it serves, as it calls it.</param>
/// <param name="Pods">By name, and whether they are ready.</param>
public sealed record HostedControlPlane(string Namespace, string Cluster, ValueMap<bool> Pods)
{
    public ValueList<Problem> Problems { get; init; }

    public ValueList<RemoteSecretFacts> RemoteSecrets { get; init; }
}

/// <summary>The facts of one cluster about its part in a mesh: read once, judged by <see cref="MeshVerification"/>.</summary>
/// <param name="Context">The context of the kubeconfig it was read through.</param>
/// <param name="Error">Why its API server could not be read; empty when it could. Otherwise nothing below is known.</param>
/// <param name="Name">What its control plane calls it.</param>
/// <param name="HasIstio">The system namespace exists.</param>
/// <param name="ControlPlanes">Control plane Pods by name, and whether they are ready.</param>
/// <param name="NetworkLabel">The label of the system namespace; empty when it has none.</param>
/// <param name="Root">What proxies are configured to trust; unknown when it does not exist yet.</param>
/// <param name="UntrustedWebhooks">Injection webhooks without a CA bundle, or with another CA's.</param>
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
    /// <summary>Problems that the control planes report: rejected objects, and hosts that clusters define differently.</summary>
    public ValueList<Problem> Problems { get; init; }

    /// <summary>Where proxies here find a control plane that runs elsewhere; empty when it runs here, or is not set.</summary>
    public ValueList<string> ControlPlaneAt { get; init; }

    /// <summary>Where its own control plane is or, if it has none, where it finds one.</summary>
    public string SystemNamespace { get; init; } = WellKnown.SystemNamespace;

    /// <summary>Control planes that run here for other clusters.</summary>
    public ValueList<HostedControlPlane> Hosted { get; init; }

    /// <summary>Others call its services by names of the zone <c>global</c>, through a gateway that passes those on.</summary>
    public bool IsJoinedByNames { get; init; }

    /// <summary>Ways by which proxies of other clusters reach control planes here.</summary>
    public ValueList<ControlPlaneEntry> ControlPlaneEntries { get; init; }

    /// <summary>The API server's address, as this kubeconfig has it.</summary>
    public string Server { get; init; } = "";

    /// <summary>Names of the control planes that the system namespace's annotation hands the cluster to.</summary>
    public ValueList<string> ControlPlaneClusters { get; init; }

    public ValueList<RemoteSecretFacts> RemoteSecrets { get; init; }

    /// <summary>Address ranges of the Pods, one for each node.</summary>
    public ValueList<string> PodRanges { get; init; }

    /// <summary>The networks that gateway proxies were started with.</summary>
    public ValueList<string> ProxyNetworks { get; init; }
}
