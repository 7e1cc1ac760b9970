using Isthmus.Core.Collections;
using Isthmus.Operate.Diagnose.Analysis;
using Xunit;
using static Isthmus.Tests.Operate.Diagnose.Analysis.MeshText;

namespace Isthmus.Tests.Operate.Diagnose.Analysis;

/// <summary>What <c>verify</c> says of calls that come to gateways, and of where routes lead.</summary>
public sealed class EntryVerificationTests
{
    private const string Server = "selector: {istio: gw}, servers: [{port: {number: 443, name: https, protocol: HTTPS}, hosts: [web.example], tls: ";

    [Fact]
    public void A_route_to_a_port_of_another_protocol_is_a_problem()
    {
        var problem = Assert.Single(EntryVerification.Checks(Clusters(Join(Web, RoutingCases.Sealed, Istio("VirtualService", "shop", "route",
            "hosts: [web], http: [{route: [{destination: {host: sealed, port: {number: 443} } }] }]"))))).Problem!;
        Assert.Equal(("ISM1510", "VirtualService shop/route in c1", "spec.http[0].route[0].destination.port.number"),
            (problem.Code, problem.Object, problem.Path));
        Assert.Empty(EntryVerification.Checks(Clusters(Join(Web, RoutingCases.Sealed))));
    }

    /// <summary>Gateways have the Secrets of their own namespace. What is nowhere, the control plane reports.</summary>
    [Theory]
    [InlineData(true, "IST0101")]
    [InlineData(false, "")]
    public void A_Secret_in_the_namespace_of_what_names_it_is_a_problem(bool isThere, string code)
    {
        var credentials = new Dictionary<string, string>(StringComparer.Ordinal) { ["edge/front"] = "does not exist" };
        if (isThere) credentials["shop/front"] = "";
        var cluster = Clusters(Join(Web, Workload("edge", "gw-1", "istio: gw", "containers: [{name: istio-proxy}]"),
            Istio("Gateway", "shop", "front", $"{Server}{{mode: SIMPLE, credentialName: front}} }}]")))[0].WithCredentials(credentials.ToValueMap());
        var found = EntryVerification.Checks([cluster]).Select(check => check.Problem!).ToList();
        Assert.Equal(code, found.Count == 0 ? "" : Assert.Single(found).Code);
        if (isThere) Assert.StartsWith("copy it: kubectl --context=c1 -n shop get secret front", found[0].Remedy, StringComparison.Ordinal);
    }

    [Fact]
    public void A_file_that_is_not_mounted_is_a_problem() => Assert.Equal("ISM1535", Assert.Single(EntryVerification.Checks(Clusters(Join(Web,
        Workload("edge", "gw-1", "istio: gw", "containers: [{name: istio-proxy}]"), Istio("Gateway", "edge", "front",
            $"{Server}{{mode: SIMPLE, serverCertificate: /etc/cert, privateKey: /etc/key}} }}]"))))).Problem?.Code);
}
