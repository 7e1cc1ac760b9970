using Isthmus.Core.Problems;
using Isthmus.Operate.Diagnose.Analysis;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Operate.Diagnose.Analysis;

/// <summary>A bad and a good mesh for each code.</summary>
public sealed class AnalyzerTests
{
    public static TheoryData<string, string, string> Names() => [.. Cases().Select(item => (item.Code, item.Where, item.Says))];

    [Theory]
    [MemberData(nameof(Names))]
    public void A_problem_is_found_where_it_is_and_nowhere_else(string code, string where, string says)
    {
        var item = Cases().Single(item => (item.Code, item.Where, item.Says) == (code, where, says));
        var bad = MeshText.Analyze(item.Bad);
        var found = bad.Where(finding => finding.Problem.Code == code
            && where == $"{finding.Cluster} {finding.Problem.Object} {finding.Problem.Path}".TrimEnd())
            .ToList();
        Assert.True(found.Count == 1,
            $"found {string.Join("; ", bad.Select(finding => $"{finding.Problem.Code} {finding.Cluster} {finding.Problem.Object} {finding.Problem.Path}: {finding.Problem.Message}"))}");
        Assert.All(found, finding => Assert.NotEmpty(finding.Problem.Remedy));
        Assert.Contains(Analyzers.All, analyzer => analyzer.Codes.Any(known => known.Code == code && known.Severity >= found[0].Problem.Severity));
        Assert.Contains(says, found[0].Problem.Message, StringComparison.Ordinal);
        Assert.Contains(item.Remedy, found[0].Problem.Remedy, StringComparison.Ordinal);
        Assert.Empty(MeshText.Warnings(MeshText.Analyze(item.Good)));
        Assert.DoesNotContain(MeshText.Analyze(item.Good), finding => finding.Problem.Code == code);
    }

    /// <summary>Cases whose good mesh takes another way out than the remedy, which names none of what changes there.</summary>
    private static readonly HashSet<string> OtherWays =
    [
        "ISM1442 c1 VirtualService ops/route spec.hosts[0]", "ISM1442 c1 DestinationRule ops/rule spec.host",
        "IST0002 c1 Telemetry shop/own spec.tracing[0].providers[0].name",
        "ISM1437 c1 DestinationRule shop/web spec.trafficPolicy.loadBalancer.localityLbSetting.failover[0].to",
    ];

    /// <summary>What the good mesh has otherwise is the object that the finding names, or one of a kind, name or field that the remedy names.</summary>
    [Theory]
    [MemberData(nameof(Names))]
    public void The_remedy_names_what_ends_the_problem(string code, string where, string says)
    {
        var item = Cases().Single(item => (item.Code, item.Where, item.Says) == (code, where, says));
        var problem = MeshText.Analyze(item.Bad).First(finding => finding.Problem.Code == code
            && where == $"{finding.Cluster} {finding.Problem.Object} {finding.Problem.Path}".TrimEnd()).Problem;
        var (bad, good) = (MeshText.Clusters(item.Bad), MeshText.Clusters(item.Good));
        static HashSet<string> Texts(IEnumerable<Isthmus.Operate.Inventory.ClusterInventory> clusters) =>
            clusters.SelectMany(cluster => cluster.AllObjects.Select(one => $"{cluster.Context} {one.ToJsonString()}")).ToHashSet();
        static string Named(System.Text.Json.Nodes.JsonObject one) =>
            $"{one["kind"]} {(one["metadata"]!["namespace"] is { } ns ? $"{ns}/" : "")}{one["metadata"]!["name"]}";
        var (had, has) = (Texts(bad), Texts(good));
        var changed = bad.Concat(good).SelectMany(cluster => cluster.AllObjects.Select(one => (Text: $"{cluster.Context} {one.ToJsonString()}", One: one)))
            .Where(one => had.Contains(one.Text) != has.Contains(one.Text)).Select(one => one.One).ToList();
        var advice = $"{problem.Object} {problem.Message} {problem.Remedy} {AnalysisCodes.All.First(known => known.Code == code).Remedy}";
        Assert.True(OtherWays.Contains($"{code} {where}") || changed.Exists(one => Named(one) == problem.Object
            || advice.Contains($"{one["kind"]}", StringComparison.OrdinalIgnoreCase)
            || advice.Contains($"{one["metadata"]!["name"]}", StringComparison.Ordinal)),
            $"{problem.Object}: {problem.Remedy}; changed: {string.Join(", ", changed.Select(Named))}");
    }

    [Fact]
    public void Every_code_has_a_test()
    {
        var texts = ((string[])["Diagnose/Analysis", "GlobalNames"])
            .SelectMany(folder => Directory.EnumerateFiles(Repository.At($"tests/Isthmus.Tests.Operate/{folder}"), "*.cs")).Select(File.ReadAllText).ToList();
        Assert.Empty(AnalysisCodes.All.Where(code => !texts.Exists(text => text.Contains($"\"{code.Code}\"", StringComparison.Ordinal)))
            .Select(code => code.Code));
    }

    [Fact]
    public void A_cluster_that_cannot_be_read_is_named_and_the_others_are_analyzed()
    {
        var findings = Isthmus.Operate.Diagnose.Analysis.Analysis.Run([Isthmus.Operate.Inventory.ClusterInventory.Unreadable("c9", "connection refused"),
            .. MeshText.Clusters(MeshText.Join(MeshText.Web, MeshText.Istio("VirtualService", "shop", "web",
                "hosts: [web], http: [{route: [{destination: {host: web, subset: v9} }] }]")))]);
        Assert.Equal([("c9", "ISM1400"), ("c1", "IST0101")], findings.Select(finding => (finding.Cluster, finding.Problem.Code)));
        Assert.Contains("connection refused", findings[0].Problem.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_cluster_that_refuses_the_user_is_not_said_to_be_down()
    {
        var finding = Assert.Single(Isthmus.Operate.Diagnose.Analysis.Analysis.Run([Isthmus.Operate.Inventory.ClusterInventory.Unreadable("c9",
            "gateways.networking.istio.io is forbidden: User \"dev\" cannot list resource \"gateways\" in API group \"networking.istio.io\" in the namespace "
                + "\"shop\"", 403)]));
        Assert.Equal("use a user who may list gateways.networking.istio.io in namespace shop, or give dev this right, and whichever else it lacks: 'kubectl "
            + "--context=c9 auth can-i list gateways.networking.istio.io -n shop' asks for it, 'auth can-i --list' for all", finding.Problem.Remedy);
    }

    [Fact]
    public void Codes_and_names_are_unique_and_complete()
    {
        Assert.Distinct(AnalysisCodes.All.Select(code => code.Code).Concat(IstioCodes.Absent.Select(code => code.Code)));
        Assert.Distinct(AnalysisCodes.All.Select(code => code.Name));
        Assert.Distinct(Analyzers.All.Select(analyzer => analyzer.Name));
        Assert.All(AnalysisCodes.All, code => Assert.True(code.Meaning.EndsWith('.') && code.Remedy.EndsWith('.'), code.Code));
        Assert.All(Analyzers.All, analyzer => Assert.NotEmpty(analyzer.Codes));
    }

    [Fact]
    public void The_page_lists_every_code_and_analyzer() => Golden.VerifyFile(AnalyzePage.Print(), Repository.At("docs/reference/analysis.md"));

    [Fact]
    public void What_was_not_read_is_not_missing()
    {
        // Nobody may read Deployments: a Service that selects no Pod may be that of one without replicas.
        var cluster = Isthmus.Operate.Inventory.ClusterInventory.From("c1",
            MeshText.Clusters(MeshText.Join(MeshText.Service("shop", "web", "app: wev"), MeshText.Pod("shop", "web-1", "app: web")))[0].AllObjects,
            unread: new HashSet<string> { "Deployment" });
        var result = Isthmus.Operate.Diagnose.Analysis.Analysis.Examine([cluster]);
        Assert.Contains(result.Skipped, analyzer => analyzer.Name == "service.SelectorAnalyzer");
        Assert.DoesNotContain(result.Findings, finding => finding.Problem.Code == "ISM1417");
    }

    /// <summary>A configuration has a webhook for each label that asks for sidecars.</summary>
    [Fact]
    public void A_webhook_configuration_whose_Service_is_gone_is_told_once()
    {
        const string webhook = "{name: x.sidecar-injector.istio.io, clientConfig: {service: {namespace: istio-system, name: istiod-old} } }";
        var text = MeshText.Join(MeshText.Web, "{apiVersion: admissionregistration.k8s.io/v1, kind: MutatingWebhookConfiguration, metadata: {name: old}, "
            + $"webhooks: [{webhook}, {webhook.Replace("x.", "y.", StringComparison.Ordinal)}, "
            + $"{webhook.Replace("x.", "z.", StringComparison.Ordinal)}]}}");
        var found = MeshText.Analyze(text).Where(finding => finding.Problem.Code == "IST0139"
            && finding.Problem.Path.EndsWith("service", StringComparison.Ordinal));
        Assert.Equal("webhooks[0].clientConfig.service", Assert.Single(found).Problem.Path);
    }

    /// <summary>The control planes of both clusters report the difference, each from its own side.</summary>
    [Fact]
    public void A_difference_between_Services_is_the_same_from_both_sides()
    {
        var headless = MeshText.Service("shop", "web", "app: web", "{name: http-web, port: 80}").Replace("10.0.0.1", "None", StringComparison.Ordinal);
        var clusters = MeshText.Clusters(MeshText.Join(MeshText.Root, MeshText.Service("shop", "web", "app: web"), MeshText.Next, MeshText.Root, headless));
        var one = Isthmus.Graph.Derive.KubeFacts.Of("c1", clusters[0].Services.Single());
        var two = Isthmus.Graph.Derive.KubeFacts.Of("c2", clusters[1].Services.Single());
        var seen = Isthmus.Mesh.Resolve.ServiceAgreement.Differences(one, two).ToList();
        Assert.Equal(["is headless in c2 but not in c1", "port 80 is named 'http' in c1 and 'http-web' in c2; joined by number"],
            seen.Select(item => item.Message));
        Assert.Equal(seen, Isthmus.Mesh.Resolve.ServiceAgreement.Differences(two, one));
    }

    /// <summary>Hosts and ports that the clusters lack may be those of one that was not read.</summary>
    [Theory]
    [InlineData("IST0112")]
    [InlineData("IST0173")]
    [InlineData("IST0174")]
    [InlineData("ISM1414")]
    [InlineData("ISM1415")]
    [InlineData("ISM1417")]
    [InlineData("ISM1484")]
    [InlineData("ISM1485")]
    [InlineData("ISM1492")]
    [InlineData("ISM1503")]
    [InlineData("ISM1505")]
    [InlineData("ISM1513")]
    public void What_a_cluster_may_have_that_was_not_read_is_not_missing(string code)
    {
        // Gateways and listeners lead to Pods of their own cluster.
        var cases = Cases().Where(item => item.Code == code && !item.Where.Contains("spec.ingress", StringComparison.Ordinal)
            && !item.Where.Contains("istio-system/gw", StringComparison.Ordinal)).ToList();
        Assert.NotEmpty(cases);
        Assert.All(cases, item => Assert.DoesNotContain(Isthmus.Operate.Diagnose.Analysis.Analysis.Run(
            [Isthmus.Operate.Inventory.ClusterInventory.Unreadable("c9", "connection refused"), .. MeshText.Clusters(item.Bad)]),
            finding => finding.Problem.Code == code));
    }

    [Fact]
    public void What_only_looks_like_a_call_that_is_kept_from_workloads_is_not_found() => Assert.All(ReachCases.Fine, item =>
        Assert.DoesNotContain(MeshText.Analyze(item.Mesh), finding => finding.Problem.Code == item.Code));

    /// <summary>Files have no status: only a cluster that runs tells that a load balancer gives no address, or that no Pod is ready.</summary>
    [Theory]
    [InlineData("type: LoadBalancer, ", "True", "ISM1005", "has no external address")]
    [InlineData("externalIPs: [192.0.2.1], ", "False", "ISM1006", "has no ready Pods")]
    [InlineData("externalIPs: [192.0.2.1], ", "True", "", "")]
    public void What_only_a_running_cluster_tells_of_its_gateway_is_told_there_alone(string spec, string ready, string code, string says)
    {
        var clusters = MeshText.Clusters(ReachCases.Entered(spec).Replace("conditions: [{type: Ready, status: \"True\"}]",
            $"conditions: [{{type: Ready, status: \"{ready}\"}}]", StringComparison.Ordinal));
        IEnumerable<Problem> Found(bool isRunning) => Isthmus.Operate.Diagnose.Analysis.Analysis.Run([.. clusters.Select(cluster => !isRunning ? cluster
            : cluster.WithRemoteSecrets([], "https://192.0.2.9:6443"))]).Select(finding => finding.Problem)
            .Where(problem => problem.Code is "ISM1005" or "ISM1006");
        Assert.Empty(Found(isRunning: false));
        Assert.Equal(code.Length > 0 ? [(code, "Service istio-system/east")] : [], Found(isRunning: true).Select(problem => (problem.Code, problem.Object)));
        Assert.All(Found(isRunning: true), problem => Assert.StartsWith(says, problem.Message, StringComparison.Ordinal));
    }

    /// <summary>What may be meant is a note; that by which calls fail, whoever makes them, is more.</summary>
    [Theory]
    [InlineData("ISM1487", "so that all of them fail", Severity.Warning)]
    [InlineData("ISM1487", "it denies all calls", Severity.Warning)]
    [InlineData("ISM1487", "applies to all workloads of namespace shop: calls there fail unless some ALLOW policy permits them", Severity.Info)]
    [InlineData("ISM1525", "so that these calls fail", Severity.Warning)]
    [InlineData("ISM1525", "c1 has no VirtualService of it", Severity.Info)]
    public void What_fails_for_all_is_more_than_a_note(string code, string says, Severity severity)
    {
        var item = Cases().First(item => item.Code == code && item.Says.Contains(says, StringComparison.Ordinal));
        Assert.Equal(severity, MeshText.Analyze(item.Bad).First(finding => finding.Problem.Code == code).Problem.Severity);
        // A policy beside it that allows somebody makes it a note.
        if (severity == Severity.Warning && says.EndsWith("all of them fail", StringComparison.Ordinal))
            Assert.All(MeshText.Analyze(MeshText.Join(item.Bad, MeshText.Istio("AuthorizationPolicy", "shop", "some",
                "rules: [{from: [{source: {namespaces: [shop]} }]}]"))).Where(finding => finding.Problem.Code == code),
                finding => Assert.Equal(Severity.Info, finding.Problem.Severity));
    }

    /// <summary>Those in another network have the gateway before the only endpoint as theirs, and eject that.</summary>
    [Theory]
    [InlineData("network1", true)]
    [InlineData("network2", false)]
    public void An_endpoint_behind_a_gateway_is_none_that_callers_eject(string network, bool isFound)
    {
        var caller = MeshText.Join(MeshText.Root, MeshText.Workload("istio-system", "istiod-1", "app: istiod", "containers: [{name: discovery}]"),
            MeshText.Namespace("shop"), MeshText.Service("shop", "web", "app: web"), MeshText.Istio("DestinationRule", "shop", "web",
                "host: web, trafficPolicy: {outlierDetection: {maxEjectionPercent: 100} }"));
        var findings = MeshText.Analyze($"{caller}\n{MeshText.Next}\n{MeshText.Web.Replace("network1", network, StringComparison.Ordinal)}\n"
            + MeshText.Workload("istio-system", "istiod-1", "app: istiod", "containers: [{name: discovery}]"));
        Assert.Equal(isFound, findings.Any(finding => finding.Problem.Code == "ISM1492"));
    }

    /// <summary>What is proposed for a host that nobody has would have an effect.</summary>
    [Theory]
    [InlineData("wev", "", "web.shop.svc.cluster.local")]
    [InlineData("web.ops.svc.cluster.local", "subsets: [{name: v1, labels: {version: v1} }]", "web.shop.svc.cluster.local")]
    [InlineData("web.ops.svc.cluster.local", "subsets: [{name: v7, labels: {version: v7} }]", "web.bank.svc.cluster.local")]
    [InlineData("web.ops.svc.cluster.local", "", "web.bank.svc.cluster.local or web.shop.svc.cluster.local")]
    [InlineData("safe.ops.svc.cluster.local", "", null)]
    public void A_host_is_proposed_that_a_rule_would_have_an_effect_on(string host, string subsets, string? proposed)
    {
        var finding = MeshText.Analyze(MeshText.Join(MeshText.Web, MeshText.Namespace("bank"), MeshText.Service("bank", "web", "app: web"),
            MeshText.Pod("bank", "web-1", "app: web, version: v7"), MeshText.Service("bank", "safe", "app: web").Replace("namespace: bank",
                "namespace: bank, annotations: {networking.istio.io/exportTo: '.'}", StringComparison.Ordinal),
            MeshText.Istio("DestinationRule", "shop", "rule", $"host: {host}, {subsets}"))).Single(one => one.Problem.Code == "IST0174");
        if (proposed is null) Assert.DoesNotContain("write the host", finding.Problem.Remedy, StringComparison.Ordinal);
        else Assert.Equal($"write the host as {proposed}", finding.Problem.Remedy);
    }

    /// <summary>What a file says of the Gateway API is enough to tell that nothing binds to it.</summary>
    [Theory]
    [InlineData("front", "is a Gateway of the Gateway API, to which VirtualServices cannot be bound")]
    [InlineData("elsewhere", null)]
    public void A_Gateway_of_the_Gateway_API_is_known_without_those_of_Istio(string name, string? says)
    {
        const string Front = "{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: front, namespace: shop}, spec: {gatewayClassName: "
            + "istio, listeners: [{name: http, port: 80, protocol: HTTP}]} }";
        var bound = MeshText.Istio("VirtualService", "shop", "web",
            $"hosts: [web.example], gateways: [{name}], http: [{{route: [{{destination: {{host: web}} }}] }}]");
        var cluster = Isthmus.Operate.Inventory.ClusterInventory.From("files",
            MeshText.Clusters(MeshText.Join(MeshText.Service("shop", "web", "app: web"), Front, bound))[0].AllObjects,
            unread: new HashSet<string> { "Gateway" });
        var found = Isthmus.Operate.Diagnose.Analysis.Analysis.Run([cluster])
            .Where(finding => finding.Problem.Object == "VirtualService shop/web" && finding.Problem.Path == "spec.gateways[0]").ToList();
        Assert.Equal(says is null ? 0 : 1, found.Count);
        Assert.All(found, finding => Assert.Contains(says!, finding.Problem.Message, StringComparison.Ordinal));
    }

    private static IEnumerable<AnalyzerCase> Cases() =>
        [.. RoutingCases.All, .. GatewayCases.All, .. GatewayApiCases.All, .. PolicyCases.All, .. WorkloadCases.All, .. SilentFaultCases.All,
        .. UnmetSettingCases.All, .. MultiClusterCases.All, .. ReachCases.All];
}

/// <param name="Where">As <c>CLUSTER KIND NAMESPACE/NAME PATH</c>.</param>
/// <param name="Says">A part of the message.</param>
/// <param name="Remedy">A part of the remedy.</param>
internal sealed record AnalyzerCase(string Code, string Where, string Bad, string Good, string Says = "", string Remedy = "");
