using System.Text.Json.Nodes;
using Isthmus.Core.Collections;
using Isthmus.Kubernetes.Objects;

namespace Isthmus.Lab.Controllers.Network;

/// <summary>The kinds that configure MetalLB. The API server defines them in every cluster.</summary>
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
}
