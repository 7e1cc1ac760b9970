using Xunit;

namespace Isthmus.Tests.Mesh.GatewayApi;

/// <summary>The cases of the Gateway API in a lab: a mesh of two clusters on two networks, where control planes deploy Gateways, load balancers have
/// addresses, and Pods have sidecars.</summary>
public sealed class GatewayLabTests(GatewayLabRig rig) : IClassFixture<GatewayLabRig>
{
    public static TheoryData<string> Names => [.. LabCase.All.Select(one => one.Name)];

    public static TheoryData<string> Elsewhere => [.. LabCase.All.Where(one => one.IsElsewhere).Select(one => one.Name)];

    [Theory]
    [Trait("runs", "soak")]
    [MemberData(nameof(Names))]
    public Task The_case_is_as_specified(string name) => rig.RunAsync(name, isElsewhere: false);

    [Theory]
    [Trait("runs", "soak")]
    [MemberData(nameof(Elsewhere))]
    public Task The_case_is_as_specified_with_backends_in_the_other_cluster(string name) => rig.RunAsync(name, isElsewhere: true);
}
