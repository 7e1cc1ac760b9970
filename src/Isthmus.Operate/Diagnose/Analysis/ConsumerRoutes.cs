namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Routes of the Gateway API for a Service of another namespace: they are for callers of their own namespace. Pure.</summary>
public static class ConsumerRoutes
{
    public static Analyzer Analyzer
    {
        get;
    } = new("gatewayapi.ConsumerRouteAnalyzer", "Names routes of the Gateway API that apply to callers of one namespace only", [OwnCodes.RouteOfConsumers], [],
        mesh =>
        from api in mesh.GatewayApis
        from attached in api.Verdicts.Routes
        from parent in attached.Route.Parents.Index()
        where parent.Item is { Group: "", Kind: "Service" } && parent.Item.Namespace != attached.Route.Namespace
        select OwnCodes.RouteOfConsumers.At(api.Cluster, JudgedGatewayApi.Name(attached.Route.Source), $"spec.parentRefs[{parent.Index}].namespace",
            $"is {parent.Item.Namespace}, and the route is in {attached.Route.Namespace}: it applies to callers in {attached.Route.Namespace} only",
            $"if it is for all callers of {parent.Item.Name}: create it in namespace {parent.Item.Namespace}"));
}
