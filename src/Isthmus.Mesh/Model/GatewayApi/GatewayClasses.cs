namespace Isthmus.Mesh.Model.GatewayApi;

/// <summary>The classes of Gateways that this control plane brings, and the controllers that it is. Pure.</summary>
public static class GatewayClasses
{
    /// <summary>Deploys Gateways. Statuses of routes name it, too.</summary>
    public const string Controller = "istio.io/gateway-controller";

    /// <summary>Gateways that somebody else runs, elsewhere.</summary>
    public const string Unmanaged = "istio.io/unmanaged-gateway";

    /// <summary>Deploys gateways for calls of other clusters.</summary>
    public const string EastWest = "istio.io/eastwest-controller";

    /// <summary>The classes that exist as soon as their definition does.</summary>
    public static readonly IReadOnlyList<BuiltInClass> BuiltIn =
    [
        new("istio", Controller, "Gateways that Isthmus deploys"),
        new("istio-remote", Unmanaged, "Gateways of other clusters: addresses, and nothing else"),
        new("istio-east-west", EastWest, "Gateways that Isthmus deploys for other clusters"),
    ];

    public static bool IsOurs(string controller) => controller is Controller or Unmanaged or EastWest;

    /// <summary>Whether Gateways of the controller's classes are deployed.</summary>
    public static bool Deploys(string controller) => controller is Controller or EastWest;

    /// <summary>The controller of ours that serves a Gateway; null for none. The classes that this control plane brings need not exist yet.</summary>
    /// <param name="gateway">The Gateway.</param>
    /// <param name="known">Its class, if it exists.</param>
    public static string? ControllerOf(ApiGateway gateway, GatewayClass? known) =>
        known is not null ? (IsOurs(known.Controller) ? known.Controller : null) : BuiltIn.FirstOrDefault(built => built.Name == gateway.Class)?.Controller;
}

public sealed record BuiltInClass(string Name, string Controller, string Description);
