namespace Isthmus.Mesh.Resolve;

/// <summary>Pods whose own label names the network of other clusters, which is rarely meant: their address does not lead there.</summary>
public static class NetworkOfOthers
{
    /// <summary>The clusters in whose network a Pod is said to be, and its own is not; empty for a Pod with a label that may be right.</summary>
    /// <param name="said">The network that the label of the Pod names; empty without a label.</param>
    /// <param name="own">The network of the Pod's cluster; empty where none is known.</param>
    /// <param name="led">Networks that gateways of the Pod's cluster lead to, or that <c>meshNetworks</c> of the MeshConfig define.</param>
    /// <param name="others">The network of each other cluster.</param>
    public static IReadOnlyList<string> Clusters(string said, string own, IEnumerable<string> led, IEnumerable<(string Cluster, string Network)> others) =>
        said.Length == 0 || own.Length == 0 || said == own || led.Contains(said) ? []
            : [.. others.Where(other => other.Network == said).Select(other => other.Cluster)];

    /// <summary>What helps: a template may have the label, and otherwise the injector has given it, from the settings of the installation.</summary>
    /// <param name="context">The cluster.</param>
    /// <param name="own">Its network.</param>
    /// <param name="template">What the Pod is made from; empty where nobody knows.</param>
    /// <param name="isWritten">Whether the template has the label.</param>
    public static string Remedy(string context, string own, string template, bool isWritten)
    {
        var install = $"set values.global.network to {own} in the installation of {context} (isthmus install --context={context} -f FILE), and restart the "
            + "workload";
        return template.Length == 0 ? $"remove the label from what the Pod is made from; or, where that does not have it, {install}"
            : isWritten ? $"remove the label from the template of {template}: the network of the cluster, {own}, then applies"
            : $"the template of {template} does not have it, so the injector gave it: {install}";
    }
}
