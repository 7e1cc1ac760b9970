namespace Isthmus.Proxy.Traffic;

/// <summary>How the time of a drain is divided.</summary>
internal static class DrainTimes
{
    /// <summary>
    /// A client that has called so recently may be about to call again, on the same connection. It is told to leave with the response to that, because a
    /// connection that ends meanwhile would take its request with it.
    /// </summary>
    public static readonly TimeSpan LastCall = TimeSpan.FromSeconds(1);

    private static readonly TimeSpan GatewayLeave = TimeSpan.FromSeconds(2), LastRequests = TimeSpan.FromSeconds(3);

    /// <summary>
    /// How long a gateway still accepts connections. Its clients learn that it is leaving through its cluster's API server and their own control planes. Load
    /// balancers outside of the cluster may take longer: for them, users lengthen the drain.
    /// </summary>
    public static TimeSpan Accepting(TimeSpan longest)
    {
        var (usual, most) = (longest / 2 < GatewayLeave ? longest / 2 : GatewayLeave, longest - LastRequests);
        return usual > most ? usual : most;
    }
}
