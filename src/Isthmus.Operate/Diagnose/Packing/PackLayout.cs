using Isthmus.Kubernetes.Objects;

namespace Isthmus.Operate.Diagnose.Packing;

/// <summary>Where things are in a pack.</summary>
internal static class PackLayout
{
    internal const string Root = "bug-report";
    internal const string Manifest = "manifest.json";

    /// <summary>Changes when an older reader cannot read the pack.</summary>
    internal const int Version = 1;

    internal const string Dump = "config_dump.json", Clusters = "clusters.json", Pod = "pod.json", Stats = "stats.txt", Error = "error.txt", Log = "log.txt",
        Previous = "previous.txt";

    /// <summary>The pages that commands ask for and a control plane does not have, because it is not of Isthmus, or older.</summary>
    internal const string Lacking = "lacking.json";

    /// <summary>The folder of a cluster. Names of contexts may have slashes.</summary>
    internal static string Cluster(string context) => $"clusters/{Uri.EscapeDataString(context)}";

    internal static string Objects(string context, ResourceKind kind) => $"{Cluster(context)}/objects/{Key(kind.Group, kind.Plural)}.json";

    /// <summary>Why kinds could not be listed, by <see cref="Key"/>.</summary>
    internal static string Unread(string context) => $"{Cluster(context)}/unread.json";

    /// <summary>Which gateways of other networks its proxies reach.</summary>
    internal static string Reach(string context) => $"{Cluster(context)}/reach.json";

    internal static string ServerVersion(string context) => $"{Cluster(context)}/version.json";

    internal static string Container(string context, string ns, string pod, string container) => $"{Cluster(context)}/pods/{ns}/{pod}/{container}";

    internal static string Key(string group, string plural) => $"{(group.Length == 0 ? "core" : group)}/{plural}";
}
