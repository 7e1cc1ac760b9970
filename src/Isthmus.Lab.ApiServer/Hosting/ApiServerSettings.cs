namespace Isthmus.Lab.ApiServer.Hosting;

/// <summary>The settings of one API server. Directory contains pki/, state.db and node.sock.</summary>
/// <param name="Cluster">Name of the cluster.</param>
/// <param name="Address">IPv4 address of this server that others use.</param>
public sealed record ApiServerSettings(string Cluster, string Directory, string Address)
{
    public int Port { get; init; } = 6443;

    public string ServiceRange { get; init; } = "10.96.0.0/16";

    public string PodRange { get; init; } = "10.244.0.0/16";

    public string Issuer { get; init; } = "https://kubernetes.default.svc.cluster.local";

    /// <summary>A write is on disk before it is acknowledged, not only safe from a crash of this process.</summary>
    public bool SurvivePowerLoss { get; init; }

    /// <summary>The path of the socket that leads to the machine's loopback; empty if this process runs on the machine itself.</summary>
    public string MachineSocket { get; init; } = "";

    /// <summary>Without TLS: for tests on a loopback address only.</summary>
    public bool PlainHttp { get; init; }

    /// <summary>Endpoints may have loopback addresses: only for a host of Pods without a network of their own. No flag of the program sets it, since the
    /// endpoints of a lab's user would then be this machine's own servers.</summary>
    public bool LoopbackEndpoints { get; init; }
}
