using System.Text.Json.Nodes;
using Isthmus.Core.Collections;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;

namespace Isthmus.Lab.Controllers.Network;

/// <summary>The kinds by which people configure MetalLB, so that the manifests they have are accepted.</summary>
internal static class MetalLbKinds
{
    internal const string Namespace = "metallb-system";
    private const string Group = "metallb.io";

    internal static readonly ResourceKind Pool = new(Group, "v1beta1", "IPAddressPool", "ipaddresspools", true);

    internal static AddressPool ReadPool(JsonObject pool)
    {
        var spec = pool["spec"];
        var ranges = (spec?["addresses"] as JsonArray ?? []).Select(text => AddressRange.Parse((string?)text ?? "")).OfType<AddressRange>();
        return new((string?)pool["metadata"]?["name"] ?? "", ranges.ToValueList(), (bool?)spec?["autoAssign"] ?? true, (bool?)spec?["avoidBuggyIPs"] ?? false);
    }

    /// <summary>Makes the namespace and the definitions, once the API server answers.</summary>
    internal static async Task EnsureAsync(KubeClient client, CancellationToken stop)
    {
        await client.ApplyAsync(Kinds.Namespace, new JsonObject { ["apiVersion"] = "v1", ["kind"] = "Namespace", ["metadata"] = new JsonObject { ["name"] = Namespace } }, stop);
        await client.ApplyAsync(Kinds.CustomResourceDefinition, Definition("IPAddressPool", "ipaddresspools", PoolSpec(), ["addresses"]), stop);
        await client.ApplyAsync(Kinds.CustomResourceDefinition, Definition("L2Advertisement", "l2advertisements", AdvertisementSpec(), []), stop);
    }

    private static JsonObject PoolSpec() => new()
    {
        ["addresses"] = new JsonObject
        {
            ["type"] = "array", ["items"] = new JsonObject { ["type"] = "string" },
            ["description"] = "Ranges of addresses: a CIDR or FIRST-LAST, both included.",
        },
        ["autoAssign"] = new JsonObject { ["type"] = "boolean", ["default"] = true, ["description"] = "Whether Services that name no pool get addresses of this one." },
        ["avoidBuggyIPs"] = new JsonObject { ["type"] = "boolean", ["default"] = false, ["description"] = "Leaves out addresses that end in 0 or 255." },
        ["serviceAllocation"] = new JsonObject { ["type"] = "object", ["x-kubernetes-preserve-unknown-fields"] = true },
    };

    private static JsonObject AdvertisementSpec()
    {
        static JsonObject Strings() => new() { ["type"] = "array", ["items"] = new JsonObject { ["type"] = "string" } };
        static JsonObject Selectors() => new() { ["type"] = "array", ["items"] = new JsonObject { ["type"] = "object", ["x-kubernetes-preserve-unknown-fields"] = true } };
        return new() { ["ipAddressPools"] = Strings(), ["interfaces"] = Strings(), ["ipAddressPoolSelectors"] = Selectors(), ["nodeSelectors"] = Selectors() };
    }

    private static JsonObject Definition(string kind, string plural, JsonObject spec, string[] required)
    {
        var schema = new JsonObject { ["type"] = "object", ["properties"] = spec };
        if (required.Length > 0) schema["required"] = new JsonArray([.. required.Select(name => (JsonNode)name)]);
        return new()
        {
            ["apiVersion"] = "apiextensions.k8s.io/v1", ["kind"] = "CustomResourceDefinition", ["metadata"] = new JsonObject { ["name"] = $"{plural}.{Group}" },
            ["spec"] = new JsonObject
            {
                ["group"] = Group, ["scope"] = "Namespaced",
                ["names"] = new JsonObject { ["kind"] = kind, ["listKind"] = kind + "List", ["plural"] = plural, ["singular"] = kind.ToLowerInvariant() },
                ["versions"] = new JsonArray(new JsonObject
                {
                    ["name"] = "v1beta1", ["served"] = true, ["storage"] = true,
                    ["schema"] = new JsonObject
                    {
                        ["openAPIV3Schema"] = new JsonObject
                        {
                            ["type"] = "object",
                            ["properties"] = new JsonObject
                            {
                                ["apiVersion"] = new JsonObject { ["type"] = "string" }, ["kind"] = new JsonObject { ["type"] = "string" },
                                ["metadata"] = new JsonObject { ["type"] = "object" }, ["spec"] = schema, ["status"] = new JsonObject { ["type"] = "object" },
                            },
                        },
                    },
                    ["subresources"] = new JsonObject { ["status"] = new JsonObject() },
                }),
            },
        };
    }
}
