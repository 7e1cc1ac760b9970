
namespace Isthmus.Lab.Machine.Network;

/// <summary>Where network namespaces are kept: a file system of the supervisor's mount namespace, so nothing of it is on the machine, and <c>ip netns</c> inside the lab knows them by these names.</summary>
public static class NamespacePaths
{
    public const string Directory = "/run/netns";

    /// <summary>The namespace whose bridge is the outer network.</summary>
    public static string Switch => $"{Directory}/switch";

    /// <summary>A node's namespace. Cluster names have no dot, so Pods' names never meet nodes'.</summary>
    public static string Node(string cluster) => $"{Directory}/node.{cluster}";

    /// <summary>A Pod's namespace, which outlives the node's process.</summary>
    public static string Pod(string cluster, string podUid) => $"{Directory}/{PodPrefix(cluster)}{podUid}";

    /// <summary>What the file names of the Pods' namespaces of a cluster begin with.</summary>
    public static string PodPrefix(string cluster) => $"pod.{cluster}.";
}
