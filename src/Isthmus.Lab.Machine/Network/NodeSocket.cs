
namespace Isthmus.Lab.Machine.Network;

/// <summary>The Unix socket on which a node serves its API server.</summary>
public static class NodeSocket
{
    /// <summary>The name of its file in the cluster's directory.</summary>
    public const string FileName = "node.sock";

    /// <summary>The upgrade protocol of a raw byte tunnel to a port of a Pod.</summary>
    public const string Tunnel = "isthmus-tunnel";
}
