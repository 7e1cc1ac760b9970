using System.Text.Json.Nodes;
using static Isthmus.Mesh.Config.SchemaRule;

namespace Isthmus.Mesh.Config;

/// <summary>Rules of single kinds of networking.istio.io and security.istio.io.</summary>
internal static class KindRules
{
    public static readonly SchemaRule RangesAreKnown = new(
        "!has(self.addresses) || !self.addresses.exists(address, address.contains('/')) || !has(self.resolution) || self.resolution in ['NONE', 'STATIC']",
        "ranges of addresses need the resolution NONE or STATIC",
        value => !Items(value, "addresses").Any(address => Text(address).Contains('/', StringComparison.Ordinal))
            || Text(Member(value, "resolution")) is "" or "NONE" or "STATIC");

    public static readonly SchemaRule NoneHasNoEndpoints = new(
        "!has(self.endpoints) || (has(self.resolution) && self.resolution != 'NONE')", "endpoints need a resolution other than NONE",
        value => Member(value, "endpoints") is null || Text(Member(value, "resolution")) is not ("" or "NONE"));

    public static readonly SchemaRule OneHostToResolve = new(
        "!has(self.resolution) || self.resolution != 'DNS_ROUND_ROBIN' || !has(self.endpoints) || self.endpoints.size() <= 1",
        "DNS_ROUND_ROBIN allows one endpoint",
        value => Text(Member(value, "resolution")) != "DNS_ROUND_ROBIN" || Items(value, "endpoints").Count <= 1);

    public static readonly SchemaRule WaypointMatch = new(
        "(has(self.context) && self.context == 'WAYPOINT') == has(self.waypoint)", "waypoint goes with the context WAYPOINT",
        value => Text(Member(value, "context")) == "WAYPOINT" == Member(value, "waypoint") is not null);

    public static readonly SchemaRule AccountsAlone = new(
        "!(has(self.serviceAccounts) || has(self.notServiceAccounts)) || "
            + "!(has(self.principals) || has(self.notPrincipals) || has(self.namespaces) || has(self.notNamespaces))",
        "serviceAccounts and notServiceAccounts cannot be set with principals or namespaces",
        value => !HasAny(value, "serviceAccounts", "notServiceAccounts") || !HasAny(value, "principals", "notPrincipals", "namespaces", "notNamespaces"));

    public static readonly SchemaRule PortsNeedSelector = new(
        "!has(self.portLevelMtls) || (has(self.selector) && has(self.selector.matchLabels) && self.selector.matchLabels.size() > 0)",
        "portLevelMtls needs a selector",
        value => Member(value, "portLevelMtls") is null || Member(Member(value, "selector"), "matchLabels") is JsonObject { Count: > 0 });

    public static readonly SchemaRule UpsertHasValue = new(
        "!has(self.operation) || self.operation != 'UPSERT' || (has(self.value) && self.value != '')", "UPSERT needs a value",
        value => Text(Member(value, "operation")) != "UPSERT" || Text(Member(value, "value")).Length > 0);

    public static readonly SchemaRule RemoveHasNone = new(
        "!has(self.operation) || self.operation != 'REMOVE' || !has(self.value)", "REMOVE has no value",
        value => Text(Member(value, "operation")) != "REMOVE" || Member(value, "value") is null);

    public static readonly SchemaRule WasmOrLua = new(
        "has(self.wasm) != has(self.lua)", "one of wasm and lua must be set", value => Member(value, "wasm") is null != Member(value, "lua") is null);

    public static readonly SchemaRule ValueOrHost = new(
        "!has(self.valueFrom) || self.valueFrom != 'HOST' || !has(self.value)", "with valueFrom HOST, there is no value",
        value => Text(Member(value, "valueFrom")) != "HOST" || Member(value, "value") is null);

    private static bool HasAny(JsonNode value, params ReadOnlySpan<string> fields)
    {
        foreach (var field in fields)
            if (Member(value, field) is not null) return true;
        return false;
    }

    private static JsonArray Items(JsonNode value, string field) => Member(value, field) as JsonArray ?? [];
}
