using System.Net;
using Isthmus.Core.Net;
using Isthmus.Lab.Machine.Network;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Lab.Network;

public sealed class NodeRulesTests
{
    private static readonly NodeRulesInputs Isolated = new(Cidr.Parse("10.244.0.0/16"), Cidr.Parse("10.96.0.0/16"), Cidr.Parse("172.18.201.0/24"), []);

    [Fact]
    public void The_rules_of_an_isolated_node() => Golden.Verify(NodeRules.Render(Isolated), "isolated");

    [Fact]
    public void The_rules_of_a_node_that_shares_its_network() => Golden.Verify(
        NodeRules.Render(Isolated with
        {
            Peers = [new(IPAddress.Parse("172.18.0.3"), Cidr.Parse("10.245.0.0/16")), new(IPAddress.Parse("172.18.0.4"), Cidr.Parse("10.246.0.0/16"))]
        }),
        "flat");
}
