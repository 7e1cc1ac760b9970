namespace Isthmus.Mesh.Model.GatewayApi;

/// <summary>From where an address of a Gateway can be reached.</summary>
public static class Routabilities
{
    /// <summary>From within the cluster: an address of a Service (ClusterIP).</summary>
    public const string Cluster = "Cluster";

    /// <summary>From outside the cluster, too.</summary>
    public const string External = "External";

    /// <summary>Names that the API keeps for tests: any address, and the status repeats the name.</summary>
    private static readonly string[] Repeated = ["testing.x-k8s.io/sentinel", "testing.gateway.networking.k8s.io/sentinel"];

    /// <summary>Whether an address may be what is asked for.</summary>
    /// <param name="asked">Empty: any.</param>
    /// <param name="isInside">Whether it is of the cluster.</param>
    public static bool Fits(string asked, bool isInside) => asked switch
    {
        "" => true,
        Cluster => isInside,
        External => !isInside,
        _ => Repeated.Contains(asked),
    };

    public static bool IsKnown(string asked) => asked is "" or Cluster or External || Repeated.Contains(asked);
}
