using System.Net;
using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Operate.Inventory;
using Xunit;

namespace Isthmus.Tests.Tracing;

/// <summary>NetworkPolicies allow and drop what the API's reference says.</summary>
public sealed class NetworkPolicyTests
{
    private static readonly Dictionary<string, string> Shop = new() { ["kubernetes.io/metadata.name"] = "shop", ["team"] = "a" };

    /// <summary>The policies of namespace shop, the direction, and whether TCP port 8080 of a Pod web (app=web, port name http) from a Pod shop/buyer
    /// (app=buyer) at 10.1.0.2 is dropped.</summary>
    public static TheoryData<string, string, bool> Specs => new()
    {
        { "podSelector: {}", "Ingress", true },
        { "podSelector: {}", "Egress", false }, // without egress rules, it is about ingress
        { "{podSelector: {}, egress: [{}]}", "Ingress", true },
        { "{podSelector: {}, egress: [{}]}", "Egress", false },
        { "{podSelector: {}, policyTypes: [Egress]}", "Egress", true },
        { "{podSelector: {}, policyTypes: [Egress]}", "Ingress", false },
        { "{podSelector: {}, ingress: [{}]}", "Ingress", false },
        { "{podSelector: {matchLabels: {app: other}}}", "Ingress", false },
        { "{podSelector: {matchExpressions: [{key: app, operator: In, values: [web]}]}}", "Ingress", true },
        { "{podSelector: {}, ingress: [{from: [{podSelector: {matchLabels: {app: buyer}}}]}]}", "Ingress", false },
        { "{podSelector: {}, ingress: [{from: [{podSelector: {matchLabels: {app: thief}}}]}]}", "Ingress", true },
        { "{podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {team: a}}}]}]}", "Ingress", false },
        { "{podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {team: b}}}]}]}", "Ingress", true },
        { "{podSelector: {}, ingress: [{from: [{namespaceSelector: {}}]}]}", "Ingress", false },
        // both
        { "{podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {team: a}}, podSelector: {matchLabels: {app: thief}}}]}]}", "Ingress", true },
        // either
        {
            "{podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {team: a}}}, {podSelector: {matchLabels: {app: thief}}}]}]}", "Ingress",
            false
        },
        { "{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 10.1.0.0/24}}]}]}", "Ingress", false },
        { "{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 10.1.0.0/24, except: [10.1.0.2/32]}}]}]}", "Ingress", true },
        { "{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 10.2.0.0/16}}]}]}", "Ingress", true },
        { "{podSelector: {}, ingress: [{ports: [{port: 8080}]}]}", "Ingress", false },
        { "{podSelector: {}, ingress: [{ports: [{port: 80}]}]}", "Ingress", true },
        { "{podSelector: {}, ingress: [{ports: [{port: 8000, endPort: 8100}]}]}", "Ingress", false },
        { "{podSelector: {}, ingress: [{ports: [{port: 8081, endPort: 8100}]}]}", "Ingress", true },
        { "{podSelector: {}, ingress: [{ports: [{port: http}]}]}", "Ingress", false },
        { "{podSelector: {}, ingress: [{ports: [{port: metrics}]}]}", "Ingress", true },
        { "{podSelector: {}, ingress: [{ports: [{protocol: UDP}]}]}", "Ingress", true },
        { "{podSelector: {}, ingress: [{ports: [{protocol: TCP}]}]}", "Ingress", false },
        // the port is part of the rule
        { "{podSelector: {}, ingress: [{from: [{podSelector: {matchLabels: {app: buyer}}}], ports: [{port: 80}]}]}", "Ingress", true },
        { "{podSelector: {}, policyTypes: [Egress], egress: [{to: [{podSelector: {matchLabels: {app: buyer}}}], ports: [{port: http}]}]}", "Egress", false },
        { "{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: nonsense}}]}]}", "Ingress", true },
    };

    [Theory]
    [MemberData(nameof(Specs))]
    public void A_connection_is_dropped_when_policies_select_the_Pod_and_none_allows_it(string spec, string direction, bool drops)
    {
        var web = Pod("web", "8080", "http");
        var dropping = NetworkPolicy.Dropping([Policy("shop", "one", spec)], web, Enum.Parse<PacketDirection>(direction),
            new(IPAddress.Parse("10.1.0.2"), Pod("buyer", "1", "x"), Shop), 8080, web);
        Assert.Equal(drops ? ["one"] : [], dropping.Select(policy => policy.Name));
    }

    [Fact]
    public void One_policy_that_allows_is_enough_and_those_of_other_namespaces_do_not_count()
    {
        var (web, buyer) = (Pod("web", "8080", "http"), new PacketEnd(IPAddress.Parse("10.1.0.2"), Pod("buyer", "1", "x"), Shop));
        var closed = Policy("shop", "closed", "podSelector: {}");
        Assert.Equal(["closed", "other"],
            NetworkPolicy.Dropping([closed, Policy("shop", "other", "{podSelector: {}, ingress: [{ports: [{port: 1}]}]}")], web, PacketDirection.Ingress, buyer,
                8080, web)
                .Select(policy => policy.Name));
        Assert.Empty(NetworkPolicy.Dropping([closed, Policy("shop", "open", "{podSelector: {}, ingress: [{}]}")], web, PacketDirection.Ingress, buyer, 8080,
            web));
        Assert.Empty(NetworkPolicy.Dropping([Policy("bank", "closed", "podSelector: {}")], web, PacketDirection.Ingress, buyer, 8080, web));
    }

    /// <summary>A Pod of another cluster is an address, and of a client outside not even the address is known.</summary>
    [Fact]
    public void Ends_outside_the_cluster_match_by_address_only()
    {
        var web = Pod("web", "8080", "http");
        IReadOnlyList<NetworkPolicy> From(string peer, string? address) =>
            NetworkPolicy.Dropping([Policy("shop", "one", $"{{podSelector: {{}}, ingress: [{{from: [{peer}]}}]}}")], web, PacketDirection.Ingress,
                new(address is null ? null : IPAddress.Parse(address), null, Shop), 8080, web);
        Assert.Single(From("{podSelector: {}}", "10.1.0.2"));
        Assert.Single(From("{namespaceSelector: {}}", null));
        Assert.Empty(From("{ipBlock: {cidr: 10.1.0.0/16}}", "10.1.0.2"));
        Assert.Empty(From("{ipBlock: {cidr: 10.1.0.0/16}}", null));
    }

    [Fact]
    public void Packets_of_Pods_in_the_network_of_the_node_are_the_node_s()
    {
        var node = Pod("web", "8080", "http", "hostNetwork: true, ");
        Assert.Empty(NetworkPolicy.Dropping([Policy("shop", "one", "podSelector: {}")], node, PacketDirection.Ingress, new(null, null, Shop), 8080, node));
    }

    private static NetworkPolicy Policy(string ns, string name, string spec) =>
        NetworkPolicy.Read(YamlText.Parse($"metadata: {{name: {name}, namespace: {ns}}}\nspec:\n  {spec}\n", "test")!.AsObject());

    private static Pod Pod(string name, string port, string portName, string more = "") =>
        YamlText.Parse(
            $"{{metadata: {{name: {name}, namespace: shop, labels: {{app: {name}}}}}, spec: {{{more}containers: [{{name: main, ports: [{{name: {portName}, "
                + $"containerPort: {port}}}]}}]}}}}",
            "test")!.Deserialize(KubeJson.Of<Pod>())!;
}
