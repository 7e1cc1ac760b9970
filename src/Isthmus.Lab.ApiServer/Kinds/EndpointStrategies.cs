using System.Net.Sockets;
using System.Text.Json.Nodes;
using Isthmus.Lab.ApiServer.Registry;
using Isthmus.Lab.ApiServer.Validation;
using Isthmus.Lab.ApiServer.Values;

namespace Isthmus.Lab.ApiServer.Kinds;

/// <summary>Endpoints of a Service in the old form.</summary>
/// <param name="loopback">Addresses may be loopback addresses.</param>
internal sealed class EndpointsStrategy(bool loopback) : ObjectStrategy
{
    public override bool CreateOnUpdate => true;

    public override void Default(JsonObject o)
    {
        foreach (var subset in Json.Objects(o["subsets"]))
            foreach (var port in Json.Objects(subset["ports"])) port.Default("protocol", "TCP");
    }

    public override IEnumerable<FieldError> Validate(JsonObject o, WriteContext context)
    {
        var i = 0;
        foreach (var subset in Json.Objects(o["subsets"]))
        {
            var at = $"subsets[{i++}]";
            if (!Json.Objects(subset["addresses"]).Any() && !Json.Objects(subset["notReadyAddresses"]).Any())
                yield return FieldError.Required(at, "must specify `addresses` or `notReadyAddresses`");
            foreach (var list in (string[])["addresses", "notReadyAddresses"])
            {
                var n = 0;
                foreach (var address in Json.Objects(subset[list]))
                    foreach (var error in Check.SharedIp($"{at}.{list}[{n++}].ip", address["ip"], loopback)) yield return error;
            }
            var ports = Json.Objects(subset["ports"]).ToList();
            for (var n = 0; n < ports.Count; n++)
            {
                if (ports.Count > 1 && Json.Text(ports[n]["name"]).Length == 0) yield return FieldError.Required($"{at}.ports[{n}].name");
                foreach (var error in Check.Port($"{at}.ports[{n}].port", ports[n]["port"])) yield return error;
                foreach (var error in Check.OneOf($"{at}.ports[{n}].protocol", ports[n]["protocol"], "SCTP", "TCP", "UDP")) yield return error;
            }
        }
    }
}

/// <summary>EndpointSlices.</summary>
/// <param name="loopback">Addresses may be loopback addresses.</param>
internal sealed class EndpointSliceStrategy(bool loopback) : ObjectStrategy
{
    private const int MaxEndpoints = 1000;

    public override bool HasGeneration => true;

    public override void Default(JsonObject o)
    {
        foreach (var port in Json.Objects(o["ports"]))
        {
            port.Default("name", "");
            port.Default("protocol", "TCP");
        }
        foreach (var endpoint in Json.Objects(o["endpoints"])) endpoint.Default("conditions", new JsonObject());
        if (o["endpoints"] is null) o["endpoints"] = null;
        if (o["ports"] is null) o["ports"] = null;
    }

    public override IEnumerable<FieldError> Validate(JsonObject o, WriteContext context)
    {
        if (Json.Text(o["addressType"]).Length == 0) yield return FieldError.Required("addressType");
        else foreach (var error in Check.OneOf("addressType", o["addressType"], "FQDN", "IPv4", "IPv6")) yield return error;
        var endpoints = Json.Objects(o["endpoints"]).ToList();
        if (endpoints.Count > MaxEndpoints)
            yield return new("FieldValueTooMany", "endpoints", $"Too many: {endpoints.Count}: must have at most {MaxEndpoints} items");
        for (var i = 0; i < endpoints.Count; i++)
        {
            var addresses = Json.Texts(endpoints[i]["addresses"]);
            if (addresses.IsEmpty) yield return FieldError.Required($"endpoints[{i}].addresses", "must contain at least 1 address");
            for (var n = 0; n < addresses.Count; n++)
                foreach (var error in Address($"endpoints[{i}].addresses[{n}]", Json.Text(o["addressType"]), addresses[n])) yield return error;
        }
        var names = new HashSet<string>(StringComparer.Ordinal);
        var p = 0;
        foreach (var port in Json.Objects(o["ports"]))
        {
            var at = $"ports[{p++}]";
            if (!names.Add(Json.Text(port["name"]))) yield return FieldError.Duplicate($"{at}.name", Json.Text(port["name"]));
            foreach (var error in Check.OneOf($"{at}.protocol", port["protocol"], "SCTP", "TCP", "UDP")) yield return error;
            if (port["port"] is not null)
                foreach (var error in Check.Port($"{at}.port", port["port"])) yield return error;
        }
    }

    public override IEnumerable<FieldError> ValidateUpdate(JsonObject old, JsonObject next, WriteContext context) =>
        Check.Unchanged("addressType", old["addressType"], next["addressType"]);

    private IEnumerable<FieldError> Address(string field, string type, string address)
    {
        AddressFamily? family = type switch { "IPv4" => AddressFamily.InterNetwork, "IPv6" => AddressFamily.InterNetworkV6, _ => null };
        if (family is null) return [];
        return SharedAddress.Parse(address)?.AddressFamily == family
            ? Check.SharedIp(field, address, loopback)
            : [FieldError.Invalid(field, address, $"must be a valid {type} address")];
    }
}
