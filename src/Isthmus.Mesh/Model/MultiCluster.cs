using Isthmus.Core.Collections;

namespace Isthmus.Mesh.Model;

/// <summary>Settings of the Kubernetes multi-cluster services API (Istio's ENABLE_MCS_* and MCS_API_*).</summary>
/// <param name="Host">Exported services have a host <c>NAME.NAMESPACE.svc.clusterset.local</c> (Istio: off by default, and
/// only together with <paramref name="Discovery"/>).</param>
/// <param name="Discovery">Endpoints are seen by other clusters only if their own cluster exports the service.</param>
/// <param name="ClusterLocal">Hosts under cluster.local are local to each cluster; clusterset.local reaches the others.</param>
/// <param name="AutoExport">Every service that is not cluster-local is exported.</param>
public sealed record MultiClusterSettings(bool Host, bool Discovery, bool ClusterLocal, bool AutoExport, string ApiGroup, string ApiVersion)
{
    public static readonly MultiClusterSettings Default = new(true, false, false, false, "multicluster.x-k8s.io", "v1alpha1");

    public const string Domain = "clusterset.local";

    /// <summary>The host of the cluster set for a Service.</summary>
    public static string HostOf(string name, string ns) => $"{name}.{ns}.svc.{Domain}";
}

/// <summary>One condition of a <see cref="ServiceExport"/>.</summary>
public readonly record struct ExportCondition(string Type, bool Status, string Reason, string Message);

/// <summary>A cluster offers its Service of this name to the others.</summary>
/// <param name="CreatedAt">Unix seconds: the oldest of conflicting exports wins.</param>
public sealed record ServiceExport(ObjectRef Source, long CreatedAt, ValueList<ExportCondition> Conditions);

/// <param name="Managed">Created by the Isthmus controller, so its content comes from this mesh.</param>
public sealed record ServiceImport(ObjectRef Source, ValueList<string> Ips, bool Managed, string Content);
