
namespace Isthmus.Lab.Machine.Network;

/// <summary>The paths of network namespaces. They are in a file system of the supervisor's mount namespace, so nothing of
/// them is visible on the machine, and <c>ip netns</c> inside the lab shows them by these names.</summary>
public static class NamespacePaths
{
    public const string Directory = "/run/netns";

    /// <summary>The namespace whose bridge is the outer network.</summary>
    public static string Switch => $"{Directory}/switch";

    /// <summary>A node's namespace. Cluster names have no dot, so the names of Pods and nodes never collide.</summary>
    public static string Node(string cluster) => $"{Directory}/node.{cluster}";

    /// <summary>A Pod's namespace, which outlives the node's process.</summary>
    public static string Pod(string cluster, string podUid) => $"{Directory}/{PodPrefix(cluster)}{podUid}";

    /// <summary>The prefix of the file names of a cluster's Pod namespaces.</summary>
    public static string PodPrefix(string cluster) => $"pod.{cluster}.";
}
