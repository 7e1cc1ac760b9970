using Isthmus.Core.Collections;
using Isthmus.Core.Net;

namespace Isthmus.Mesh.Model;

/// <summary>Settings of the Kubernetes multi-cluster services API (Istio's ENABLE_MCS_* and MCS_API_*).</summary>
/// <param name="Host">Exported services have a host <c>NAME.NAMESPACE.svc.clusterset.local</c> (Istio: off by default, and
/// only together with <paramref name="Discovery"/>).</param>
/// <param name="Discovery">Endpoints are seen by other clusters only if their own cluster exports the service.</param>
/// <param name="ClusterLocal">Hosts under cluster.local are local to each cluster; clusterset.local reaches the others.</param>
/// <param name="AutoExport">Every service that is not cluster-local is exported.</param>
/// <param name="ApiVersion">Empty: whichever a cluster serves.</param>
public sealed record MultiClusterSettings(bool Host, bool Discovery, bool ClusterLocal, bool AutoExport, string ApiGroup, string ApiVersion)
{
    public static readonly MultiClusterSettings Default = new(true, false, false, false, "multicluster.x-k8s.io", "");

    public const string Domain = "clusterset.local";

    /// <param name="environment">The value of an environment variable of the control plane; null or empty: it is not set.</param>
    public static MultiClusterSettings Read(Func<string, string?> environment)
    {
        return new(Is("ENABLE_MCS_HOST", Default.Host), Is("ENABLE_MCS_SERVICE_DISCOVERY", Default.Discovery),
            Is("ENABLE_MCS_CLUSTER_LOCAL", Default.ClusterLocal), Is("ENABLE_MCS_AUTO_EXPORT", Default.AutoExport),
            Text("MCS_API_GROUP") ?? Default.ApiGroup, Text("MCS_API_VERSION") ?? Default.ApiVersion);

        string? Text(string name) => environment(name) is { Length: > 0 } value ? value : null;
        bool Is(string name, bool otherwise) => Text(name) is { } value ? value == "true" : otherwise;
    }

    /// <summary>The host of the cluster set for a Service.</summary>
    public static string HostOf(string name, string ns) => $"{name}.{ns}.svc.{Domain}";
}

/// <summary>One condition of a <see cref="ServiceExport"/>.</summary>
public readonly record struct ExportCondition(string Type, bool Status, string Reason, string Message);

/// <summary>A cluster offers its Service of this name to the others.</summary>
/// <param name="CreatedAt">Unix seconds: the oldest of conflicting exports wins.</param>
public sealed record ServiceExport(ObjectRef Source, long CreatedAt, ValueList<ExportCondition> Conditions)
{
    /// <summary>What imports get (<c>exportedLabels</c>).</summary>
    public ValueMap<string> Labels { get; init; }

    /// <summary>What imports get (<c>exportedAnnotations</c>).</summary>
    public ValueMap<string> Annotations { get; init; }

    /// <summary>Why nothing is exported: what the export says cannot be a part of an import. Empty for a valid one.</summary>
    public string Problem { get; init; } = "";
}

/// <param name="Managed">Created by the Isthmus controller, so its content comes from this mesh.</param>
public sealed record ServiceImport(ObjectRef Source, ValueList<Address> Ips, bool Managed, string Content)
{
    /// <summary>The version of the API in which it was read, which decides about its fields.</summary>
    public string Version { get; init; } = "";

    public string Uid { get; init; } = "";

    /// <summary>The names of its labels.</summary>
    public ValueList<string> Labels { get; init; }

    /// <summary>The names of its annotations.</summary>
    public ValueList<string> Annotations { get; init; }
}

/// <summary>What an import repeats of a Service, as the Service says it.</summary>
/// <param name="AffinitySeconds">Of session affinity; 0 without it.</param>
public sealed record ServiceOffer(
    ValueList<OfferedPort> Ports, string SessionAffinity, int AffinitySeconds, string InternalTrafficPolicy, string TrafficDistribution,
    ValueList<string> IpFamilies);

/// <param name="Protocol">TCP, UDP or SCTP.</param>
/// <param name="AppProtocol">Empty when there is none.</param>
public readonly record struct OfferedPort(string Name, int Number, string Protocol, string AppProtocol)
{
    public override string ToString() => $"{(Name.Length > 0 ? $"{Name}:" : "")}{Number}/{Protocol}{(AppProtocol.Length > 0 ? $" {AppProtocol}" : "")}";
}
