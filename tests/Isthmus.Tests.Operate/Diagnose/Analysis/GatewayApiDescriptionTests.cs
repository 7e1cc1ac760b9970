using Isthmus.Core.Problems;
using Isthmus.Operate.Diagnose.Analysis;
using Isthmus.Operate.Inventory;
using Xunit;
using static Isthmus.Tests.Operate.Diagnose.Analysis.MeshText;

namespace Isthmus.Tests.Operate.Diagnose.Analysis;

/// <summary>Gateways and routes of the Gateway API in <c>describe</c> and <c>verify</c>.</summary>
public sealed class GatewayApiDescriptionTests
{
    private const string ToWeb = "backendRefs: [{name: web, port: 80}]";

    private static readonly string Istiod = Workload("istio-system", "istiod-1", "app: istiod", "containers: [{name: discovery}]");

    private static readonly string Mesh = Join(Web, Istiod,
        Workload("shop", "front-1", "gateway.networking.k8s.io/gateway-name: front", "containers: [{name: istio-proxy}]"),
        GatewayApiCases.Gateway("{name: http, port: 80, protocol: HTTP}"),
        GatewayApiCases.Route($"parentRefs: [{{name: front}}], rules: [{{name: api, {ToWeb} }}, {{ {ToWeb} }}]"),
        GatewayApiCases.Route("parentRefs: [{group: '', kind: Service, name: web}], rules: [{backendRefs: [{name: web, port: 80}] }]", "inside"),
        GatewayApiCases.Route("parentRefs: [{name: front, sectionName: https}], rules: [{backendRefs: [{name: web, port: 80}] }]", "lost"));

    [Fact]
    public void A_Service_is_described_with_the_rules_that_lead_to_it_and_where_they_apply()
    {
        var routes = MeshDescription.OfService(Clusters(Mesh), "shop", "web").Services[0].ApiRoutes;
        Assert.Equal([("HTTPRoute shop/inside", "0"), ("HTTPRoute shop/lost", "0"), ("HTTPRoute shop/route", "api"), ("HTTPRoute shop/route", "1")],
            routes.Select(route => (route.Route, route.Rule)));
        Assert.Equal(["callers of Service shop/web"], routes[0].Parents);
        Assert.Empty(routes[1].Parents);
        Assert.Contains("NoMatchingParent", Assert.Single(routes[1].Refusals), StringComparison.Ordinal);
        Assert.Equal(["Gateway shop/front (listener http)"], routes[2].Parents);
    }

    [Fact]
    public void A_Pod_of_a_Gateway_is_described_with_its_listeners_and_their_routes()
    {
        var gateway = Assert.Single(MeshDescription.OfPod(Clusters(Mesh), "shop", "front-1").Pod!.Gateways);
        Assert.Equal(("shop/front", "istio"), (gateway.Name, gateway.Class));
        var listener = Assert.Single(gateway.Listeners);
        Assert.Equal(("http", "HTTP 80", "HTTPRoute shop/route (rule api, 1)"), (listener.Name, listener.Place, Assert.Single(listener.Routes)));
        Assert.Empty(MeshDescription.OfPod(Clusters(Mesh), "shop", "web-1").Pod!.Gateways);
    }

    [Fact]
    public void A_Gateway_is_described_by_its_name_also_with_what_it_does_not_take()
    {
        var found = MeshDescription.OfGateway(Clusters(Status("status: 'True', reason: Programmed")), "shop", "front");
        var gateway = found.Gateway!;
        Assert.Equal(("shop/front", "istio", true), (gateway.Name, gateway.Class, gateway.IsOurs));
        Assert.Equal(["Programmed is True (Programmed): m"], gateway.Conditions);
        Assert.Equal("HTTPRoute shop/route (rule api, 1)", Assert.Single(Assert.Single(gateway.Listeners).Routes));
        var refused = Assert.Single(gateway.Refused);
        Assert.Equal("HTTPRoute shop/lost", refused.Route);
        Assert.StartsWith("Accepted is False (NoMatchingParent)", refused.Reason, StringComparison.Ordinal);
        Assert.Contains(found.Problems, finding => finding.Problem.Object == "HTTPRoute shop/lost");

        Assert.False(MeshDescription.OfGateway(Clusters(Mesh.Replace("gatewayClassName: istio", "gatewayClassName: other", StringComparison.Ordinal)), "shop",
            "front").Gateway!.IsOurs);
        var missing = Assert.Throws<ProblemException>(() => MeshDescription.OfGateway(Clusters(Mesh), "shop", "nobody"));
        Assert.Contains("Gateway shop/nobody", missing.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_Gateway_that_is_not_programmed_and_a_route_that_is_not_accepted_are_rows()
    {
        Assert.Equal([("Gateway", "ISM1037"), ("route", "ISM1038")], Rows(Mesh));
        Assert.Contains("of its revision is ready", GatewayApiVerification.Checks(Clusters(Mesh)).First().Problem!.Remedy, StringComparison.Ordinal);
        Assert.Equal([("Gateway", "ISM1037"), ("route", "ISM1038")], Rows(Status("status: 'False', reason: Pending")));
        var good = Status("status: 'True', reason: Programmed").Replace("sectionName: https", "sectionName: http", StringComparison.Ordinal);
        Assert.Equal([("Gateway", "")], Rows(good));
        var unresolved = good.Replace("status: {conditions", "status: {listeners: [{name: http, conditions: [{type: ResolvedRefs, status: 'False', reason: "
            + "InvalidCertificateRef, message: Secret shop/front does not exist}] }], conditions", StringComparison.Ordinal);
        Assert.Equal([("Gateway", ""), ("listener", "ISM1037")], Rows(unresolved));
        Assert.Equal("spec.listeners[0]", GatewayApiVerification.Checks(Clusters(unresolved)).Last().Problem!.Path);
        Assert.Equal([("definition", "ISM1506"), ("Gateway", "")], Rows(MeshText.Join(good, "{apiVersion: apiextensions.k8s.io/v1, "
            + "kind: CustomResourceDefinition, metadata: {name: httproutes.gateway.networking.k8s.io, annotations: "
            + "{gateway.networking.k8s.io/bundle-version: v1.9.0} } }")));
    }

    [Fact]
    public void A_Gateway_that_is_not_programmed_because_of_its_listeners_is_a_finding_of_these_alone()
    {
        var text = Join(Web, Istiod, GatewayApiCases.Gateway("{name: tunnel, port: 15008, protocol: HBONE}")).Replace("spec: { gatewayClassName",
            "status: {conditions: [{type: Programmed, status: 'False', reason: Invalid, message: m}] }, spec: { gatewayClassName", StringComparison.Ordinal);
        Assert.Contains("Programmed", text, StringComparison.Ordinal);
        Assert.Equal("spec.listeners[0]", Assert.Single(Isthmus.Operate.Diagnose.Analysis.Analysis.Run(Clusters(text)),
            finding => finding.Problem.Object.EndsWith("shop/front", StringComparison.Ordinal)).Problem.Path);
    }

    /// <summary>What another controller serves is not the mesh's; what nobody serves is somebody's mistake.</summary>
    [Theory]
    [InlineData("", "error: \"isto\": nobody serves the Gateway; did you mean istio?")]
    [InlineData("status: 'Unknown', reason: Pending", "warning: Accepted is Unknown (Pending): Waiting for controller; example.com/theirs")]
    [InlineData("status: 'False', reason: InvalidParameters", "warning: Accepted is False (InvalidParameters): Waiting for controller; example.com/theirs")]
    [InlineData("status: 'True', reason: Accepted", null)]
    public void A_Gateway_whose_class_nobody_serves_is_a_row(string accepted, string? says)
    {
        var text = Join(Web, Istiod, GatewayApiCases.Gateway("{name: http, port: 80, protocol: HTTP}")).Replace("gatewayClassName: istio",
            "gatewayClassName: isto", StringComparison.Ordinal);
        if (accepted.Length > 0)
            text = Join(text, "{apiVersion: gateway.networking.k8s.io/v1, kind: GatewayClass, metadata: {name: isto}, spec: {controllerName: "
                + $"example.com/theirs}}, status: {{conditions: [{{type: Accepted, {accepted}, message: Waiting for controller}}] }} }}");
        var check = GatewayApiVerification.Checks(Clusters(text)).SingleOrDefault();
        var found = Isthmus.Operate.Diagnose.Analysis.Analysis.Run(Clusters(text)).SingleOrDefault(finding => finding.Problem.Path == "spec.gatewayClassName");
        Assert.Equal((says is null, says is null), (check is null, found is null));
        if (check?.Problem is not { } problem) return;
        Assert.Equal(("ISM1037", "Gateway shop/front in c1", "shop/front of class isto"), (problem.Code, problem.Object, check.Found));
        var (severity, message, remedy) = (says!.Split(": ")[0], says[(says.IndexOf(' ', StringComparison.Ordinal) + 1)..].Split("; ")[0], says.Split("; ")[1]);
        Assert.Equal(severity, problem.Severity.ToString().ToLowerInvariant());
        Assert.EndsWith(message, problem.Message, StringComparison.Ordinal);
        Assert.Contains(remedy, problem.Remedy, StringComparison.Ordinal);
        Assert.Equal((problem.Message, problem.Severity), (found!.Problem.Message, found.Problem.Severity));
    }

    /// <summary>A cluster that was not read may have the backend. Of what it lacks, the control plane names only a part.</summary>
    [Theory]
    [InlineData("status: 'True', message: all", "", "")]
    [InlineData("status: 'False', message: Service shop/gone does not exist", "Service shop/gone does not exist", "IST0101")]
    [InlineData("status: 'False', observedGeneration: 7, message: of another state", "Service shop/far does not exist; Service shop/gone does not exist", "")]
    public void Where_other_clusters_were_not_read_the_control_plane_has_the_word_about_references(string condition, string verified, string analyzed)
    {
        var text = Join(Mesh, GatewayApiCases.Route("parentRefs: [{name: front}], rules: [{backendRefs: [{name: far, port: 80}, {name: gone, port: 80}] }]",
            "away").Replace("spec:", "status: {parents: [{controllerName: istio.io/gateway-controller, conditions: [{type: ResolvedRefs, "
            + $"{condition}}}] }}] }}, spec:", StringComparison.Ordinal));
        var known = Clusters(text);
        IReadOnlyList<ClusterInventory> apart = [known[0].WithRemoteSecrets([new("istio-system/two", "two", "https://10.0.0.2", null, "")], "")];
        Assert.Equal(verified, Said(apart));
        Assert.Equal(analyzed, Codes(apart));
        // Nothing else is in the mesh.
        Assert.Equal("IST0101 IST0101", Codes(known));

        static string Said(IReadOnlyList<ClusterInventory> clusters) => string.Join(' ', GatewayApiVerification.Checks(clusters)
            .Where(check => check.Found == "HTTPRoute shop/away").Select(check => check.Problem!.Message.Split("): ")[1]));
        static string Codes(IReadOnlyList<ClusterInventory> clusters) => string.Join(' ', Isthmus.Operate.Diagnose.Analysis.Analysis.Run(clusters)
            .Where(finding => finding.Problem.Object == "HTTPRoute shop/away").Select(finding => finding.Problem.Code));
    }

    /// <summary>As the analysis finds it.</summary>
    [Theory]
    [InlineData("web", "caCertificateRefs: [{group: '', kind: ConfigMap, name: absent}]", "spec.validation.caCertificateRefs", "absent")]
    [InlineData("web, sectionName: '80'", "wellKnownCACertificates: System", "spec.targetRefs[0].sectionName", "no port named \"80\"")]
    [InlineData("web", "wellKnownCACertificates: System", null, "")]
    public void A_BackendTLSPolicy_that_does_not_apply_is_a_row(string service, string ca, string? path, string says)
    {
        var text = Join(Web, Istiod, "{apiVersion: gateway.networking.k8s.io/v1, kind: BackendTLSPolicy, metadata: {name: tls, namespace: shop}, spec: "
            + $"{{targetRefs: [{{group: '', kind: Service, name: {service} }}], validation: {{hostname: web.example.com, {ca} }} }} }}");
        var check = GatewayApiVerification.Checks(Clusters(text)).SingleOrDefault();
        Assert.Equal(path is null ? null : "policy", check?.What);
        if (check?.Problem is not { } problem) return;
        Assert.Equal(("ISM1042", "BackendTLSPolicy shop/tls in c1", path), (problem.Code, problem.Object, problem.Path));
        Assert.Contains(says, problem.Message, StringComparison.Ordinal);
        Assert.Contains(Isthmus.Operate.Diagnose.Analysis.Analysis.Run(Clusters(text)), finding => finding.Problem.Path == path);
    }

    [Fact]
    public void Without_a_control_plane_nobody_judges() => Assert.Empty(Rows(Mesh.Replace("app: istiod", "app: other", StringComparison.Ordinal)));

    private static string Status(string programmed) =>
        Mesh.Replace("spec: { gatewayClassName", $"status: {{conditions: [{{type: Programmed, {programmed}, message: m}}] }}, spec: {{ gatewayClassName",
            StringComparison.Ordinal);

    private static IEnumerable<(string, string)> Rows(string text) =>
        GatewayApiVerification.Checks(Clusters(text)).Select(check => (check.What, check.Problem?.Code ?? ""));
}
