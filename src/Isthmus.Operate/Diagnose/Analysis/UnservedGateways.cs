using System.Text.Json.Nodes;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model.GatewayApi;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Gateways of the Gateway API that nobody serves, because of their class. Pure.</summary>
internal static class UnservedGateways
{
    private const string Field = "spec.gatewayClassName";

    /// <summary>Null where a controller serves the class, whoever's it is, or nothing is known of it.</summary>
    public static Finding? Of(JudgedGatewayApi api, ApiGateway gateway)
    {
        if (api.Verdicts.ControllerOf(gateway) is not null || !api.Cluster.Knows(MeshApi.GatewayClass.Name)) return null;
        var (name, ours) = (JudgedGatewayApi.Name(gateway.Source), GatewayClasses.BuiltIn.Select(known => known.Name).ToList());
        if (api.Cluster.Find($"{MeshApi.GatewayClass.Name} {gateway.Class}") is not { } found)
            return IstioCodes.ReferencedResourceNotFound.At(api.Cluster, name, Field,
                $"Referenced gateway class not found: \"{gateway.Class}\": nobody serves the Gateway",
                (Spelling.Nearest(gateway.Class, ours) is { } meant ? $"did you mean {meant}? Use" : "use")
                    + $" a class that exists (those of the mesh: {string.Join(", ", ours)}), or install the controller of this one");
        // API servers begin with Unknown; an object of a file has no status.
        var accepted = (found["status"]?["conditions"] as JsonArray ?? []).FirstOrDefault(condition => condition?["type"]?.ToString() == "Accepted");
        return accepted is null || accepted["status"]?.ToString() == "True" ? null
            : IstioCodes.NegativeCondition.At(api.Cluster, name, Field,
                Visible.Text($"no controller accepts GatewayClass {gateway.Class}, so nobody serves the Gateway: Accepted is {accepted["status"]} "
                    + $"({accepted["reason"]}): {accepted["message"]}"),
                Visible.Text($"install or start the controller of the class ({found["spec"]?["controllerName"]}), or use a class of the mesh: ")
                    + string.Join(", ", ours));
    }
}
