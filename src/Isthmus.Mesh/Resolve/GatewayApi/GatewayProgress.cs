using Isthmus.Mesh.Model;
using Isthmus.Mesh.Model.GatewayApi;

namespace Isthmus.Mesh.Resolve.GatewayApi;

/// <summary>What is known of the Service of a Gateway.</summary>
/// <param name="Service">Null: it does not exist.</param>
/// <param name="IsReady">Whether a Pod behind it is.</param>
/// <param name="Trouble">Why the Gateway is not deployed as it asks; null: it is.</param>
public sealed record GatewayPlace(ClusterService? Service, bool IsReady, GatewayTrouble? Trouble);

/// <summary>Whether a Gateway is served, and at which addresses: the rest of its status. Pure.</summary>
public static class GatewayProgress
{
    private const string Accepted = "Accepted", Programmed = "Programmed";

    /// <param name="status">What follows from the Gateway's listeners and references.</param>
    /// <param name="gateway">The Gateway.</param>
    /// <param name="controller">The one of ours that serves it.</param>
    /// <param name="place">What is known of its Service.</param>
    public static GatewayStatus Complete(GatewayStatus status, ApiGateway gateway, string controller, GatewayPlace place)
    {
        var refusal = Refusal(gateway, place);
        var assigned = AssignedAddresses.Of(gateway, controller, place);
        var programmed = refusal is not null ? new(Programmed, false, "Invalid", refusal.Message) : Progress(gateway, controller, place, assigned);
        // What the listeners say weighs more than what the Service says.
        var own = status.Conditions.FirstOrDefault(condition => condition.Type == Programmed);
        if (own is { Status: false }) programmed = own;
        return status with
        {
            Conditions =
            [
                .. status.Conditions.Where(condition => condition.Type != Programmed && (refusal is null || condition.Type != Accepted)),
                .. refusal is not null ? (ApiCondition[])[refusal] : assigned.Condition is { } assignment ? [assignment] : [],
                programmed,
            ],
            Addresses = assigned.Found,
        };
    }

    private static ApiCondition? Refusal(ApiGateway gateway, GatewayPlace place)
    {
        if (place.Trouble is { IsRefused: true } trouble) return new(Accepted, false, trouble.Reason, trouble.Message);
        if (gateway.Addresses.FirstOrDefault(address => address.Type is not ("IPAddress" or "Hostname")) is { } unknown)
            return new(Accepted, false, "UnsupportedAddress", $"addresses of type {unknown.Type} are not supported: use IPAddress or Hostname");
        if (gateway.Addresses.Count > 1 && gateway.Addresses.Any(address => address is { Type: "Hostname", Value.Length: > 0 }))
            return new(Accepted, false, "UnsupportedAddress", "a Gateway with a Hostname among its addresses can have no other one: remove the others");
        return null;
    }

    private static ApiCondition Progress(ApiGateway gateway, string controller, GatewayPlace place, AssignedAddresses assigned)
    {
        if (controller == GatewayClasses.Unmanaged)
            return gateway.Addresses.Any(address => address.Value.Length > 0)
                ? Served("The gateway runs elsewhere")
                : Missing("AddressNotAssigned", "a Gateway of this class needs the addresses of what serves it: set spec.addresses");
        if (place.Trouble is { } trouble) return Missing(trouble.Reason, trouble.Message);
        var bound = GatewayNaming.BoundService(gateway);
        if (bound is { } other && other.Namespace != gateway.Namespace)
            return Missing("AddressNotUsable",
                $"\"{gateway.Addresses[0].Value}\" is no Service of namespace {gateway.Namespace}: a Gateway can be bound to Services of its own namespace "
                    + $"only");
        if (place.Service is not { } service)
            return bound is { } missing
                ? Missing("AddressNotUsable", $"Service {missing.Namespace}/{missing.Name} does not exist")
                : Missing("Pending", "the Service is not created yet");
        if (bound is not null && gateway.Listeners.FirstOrDefault(listener => service.Ports.All(port => port.Number != listener.Port)) is { } closed)
            return Missing("AddressNotUsable", $"Service {service.Namespace}/{service.Name} has no port {closed.Port} (listener {closed.Name})");
        // Whoever asks for a routability gets what there is of several addresses.
        if (assigned.Missing.FirstOrDefault(address => address is { Type: "IPAddress", Value.Length: > 0, Routability: "" }) is { } refused)
            return Missing("AddressNotUsable", $"Service {service.Namespace}/{service.Name} did not get the address {refused.Value}");
        if (assigned.Condition is { Status: false } none && assigned.Found.IsEmpty) return Missing(GatewayTrouble.NoAddress, none.Message);
        return place.IsReady
            ? Served($"Service {service.Namespace}/{service.Name} serves the listeners")
            : Missing("Pending", $"no Pod behind Service {service.Namespace}/{service.Name} is ready");

        static ApiCondition Served(string message) => new(Programmed, true, Programmed, message);
        static ApiCondition Missing(string reason, string message) => new(Programmed, false, reason, message);
    }
}
