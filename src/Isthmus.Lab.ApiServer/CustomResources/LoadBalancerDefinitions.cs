using System.Text.Json.Nodes;
using Isthmus.Lab.ApiServer.Values;

namespace Isthmus.Lab.ApiServer.CustomResources;

/// <summary>
/// The definitions by which load-balancer addresses are configured: MetalLB's <c>IPAddressPool</c> and <c>L2Advertisement</c> (v1beta1).
/// </summary>
internal static class LoadBalancerDefinitions
{
    public const string Group = "metallb.io";
    public const string Namespace = "metallb-system";

    public static IEnumerable<JsonObject> All()
    {
        yield return Definition("IPAddressPool", "ipaddresspools", PoolSpec(),
        [
            Column("Auto Assign", "boolean", ".spec.autoAssign"),
            Column("Avoid Buggy IPs", "boolean", ".spec.avoidBuggyIPs"),
            Column("Addresses", "string", ".spec.addresses"),
        ], "spec");
        yield return Definition("L2Advertisement", "l2advertisements", AdvertisementSpec(),
        [
            Column("IPAddressPools", "string", ".spec.ipAddressPools"),
            Column("IPAddressPool Selectors", "string", ".spec.ipAddressPoolSelectors"),
            Column("Interfaces", "string", ".spec.interfaces"),
        ]);
    }

    private static JsonObject PoolSpec() => Object(
        "What addresses the pool holds and how they are given.",
        new()
        {
            ["addresses"] = List(Text("A range such as 192.0.2.0/24 or 192.0.2.1-192.0.2.9.")),
            ["autoAssign"] = new JsonObject { ["type"] = "boolean", ["default"] = true },
            ["avoidBuggyIPs"] = new JsonObject { ["type"] = "boolean", ["default"] = false },
            ["serviceAllocation"] = Object(
                "Which Services may take addresses from this pool.",
                new()
                {
                    ["priority"] = new JsonObject { ["type"] = "integer" },
                    ["namespaces"] = List(Text("")),
                    ["namespaceSelectors"] = List(Selector()),
                    ["serviceSelectors"] = List(Selector()),
                }),
        },
        "addresses");

    private static JsonObject AdvertisementSpec() => Object(
        "Which pools are announced on the local network, by which nodes and interfaces.",
        new()
        {
            ["ipAddressPools"] = List(Text("")),
            ["ipAddressPoolSelectors"] = List(Selector()),
            ["nodeSelectors"] = List(Selector()),
            ["interfaces"] = List(Text("")),
        });

    private static JsonObject Definition(string kind, string plural, JsonObject spec, JsonObject[] columns, params string[] required)
    {
        var schema = Object("", new()
        {
            ["apiVersion"] = Text(""),
            ["kind"] = Text(""),
            ["metadata"] = new JsonObject { ["type"] = "object" },
            ["spec"] = spec,
            ["status"] = new JsonObject { ["type"] = "object", ["x-kubernetes-preserve-unknown-fields"] = true },
        }, required);
        var version = new JsonObject
        {
            ["name"] = "v1beta1",
            ["served"] = true,
            ["storage"] = true,
            ["schema"] = new JsonObject { ["openAPIV3Schema"] = schema },
            ["subresources"] = new JsonObject { ["status"] = new JsonObject() },
            ["additionalPrinterColumns"] = new JsonArray(columns),
        };
        return new()
        {
            ["metadata"] = new JsonObject { ["name"] = $"{plural}.{Group}" },
            ["spec"] = new JsonObject
            {
                ["group"] = Group,
                ["names"] = new JsonObject { ["kind"] = kind, ["listKind"] = kind + "List", ["plural"] = plural, ["singular"] = kind.ToLowerInvariant() },
                ["scope"] = "Namespaced",
                ["versions"] = new JsonArray(version),
            },
        };
    }

    private static JsonObject Object(string description, JsonObject properties, params string[] required)
    {
        var schema = new JsonObject { ["type"] = "object", ["properties"] = properties };
        if (description.Length > 0) schema["description"] = description;
        if (required.Length > 0) schema["required"] = Json.Array(required);
        return schema;
    }

    private static JsonObject Text(string description) =>
        description.Length == 0 ? new() { ["type"] = "string" } : new() { ["type"] = "string", ["description"] = description };

    private static JsonObject List(JsonObject items) => new() { ["type"] = "array", ["items"] = items };

    private static JsonObject Selector() => Object("", new()
    {
        ["matchLabels"] = new JsonObject { ["type"] = "object", ["additionalProperties"] = Text("") },
        ["matchExpressions"] = List(Object("", new()
        {
            ["key"] = Text(""),
            ["operator"] = Text(""),
            ["values"] = List(Text("")),
        }, "key", "operator")),
    });

    private static JsonObject Column(string name, string type, string path) => new() { ["name"] = name, ["type"] = type, ["jsonPath"] = path };
}
