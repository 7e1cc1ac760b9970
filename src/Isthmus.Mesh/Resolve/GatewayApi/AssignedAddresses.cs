using System.Net;
using Isthmus.Core.Collections;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Model.GatewayApi;

namespace Isthmus.Mesh.Resolve.GatewayApi;

/// <summary>The addresses of a Gateway: one for each that it asks for, or all of its Service. Pure.</summary>
/// <param name="Found">What clients may call.</param>
/// <param name="Missing">What it asks for, and does not have.</param>
/// <param name="Condition">What is said of it; null: it is not known yet.</param>
public sealed record AssignedAddresses(ValueList<ApiAddress> Found, ValueList<ApiAddress> Missing, ApiCondition? Condition)
{
    private const string Assigned = "AddressesAssigned", AddressType = "networking.istio.io/address-type";

    private static readonly AssignedAddresses Unknown = new(default, default, null);

    public static AssignedAddresses Of(ApiGateway gateway, string controller, GatewayPlace place)
    {
        if (controller == GatewayClasses.Unmanaged)
        {
            var given = gateway.Addresses.Where(address => address.Value.Length > 0).ToValueList();
            return new(given, default, given.IsEmpty ? None("the Gateway names no address") : All);
        }
        if (place.Trouble is { Reason: GatewayTrouble.NoAddress } trouble) return new(default, gateway.Addresses, None(trouble.Message));
        if (place.Service is not { } service) return Unknown;
        var bound = GatewayNaming.BoundService(gateway);
        if (bound is { } other && other.Namespace != gateway.Namespace) return Unknown;
        var addresses = Offered(gateway, controller, service);
        if (bound is null && !gateway.Addresses.IsEmpty) return Match(gateway.Addresses, service, addresses);
        return new(addresses, default, addresses.IsEmpty ? None(NoneYet(service)) : All);
    }

    /// <summary>Each address is for one request: those that name one come first.</summary>
    private static AssignedAddresses Match(ValueList<ApiAddress> asked, ClusterService service, ValueList<ApiAddress> offered)
    {
        var own = service.ClusterIps.Select(address => Inside("IPAddress", address.ToString())).Append(Inside("Hostname", service.Hostname));
        var left = offered.Concat(own).Distinct().ToList();
        var (found, missing) = (new List<ApiAddress>(), new List<ApiAddress>());
        foreach (var request in asked.OrderByDescending(request => request.Value.Length > 0))
        {
            var at = left.FindIndex(address => address.Type == request.Type && (request.Value.Length == 0 || Same(address.Value, request.Value))
                && Routabilities.Fits(request.Routability, address.Routability == Routabilities.Cluster)
                // Who asks for an address of any kind does not mean one that only the cluster reaches, if a load balancer is to give one.
                && (request.Routability == Routabilities.Cluster || !service.IsLoadBalancer || address.Routability != Routabilities.Cluster));
            if (at < 0)
            {
                missing.Add(request);
                continue;
            }
            found.Add(request.Routability.Length == 0 ? left[at] : left[at] with { Routability = request.Routability });
            left.RemoveAt(at);
        }
        return new(found.ToValueList(), missing.ToValueList(), missing.Count == 0 ? All
            : found.Count > 0 ? new(Assigned, false, "PartiallyAssigned", $"The Gateway did not get {TextOf(missing)}")
            : None(service is { IsLoadBalancer: true, ExternalAddresses.IsEmpty: true } && missing.All(request => Routabilities.IsKnown(request.Routability))
                ? NoneYet(service) : $"The Gateway did not get {TextOf(missing)}"));
    }

    /// <summary>What the Service of a Gateway has for those that ask for nothing.</summary>
    private static ValueList<ApiAddress> Offered(ApiGateway gateway, string controller, ClusterService service)
    {
        if (!service.ExternalAddresses.IsEmpty || service.IsLoadBalancer)
            return service.ExternalAddresses.Select(address => new ApiAddress(address.Ip is null ? "Hostname" : "IPAddress", address.ToString())).ToValueList();
        var (ips, host) = (service.ClusterIps.Select(address => Inside("IPAddress", address.ToString())), Inside("Hostname", service.Hostname));
        return gateway.Annotations.GetValueOrDefault(AddressType) switch
        {
            "IPAddress" => ips.ToValueList(),
            // Other clusters may know one or the other.
            not "Hostname" when controller == GatewayClasses.EastWest => [.. ips, host],
            _ => [host],
        };
    }

    private static ApiAddress Inside(string type, string value) => new(type, value) { Routability = Routabilities.Cluster };

    private static bool Same(string left, string right) =>
        IPAddress.TryParse(left, out var first) && IPAddress.TryParse(right, out var second) ? first.Equals(second) : left == right;

    private static ApiCondition All => new(Assigned, true, "Assigned", "The Gateway has the addresses that it asks for");

    private static ApiCondition None(string message) => new(Assigned, false, "NotAssigned", message);

    private static string NoneYet(ClusterService service) => $"Service {service.Namespace}/{service.Name} has no address of a load balancer yet";

    private static string TextOf(IEnumerable<ApiAddress> missing) => string.Join(", ", missing.Select(request =>
        (request.Value.Length > 0 ? request.Value : $"an address of type {request.Type}")
        + (request.Routability.Length == 0 ? "" : Routabilities.IsKnown(request.Routability) ? $" with the routability {request.Routability}"
            : $" with the routability {request.Routability}, which is not known: ask for {Routabilities.Cluster}, or leave it out")));
}
