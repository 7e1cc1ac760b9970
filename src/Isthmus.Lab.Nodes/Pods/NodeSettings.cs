using System.Net;
using Isthmus.Images.Description;
using Isthmus.Kubernetes.Objects;
using Isthmus.Lab.Nodes.Containers;
using Isthmus.Core.Collections;
using Isthmus.Core.Net;

namespace Isthmus.Lab.Nodes.Pods;

/// <summary>The settings of a node, given at start.</summary>
/// <param name="Cluster">Name of the cluster.</param>
/// <param name="NodeName">Pods with this <c>spec.nodeName</c> are ours.</param>
/// <param name="Address">The node's address, which Pods see as their host's.</param>
/// <param name="State">The directory for everything that must outlive the process: records, volumes, logs.</param>
/// <param name="Build">The directory of this build, or the file of the native program, visible in containers of our own images.</param>
/// <param name="Dotnet">The root of the .NET runtime, visible in the same containers.</param>
/// <param name="PodRange">The node's part of the cluster's Pod addresses.</param>
/// <param name="DnsAddress">The cluster's DNS server.</param>
/// <param name="Hidden">Directories that no container may see.</param>
internal sealed record NodeSettings(
    string Cluster, string NodeName, IPAddress Address, string State, string Build, string Dotnet, Cidr PodRange, IPAddress DnsAddress,
    ValueList<string> Hidden)
{
    /// <summary>What <c>Build</c> is for the program that runs here.</summary>
    internal static string OwnBuild => ProgramLayout.IsNative ? Environment.ProcessPath! : AppContext.BaseDirectory.TrimEnd('/');

    /// <summary>A program of Envoy, which containers of our own images see where images built with one have it; empty for none.</summary>
    public string Envoy { get; init; } = "";

    /// <summary>The domain of the cluster's Services.</summary>
    public string Domain { get; init; } = "cluster.local";

    /// <summary>How long a terminating Pod waits, at most, until no Service sends traffic to it any more.</summary>
    public TimeSpan EndpointsLeave { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>How long it then waits for rules and proxies, which follow the API within this time.</summary>
    public TimeSpan EndpointsSettle { get; init; } = TimeSpan.FromMilliseconds(300);

    internal string PodDirectory(string uid) => Path.Combine(State, "pods", uid);

    internal string PodDirectories => Path.Combine(State, "pods");

    /// <summary>The directories behind persistent volumes, by the volume's name.</summary>
    internal string ClaimDirectories => Path.Combine(State, "claims");

    internal string LogDirectories => Path.Combine(State, "logs");

    /// <summary>Named as kubelets name them: <c>namespace_name_uid</c>.</summary>
    internal string LogDirectory(string ns, string name, string uid) => Path.Combine(LogDirectories, $"{ns}_{name}_{uid}");

    internal ContainerFiles ContainerFiles(Pod pod, string container) => new(
        Path.Combine(PodDirectory(pod.Metadata.Uid), "containers", container),
        Path.Combine(LogDirectory(pod.Metadata.Namespace, pod.Metadata.Name, pod.Metadata.Uid), container));

    /// <summary>The mount point of containers' roots. Each container's thread sees only its own mount there.</summary>
    internal string RootDirectory => Path.Combine(State, "root");

    /// <summary>Scripts that give our binary other names inside containers.</summary>
    internal string NamesDirectory => Path.Combine(State, "names");
}
