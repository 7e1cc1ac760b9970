using Isthmus.Core.Problems;

namespace Isthmus.Graph.Settings;

/// <summary>What a control plane does for the Gateway API (Istio: PILOT_ENABLE_GATEWAY_API and the variables that begin with it).</summary>
/// <param name="Reads">It reads the kinds of the API.</param>
/// <param name="WritesStatus">It writes the statuses of their objects.</param>
/// <param name="Deploys">It deploys the Gateways of its classes.</param>
/// <param name="MakesClasses">It creates its classes.</param>
public sealed record GatewayApiSettings(bool Reads, bool WritesStatus, bool Deploys, bool MakesClasses)
{
    private const string Enable = "PILOT_ENABLE_GATEWAY_API", Alpha = "PILOT_ENABLE_ALPHA_GATEWAY_API", Class = "PILOT_GATEWAY_API_DEFAULT_GATEWAYCLASS_NAME",
        Controller = "PILOT_GATEWAY_API_CONTROLLER_NAME";

    /// <summary>Everything.</summary>
    public static readonly GatewayApiSettings Default = new(true, true, true, true);

    /// <param name="environment">The variables.</param>
    /// <param name="flag">Reads one as true or false; null if it is not set.</param>
    /// <exception cref="ProblemException">A variable asks for what a control plane does not do.</exception>
    internal static GatewayApiSettings Read(Func<string, string?> environment, Func<string, bool?> flag)
    {
        if (flag($"{Enable}_COPY_LABELS_ANNOTATIONS") == false)
            throw new ProblemException($"{Enable}_COPY_LABELS_ANNOTATIONS",
                "false is not supported: what is made for a Gateway without spec.infrastructure has the Gateway's labels and annotations",
                "set spec.infrastructure of the Gateways, and leave the variable out");
        if (flag(Alpha) == false && environment(Alpha) is { } text)
            throw new ProblemException(Alpha, $"'{text}' is not supported: control planes read TCPRoutes, TLSRoutes and UDPRoutes like the other kinds",
                "name the kinds in PILOT_IGNORE_RESOURCES, and leave the variable out");
        Only(environment, Class, "istio");
        Only(environment, Controller, Mesh.Model.GatewayApi.GatewayClasses.Controller);
        var reads = flag(Enable) ?? true;
        return new(reads, reads && (flag($"{Enable}_STATUS") ?? true), reads && (flag($"{Enable}_DEPLOYMENT_CONTROLLER") ?? true),
            reads && (flag($"{Enable}_GATEWAYCLASS_CONTROLLER") ?? true));
    }

    private static void Only(Func<string, string?> environment, string name, string supported)
    {
        if (environment(name) is { Length: > 0 } other && other != supported)
            throw new ProblemException(name, $"'{other}' is not supported: the name is {supported}", $"leave it out, or write {supported}");
    }
}
