using Isthmus.Lab.ApiServer.Errors;
using Isthmus.Lab.ApiServer.Hosting;
using Isthmus.Lab.ApiServer.Objects;
using Isthmus.Lab.ApiServer.Storage;
using Isthmus.Lab.ApiServer.Values;

namespace Isthmus.Lab.ApiServer.Streaming.Nodes;

/// <summary>Finds the way to a node. Kubelets report their port in the node's object; the lab's own node has a socket instead.</summary>
internal sealed class NodeLookup(ApiServerSettings settings, IObjectStore store)
{
    private readonly LabNode _own = new(settings);
    private readonly Lazy<HttpMessageInvoker> _kubelets = new(() => KubeletNode.Client(settings));

    /// <exception cref="ApiException">500: the node has no address.</exception>
    internal INode Find(string name)
    {
        var status = store.Find(Resources.Nodes, "", name)?.Parse()["status"];
        // A node that reports no port has 0 by default.
        if (Json.Whole(status.At("daemonEndpoints", "kubeletEndpoint", "Port")) is not { } port || port == 0) return _own;
        var address = Json.Objects(status?["addresses"]).Where(address => address.TextAt("type") == "InternalIP").Select(address => address.TextAt("address"))
            .FirstOrDefault()
            ?? throw ApiException.Internal($"no preferred addresses found for node \"{name}\"");
        return new KubeletNode(address.Contains(':', StringComparison.Ordinal) ? $"[{address}]:{port}" : $"{address}:{port}", _kubelets.Value);
    }
}
