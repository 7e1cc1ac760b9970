namespace Isthmus.Mesh.Model.GatewayApi;

/// <summary>The controllers that classes of Gateways name.</summary>
public static class GatewayControllers
{
    /// <summary>Deploys Gateways, and serves those that are deployed already.</summary>
    public const string Gateway = "istio.io/gateway-controller";

    /// <summary>Stands for Gateways of another mesh or cluster: they have an address, and no listener here.</summary>
    public const string Remote = "istio.io/unmanaged-gateway";

    /// <summary>Gateways between the networks of a mesh.</summary>
    public const string EastWest = "istio.io/eastwest-controller";

    /// <summary>The controller of a class that has no object.</summary>
    /// <returns>Null for a class of somebody else.</returns>
    public static string? OfClass(string name) => name switch
    {
        "istio" => Gateway,
        "istio-remote" => Remote,
        "istio-east-west" => EastWest,
        _ => null,
    };

    /// <summary>Whether listeners of the controller's Gateways are served.</summary>
    public static bool Serves(string? controller) => controller is Gateway or EastWest;

    /// <summary>The controllers of this mesh.</summary>
    public static bool IsOurs(string? controller) => controller is Gateway or Remote or EastWest;
}
