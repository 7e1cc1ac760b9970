using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Control planes that are told to leave the Gateway API alone, where Gateways of it are to be served. Pure.</summary>
public static class GatewayApiSwitches
{
    private const int Named = 3;

    public static Analyzer Analyzer { get; } = new("controlplane.GatewayApiAnalyzer", "Checks that control planes serve the Gateways of the Gateway API",
        [GatewayApiCodes.SwitchedOff], ["Deployment"], mesh =>
        from api in mesh.GatewayApis
        let off = ControlPlaneDeployment.WithoutGatewayApi([.. api.Cluster.ControlPlanes.Select(plane => plane.Deployment)])
        where off is not null
        let gateways = api.Verdicts.Gateways.Where(gateway => api.Verdicts.ControllerOf(gateway) is not null)
            .Select(gateway => $"{gateway.Namespace}/{gateway.Name}").Order(StringComparer.Ordinal).ToList()
        where gateways.Count > 0
        let deployment = off.Value.Deployment
        select GatewayApiCodes.SwitchedOff.At(api.Cluster, $"Deployment {deployment.Key}", $"spec.template.spec.containers[*].env[{off.Value.Variable}]",
            $"is false: this control plane {off.Value.Lack}, and there {(gateways.Count > 1 ? "are Gateways" : "is Gateway")} "
                + string.Join(", ", gateways.Take(Named)) + (gateways.Count > Named ? $" and {gateways.Count - Named} more" : ""),
            $"kubectl --context={api.Cluster.Context} -n {deployment.Metadata.Namespace} set env deployment/{deployment.Metadata.Name} {off.Value.Variable}-; "
                + "and remove it from the values of the installation (pilot.env)"));
}
