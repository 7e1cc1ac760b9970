using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Causes;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Explain.Tracing.Reading;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Wire.Tls;
using Xunit;

namespace Isthmus.Tests.Tracing;

/// <summary>Faults that operators make with clusters, networks, names and workloads (tests/operator-faults.tsv).</summary>
public sealed class ClusterTrialTests
{
    private const string Bypass = ", initContainers: [{name: istio-init, args: [istio-iptables, -p, '15001', -b, '*', -d, '8080']}]",
        Bare = "spec: {replicas: 1, template: {metadata: {labels: {app: orders, version: v1}}}}";

    [Fact]
    public void A_Service_that_is_headless_only_in_another_cluster_gives_its_Pods_no_names_here()
    {
        var scenario = Unresolved("orders-b.orders.shop");
        scenario.Two = Put(Put(scenario.Two, "clusterIP: 10.96.0.5", "clusterIP: None"), "labels: {app: orders, version: v1}}, spec: {containers",
            "labels: {app: orders, version: v1}}, spec: {subdomain: orders, containers");
        var problem = Cause(scenario.Walk("orders-b.orders.shop/"), "ISM2104", "Service shop/orders in c1", "spec.clusterIP",
            "and None in c2, where Pod orders-b runs");
        Assert.Contains("create it again with clusterIP: None", problem.Remedy, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("*.example.com", "NONE", true, "spec.hosts", "names that a wildcard covers get no address from the mesh")]
    [InlineData("api.example.com", "DNS", false, "spec.hosts", "the caller has no DNS capture")]
    [InlineData("api.example.com", "NONE", true, "spec.resolution", "the mesh gives api.example.com no address")]
    [InlineData("api.example.com", "NONE", false, "spec.resolution", "the mesh gives api.example.com no address")]
    public void A_ServiceEntry_whose_name_nobody_resolves_is_the_cause(string pattern, string resolution, bool captures, string path, string says)
    {
        var scenario = Unresolved("api.example.com");
        scenario.Client = Put(scenario.Client, "\"dns_capture\": true", $"\"dns_capture\": {(captures ? "true" : "false")}");
        scenario.One += "\n---\n{apiVersion: networking.istio.io/v1, kind: ServiceEntry, metadata: {name: api, namespace: shop}, "
            + $"spec: {{hosts: ['{pattern}'], location: MESH_EXTERNAL, resolution: {resolution}, ports: [{{number: 80, name: http, protocol: HTTP}}]}}}}";
        Cause(scenario.Walk("api.example.com"), "ISM2098", "ServiceEntry shop/api in c1", path, says);
    }

    [Fact]
    public void A_ServiceEntry_that_has_the_name_itself_goes_before_a_wildcard()
    {
        var scenario = Unresolved("api.example.com");
        scenario.Client = Put(scenario.Client, "\"dns_capture\": true", "\"dns_capture\": false");
        foreach (var (name, pattern) in (ReadOnlySpan<(string, string)>)[("all", "*.example.com"), ("api", "api.example.com")])
        {
            scenario.One += $"\n---\n{{apiVersion: networking.istio.io/v1, kind: ServiceEntry, metadata: {{name: {name}, namespace: shop}}, "
                + $"spec: {{hosts: ['{pattern}'], location: MESH_EXTERNAL, resolution: DNS, ports: [{{number: 80, name: http, protocol: HTTP}}]}}}}";
        }
        Cause(scenario.Walk("api.example.com"), "ISM2098", "ServiceEntry shop/api in c1", "spec.hosts", "the caller has no DNS capture");
    }

    [Theory]
    [InlineData("basket", "{apiVersion: apps/v1, kind: Deployment, metadata: {name: basket, namespace: shop}, spec: {template: {metadata: {labels: {app: orders}}}}}",
        "; Deployment shop/basket in c1 has it, and only Services have names", "did you mean orders.shop?")]
    [InlineData("basket", "{apiVersion: apps/v1, kind: Deployment, metadata: {name: basket, namespace: shop}, spec: {template: {metadata: {labels: {app: b}}}}}",
        "; Deployment shop/basket in c1 has it", "create a Service that selects its Pods")]
    [InlineData("example.com", "{apiVersion: networking.istio.io/v1, kind: ServiceEntry, metadata: {name: all, namespace: shop}, spec: {hosts: ['*.example.com'], "
        + "location: MESH_EXTERNAL, resolution: NONE, ports: [{number: 80, name: http, protocol: HTTP}]}}",
        "; ServiceEntry shop/all in c1 has *.example.com, which covers names below it", "add example.com to its hosts")]
    [InlineData("orders.shop.svc.c2.local", "{}", "; names of Services end in .svc.cluster.local", "did you mean orders.shop?")]
    public void What_was_meant_by_a_name_that_nothing_has_is_told(string host, string more, string says, string remedy)
    {
        var scenario = Unresolved(host);
        scenario.One += $"\n---\n{more}";
        var problem = Cause(scenario.Walk(host), "ISM2010", $"host {host}", "", says);
        Assert.Equal(remedy, problem.Remedy);
    }

    [Fact]
    public void An_alias_of_a_short_name_is_told_the_full_one()
    {
        var scenario = Unresolved("alias");
        scenario.One += "\n---\n{apiVersion: v1, kind: Service, metadata: {name: alias, namespace: shop}, "
            + "spec: {type: ExternalName, externalName: orders.shop}}";
        var problem = Cause(scenario.Walk("alias"), "ISM2098", "Service shop/alias in c1", "spec.externalName", "is orders.shop, which has no address");
        Assert.EndsWith($": {TraceScenario.Fqdn}", problem.Remedy, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(", finalizers: [example.com/detach]", "metadata.finalizers", "has example.com/detach, which keeps the Pod although it was deleted, and StatefulSet "
        + "late makes no other before it is gone", "patch pod late-0 --type=merge")]
    [InlineData("", "metadata.deletionTimestamp", "is 2026-11-29 18:00:00Z: the Pod was deleted and ends until then", "wait for its end")]
    public void A_Pod_that_was_deleted_and_stays_is_told(string finalizers, string path, string says, string remedy)
    {
        var facts = Facts($$$"""
            {apiVersion: v1, kind: Service, metadata: {name: late, namespace: shop}, spec: {clusterIP: 10.96.0.8, selector: {app: late}, ports: [{name: http, port: 80}]}}
            ---
            {apiVersion: v1, kind: Pod, metadata: {name: late-0, namespace: shop, labels: {app: late}, deletionTimestamp: "2026-11-29T18:00:00Z"{{{finalizers}}},
             ownerReferences: [{kind: StatefulSet, name: late, controller: true}]}, status: {phase: Failed}}
            """);
        var problem = Causes(facts).Availability.Empty(new(facts.Home, facts.Home.Service("shop", "late")!), 80);
        Assert.Equal(("ISM2048", "Pod shop/late-0 in c1", path), (problem.Code, problem.Object, problem.Path));
        Assert.StartsWith(says, problem.Message, StringComparison.Ordinal);
        Assert.Contains(remedy, problem.Remedy, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("{}", "EndpointSlice shop/late-1 in c1")]
    [InlineData("{multicluster.kubernetes.io/service-name: late, multicluster.kubernetes.io/source-cluster: c1}", "Service shop/late in c1")]
    public void An_EndpointSlice_of_an_import_is_not_taken_for_one_that_lost_its_label(string labels, string owner)
    {
        var facts = Facts($$$"""
            {apiVersion: v1, kind: Service, metadata: {name: late, namespace: shop}, spec: {clusterIP: 10.96.0.8, ports: [{name: http, port: 80, targetPort: 5000}]}}
            ---
            {apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: late-1, namespace: shop, labels: {{{labels}}}}, addressType: IPv4,
             ports: [{name: http, port: 5000}], endpoints: [{addresses: [10.1.9.9]}]}
            """);
        Assert.Equal(owner, Causes(facts).Availability.Empty(new(facts.Home, facts.Home.Service("shop", "late")!), 80).Object);
    }

    [Theory]
    [InlineData("ports: [{name: web, port: 5000}], endpoints: [{addresses: [10.1.9.9]}]", "EndpointSlice shop/late-1 in c1", "ports[*].name",
        "\"path\":\"/ports/0/name\",\"value\":\"http\"")]
    [InlineData("ports: [{port: 5000}], endpoints: [{addresses: [10.1.9.9]}]", "EndpointSlice shop/late-1 in c1", "ports[*].name", "\"op\":\"add\"")]
    [InlineData("ports: [{name: http, port: 5000}], endpoints: [{addresses: [10.1.9.9], conditions: {ready: false}}]", "EndpointSlice shop/late-1 in c1",
        "endpoints[*].conditions.ready", "set it to true")]
    [InlineData("ports: [{name: http, port: 5000}], endpoints: []", "Service shop/late in c1", "spec.selector", "create EndpointSlices")]
    public void What_is_wrong_with_a_written_EndpointSlice_is_told(string slice, string owner, string path, string remedy)
    {
        var facts = Facts($$$"""
            {apiVersion: v1, kind: Service, metadata: {name: late, namespace: shop}, spec: {clusterIP: 10.96.0.8, ports: [{name: http, port: 80, targetPort: 5000}]}}
            ---
            {apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: late-1, namespace: shop, labels: {kubernetes.io/service-name: late}}, addressType: IPv4, {{{slice}}} }
            """);
        var problem = Causes(facts).Availability.Empty(new(facts.Home, facts.Home.Service("shop", "late")!), 80);
        Assert.Equal(("ISM2045", owner, path), (problem.Code, problem.Object, problem.Path));
        Assert.Contains(remedy, problem.Remedy, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("network: n2", "ISM2051", "WorkloadEntry shop/vm in c1", "spec.network")]
    [InlineData("network: n1", "ISM2042", "ServiceEntry shop/vm in c1", "spec.workloadSelector.labels")]
    public void A_WorkloadEntry_in_another_network_is_beyond_a_gateway(string network, string code, string owner, string path)
    {
        var facts = Facts(Entry("{http: 5000}", network));
        var problem = Causes(facts).Endpoints.NoEndpoints(facts.Host("vm.example.com"), 8080, "", "outbound|8080||vm.example.com");
        Assert.Equal((code, owner, path), (problem.Code, problem.Object, problem.Path));
    }

    [Theory]
    [InlineData("{web: 5000}", "write http instead of web")]
    [InlineData("{http: 5000}", null)]
    public void A_port_of_a_WorkloadEntry_has_the_name_of_the_called_port(string ports, string? remedy)
    {
        var facts = Facts(Entry(ports, "network: n1"));
        var call = new TracedCall(facts, null, facts.Host("vm.example.com"), 8080, CallKinds.Http, new(IPAddress.None, 8080));
        Assert.StartsWith(remedy ?? "", EntryPorts.Unnamed(facts, "WorkloadEntry shop/vm", call)?.Remedy ?? "", StringComparison.Ordinal);
        Assert.Equal(remedy is null, EntryPorts.Unnamed(facts, "WorkloadEntry shop/vm", call) is null);
    }

    [Fact]
    public void A_Pod_in_the_network_of_its_Node_is_not_one_that_is_gone()
    {
        var scenario = new TraceScenario { Call = new("GET /", true, 200, 3, "10.1.0.5:8080", "-", "via_upstream", []) };
        scenario.Client = scenario.ClientOfOne.Replace("\"tlsMode\": \"istio\"}}", "\"tlsMode\": \"disabled\"}}", StringComparison.Ordinal);
        scenario.One = Put(scenario.One, "spec: {containers: [{name: web, ports: [{containerPort: 8080}]}, {name: istio-proxy}]}",
            "spec: {hostNetwork: true, containers: [{name: web, ports: [{containerPort: 8080}]}]}");
        var trace = scenario.Walk();
        Assert.DoesNotContain(trace.Hops, hop => hop.Problem?.Code == "ISM2015");
        Assert.Contains(trace.Hops, hop => hop.Name == "workload" && hop.Summary.Contains("in the network of its Node", StringComparison.Ordinal));
    }

    [Fact]
    public void A_port_that_bypasses_the_proxy_behind_a_gateway_needs_it_back()
    {
        var scenario = new TraceScenario();
        scenario.Two = Put(scenario.Two, "{name: istio-proxy, env: [{name: ISTIO_META_CLUSTER_ID, value: c2}]}]",
            $"{{name: istio-proxy, env: [{{name: ISTIO_META_CLUSTER_ID, value: c2}}]}}]{Bypass}");
        scenario.Two = Put(scenario.Two, "name: orders-b, namespace: shop, labels: {",
            "name: orders-b, namespace: shop, ownerReferences: [{apiVersion: apps/v1, kind: ReplicaSet, name: orders-x1, "
                + "controller: true}], labels: {pod-template-hash: x1, ");
        Assert.Equal("remove the port from the annotation of the Pod's template (Deployment shop/orders): only mesh TLS passes the gateway of its network",
            scenario.Walk().Failure!.Problem!.Remedy);
        scenario = new();
        scenario.One = Put(scenario.One, "{containerPort: 8080}]}, {name: istio-proxy}]",
            $"{{containerPort: 8080}}]}}, {{name: istio-proxy}}]{Bypass}");
        Assert.Contains("or set trafficPolicy.tls.mode DISABLE in a DestinationRule, which cuts off Pods of other networks",
            scenario.Walk().Failure!.Problem!.Remedy, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("env, operator: In, values: [prod]", "metadata.labels", "demands env in (prod) as well")]
    [InlineData("istio-injection, operator: Exists", "", "restart the Pod")]
    public void A_webhook_that_demands_more_than_labels_of_injection_is_named(string term, string field, string remedy)
    {
        var cluster = ClusterObjects.From("c1", YamlText.ParseAll($$$"""
            {apiVersion: v1, kind: Namespace, metadata: {name: shop, labels: {istio-injection: enabled} } }
            ---
            {apiVersion: v1, kind: Pod, metadata: {name: web, namespace: shop}, spec: {containers: [{name: web}]}}
            ---
            apiVersion: admissionregistration.k8s.io/v1
            kind: MutatingWebhookConfiguration
            metadata: {name: injector}
            webhooks:
            - {name: rev.namespace.sidecar-injector.istio.io, clientConfig: {}, namespaceSelector: {matchExpressions: [{key: istio.io/rev, operator: In, values: [default]}]}}
            - {name: namespace.sidecar-injector.istio.io, clientConfig: {}, namespaceSelector: {matchLabels: {istio-injection: enabled}, matchExpressions: [{key: {{{term}}} }] } }
            """, "c1").OfType<JsonObject>());
        var found = Sidecarless.Of(cluster, cluster.Pods[0]);
        Assert.Equal(field, found.Field);
        Assert.Contains(remedy, found.Remedy, StringComparison.Ordinal);
    }

    /// <summary>Each cluster needs the other's trust domain, and which MeshConfig that is of is named.</summary>
    [Theory]
    [InlineData("trustDomain: cluster.local", "trustDomain: other.example", "set the same meshConfig.trustDomain in both, or add other.example to "
        + "data.mesh.trustDomainAliases of ConfigMap istio-system/istio in c1 and cluster.local to data.mesh.trustDomainAliases of ConfigMap "
        + "istio-system/istio in c2; then restart the workloads")]
    [InlineData("trustDomain: cluster.local", "trustDomain: other.example, trustDomainAliases: [cluster.local]", "set the same meshConfig.trustDomain in both, "
        + "or add other.example to data.mesh.trustDomainAliases of ConfigMap istio-system/istio in c1; then restart the workloads")]
    public void Which_MeshConfig_needs_which_alias_is_told(string here, string there, string remedy)
    {
        var scenario = new TraceScenario { CalleeThere = new TraceScenario().ForeignCallee };
        scenario.One = RemedyFaults.Without(scenario.One, "kind: Pod, metadata: {name: orders-a");
        scenario.Client = scenario.Client.Replace("\"exact\": \"spiffe://cluster.local/ns/shop/sa/orders\"", "\"prefix\": \"spiffe://cluster.local/\"",
            StringComparison.Ordinal);
        (scenario.One, scenario.Two) = (scenario.One + MapOf("istio", $"{{{here}}}"), scenario.Two + MapOf("istio", $"{{{there}}}"));
        var problem = scenario.Walk().Hops.First(hop => hop.Problem?.Code == "ISM2063").Problem!;
        Assert.Equal("ConfigMap istio-system/istio in c2", problem.Object);
        Assert.Equal(remedy, problem.Remedy);
    }

    [Fact]
    public void A_trust_domain_that_only_the_callers_control_plane_has_is_told()
    {
        var scenario = new TraceScenario();
        scenario.Client = Put(scenario.Client, "\"exact\": \"spiffe://cluster.local/", "\"exact\": \"spiffe://other.example/");
        Cause(scenario.Walk(), "ISM2063", "ConfigMap istio-system/istio in c1", "data.mesh.trustDomain", "accept only identities of other.example");
    }

    /// <summary>Proxies there have the name of the cluster and its network: a control plane with others would refuse them.</summary>
    [Fact]
    public void A_control_plane_that_is_gone_is_installed_with_what_its_proxies_have()
    {
        var home = ClusterObjects.From("c1", YamlText.ParseAll("""
            {apiVersion: v1, kind: Namespace, metadata: {name: istio-system, labels: {topology.istio.io/network: n7} } }
            ---
            {apiVersion: v1, kind: Pod, metadata: {name: web, namespace: shop}, spec: {containers: [{name: istio-proxy, env: [{name: ISTIO_META_CLUSTER_ID, value: east}]}]}}
            """, "c1").OfType<JsonObject>());
        var facts = new TraceFacts([home], PodRef.Of(home, home.Pods[0]), TraceTarget.Parse("orders"), DateTimeOffset.UnixEpoch);
        var problem = new AvailabilityCauses(facts, new TraceNeeds(facts)).Unserved(home, "");
        Assert.Equal(("ISM1003", "isthmus install -y --context=c1 --set values.global.multiCluster.clusterName=east --set values.global.network=n7"),
            (problem?.Code, problem?.Remedy));
    }

    /// <summary>A control plane whose first CA is refused never becomes ready: the Secret is at fault, and not the Deployment.</summary>
    [Theory]
    [InlineData("key of another", "Secret istio-system/cacerts in c1", "data")]
    [InlineData("own key", "Deployment istio-system/istiod in c1", "status")]
    [InlineData("none", "Deployment istio-system/istiod in c1", "status")]
    public void A_control_plane_that_has_no_CA_to_use_is_told_with_the_Secret(string kind, string owner, string path)
    {
        using var root = Issuer.SelfSigned(new("Istio", "Root CA"), Keys.Create(KeyKind.EcP256), TraceScenario.Now.AddYears(-1), TraceScenario.Now.AddYears(9));
        using var ca = root.IssueIntermediate(new("Istio", "CA", "c1"), Keys.Create(KeyKind.EcP256), SubjectNames.None, TraceScenario.Now.AddDays(-1),
            TraceScenario.Now.AddYears(5));
        using var key = kind == "own key" ? null : Keys.Create(KeyKind.EcP256);
        var secret = new Secret { Metadata = new() { Name = "cacerts", Namespace = "istio-system" } };
        foreach (var (name, text) in ((string, string)[])[("ca-cert.pem", CertificateText.Write(ca.Certificate)), ("ca-key.pem", Keys.ToPem(key ?? ca.Key)),
            ("root-cert.pem", CertificateText.Write(root.Certificate)), ("cert-chain.pem", CertificateText.Write(ca.Certificate))])
            secret.Data[name] = Convert.ToBase64String(Encoding.UTF8.GetBytes(text));
        var scenario = new TraceScenario();
        scenario.One = Put(scenario.One, "podIP: 10.1.0.7, conditions: [{type: Ready, status: \"True\"}]", "podIP: 10.1.0.7, conditions: []");
        var facts = scenario.Facts();
        var needs = new TraceNeeds(facts);
        Assert.Equal("ISM1003", new AvailabilityCauses(facts, needs).Unserved(facts.Home, "")?.Code);
        facts.Holders[Assert.Single(needs.Holders)] = TracedHolder.Of(kind == "none" ? null : secret);
        var problem = new AvailabilityCauses(facts, needs).Unserved(facts.Home, "")!;
        Assert.Equal(("ISM1003", owner, path), (problem.Code, problem.Object, problem.Path));
        if (path == "data")
            Assert.StartsWith("is not used, and the control plane of c1 is not ready without it: the key does not belong to the certificate", problem.Message,
                StringComparison.Ordinal);
    }

    /// <summary>The map that is named is the one that the settings were read from.</summary>
    [Theory]
    [InlineData("istio-canary", "canary")]
    [InlineData("istio-canary", "")]
    [InlineData("istio", "")]
    public void The_MeshConfig_that_has_another_trust_domain_is_named_as_it_is_called(string map, string revision)
    {
        var scenario = new TraceScenario();
        scenario.Client = Put(scenario.Client, "\"exact\": \"spiffe://cluster.local/", "\"exact\": \"spiffe://other.example/");
        if (revision.Length > 0)
            scenario.One = Put(scenario.One, "labels: {app: istiod}}, spec: {replicas: 1",
                $"labels: {{app: istiod, istio.io/rev: {revision}}}}}, spec: {{replicas: 1");
        scenario.One += MapOf(map, "trustDomain: other.example");
        // One that cannot be read has no settings.
        if (map != "istio" && revision.Length == 0) scenario.One += MapOf("istio", "trustDomain: {");
        Cause(scenario.Walk(), "ISM2063", $"ConfigMap istio-system/{map} in c1", "data.mesh.trustDomain", "accept only identities of other.example");
    }

    private static string MapOf(string name, string mesh) =>
        $"\n---\n{{apiVersion: v1, kind: ConfigMap, metadata: {{name: {name}, namespace: istio-system}}, data: {{mesh: '{mesh}'}}}}";

    [Fact]
    public void A_namespace_that_discoverySelectors_leave_out_in_one_cluster_is_named_there()
    {
        var scenario = new TraceScenario();
        scenario.Client = scenario.ClientOfOne;
        scenario.One += """

            ---
            {apiVersion: v1, kind: ConfigMap, metadata: {name: istio, namespace: istio-system}, data: {mesh: "discoverySelectors: [{matchLabels: {mesh: joined}}]"}}
            ---
            {apiVersion: v1, kind: Namespace, metadata: {name: shop, labels: {mesh: joined}}}
            """;
        scenario.Two += "\n---\n{apiVersion: v1, kind: Namespace, metadata: {name: shop}}";
        var problem = scenario.Walk().Hops.Single(hop => hop.Name == "capacity").Problem!;
        Assert.Equal(("ISM2105", "Namespace shop in c2", "metadata.labels"), (problem.Code, problem.Object, problem.Path));
        Assert.Equal("kubectl --context=c2 label namespace shop mesh=joined --overwrite; or add a selector", problem.Remedy);
    }

    /// <summary>Other labels of the namespace in the other cluster have nothing to do with it.</summary>
    [Theory]
    [InlineData("matchLabels: {mesh: joined}", "mesh: left, istio-injection: disabled",
        "kubectl --context=c2 label namespace shop mesh=joined --overwrite; or add a selector")]
    [InlineData("matchExpressions: [{key: apart, operator: DoesNotExist}]", "apart: 'true'",
        "label the namespace so that a selector matches it, or add a selector")]
    public void Only_what_a_selector_asks_for_is_advised(string selector, string labels, string remedy)
    {
        var scenario = new TraceScenario();
        scenario.Client = scenario.ClientOfOne;
        scenario.One += "\n---\n{apiVersion: v1, kind: ConfigMap, metadata: {name: istio, namespace: istio-system}, data: {mesh: \"discoverySelectors: "
            + $"[{{{selector}}}]\"}}}}\n---\n"
            + "{apiVersion: v1, kind: Namespace, metadata: {name: shop, labels: {mesh: joined, istio-injection: enabled}}}";
        scenario.Two += $"\n---\n{{apiVersion: v1, kind: Namespace, metadata: {{name: shop, labels: {{{labels}}}}}}}";
        var problem = scenario.Walk().Hops.Single(hop => hop.Name == "capacity").Problem!;
        Assert.Equal(("ISM2105", "Namespace shop in c2", remedy), (problem.Code, problem.Object, problem.Remedy));
    }

    [Fact]
    public void A_Pod_with_the_label_of_another_clusters_network_is_named_where_calls_do_not_arrive()
    {
        var scenario = new TraceScenario { Call = new("GET /", false, 0, 5000, "172.18.2.1:15443", "", "", []) { IsOutOfTime = true } };
        scenario.Two = Put(scenario.Two, "{name: orders-b, namespace: shop, labels: {app: orders",
            "{name: orders-b, namespace: shop, labels: {topology.istio.io/network: n1, app: orders");
        var problem = scenario.Walk().Failure!.Problem!;
        Assert.Equal(("Pod shop/orders-b in c2", "metadata.labels[topology.istio.io/network]"), (problem.Object, problem.Path));
        Assert.StartsWith("remove the label from what the Pod is made from", problem.Remedy, StringComparison.Ordinal);
    }

    [Fact]
    public void A_Pod_in_a_network_that_meshNetworks_defines_is_not_said_to_be_elsewhere()
    {
        var scenario = new TraceScenario { Call = new("GET /", false, 0, 5000, "172.18.2.1:15443", "", "", []) { IsOutOfTime = true } };
        scenario.Two = Put(scenario.Two, "{name: orders-b, namespace: shop, labels: {app: orders",
            "{name: orders-b, namespace: shop, labels: {topology.istio.io/network: n1, app: orders");
        scenario.One += "\n---\n{apiVersion: v1, kind: ConfigMap, metadata: {name: istio, namespace: istio-system}, data: {mesh: '', "
            + "meshNetworks: 'networks: {n1: {endpoints: [{fromRegistry: c1}], gateways: [{address: 172.18.1.1, port: 15443}]}}'}}";
        Assert.DoesNotContain(scenario.Walk().Hops, hop => hop.Problem is { Code: "ISM1016", Object: "Pod shop/orders-b in c2" });
    }

    [Fact]
    public void Mutual_TLS_of_the_mesh_with_a_host_outside_is_the_rules_fault()
    {
        var scenario = new TraceScenario { Call = new("GET /", false, 0, 5000, "10.1.0.5:8080", "", "", []) { IsOutOfTime = true } };
        var page = JsonNode.Parse(scenario.ClientOfOne)!;
        var cluster = page["config_dump"]!["configs"]![0]!["dynamic_active_clusters"]![1]!["cluster"]!.AsObject();
        cluster["transport_socket"] = cluster["transport_socket_matches"]![0]!["transport_socket"]!.DeepClone();
        cluster.Remove("transport_socket_matches");
        const string rule = "/apis/networking.istio.io/v1alpha3/namespaces/shop/destination-rule/orders";
        cluster["metadata"] = new JsonObject { ["filter_metadata"] = new JsonObject { ["istio"] = new JsonObject { ["config"] = rule } } };
        scenario.Client = page.ToJsonString();
        scenario.One = Put(scenario.One, "podIP: 10.1.0.5", "podIP: 10.1.0.6") + "\n---\n{apiVersion: networking.istio.io/v1, kind: WorkloadEntry, "
            + "metadata: {name: outside, namespace: shop}, spec: {address: 10.1.0.5, labels: {app: orders}}}";
        Cause(scenario.Walk(), "ISM2067", "DestinationRule shop/orders in c1", "spec.trafficPolicy.tls.mode", "is ISTIO_MUTUAL");
    }

    [Theory]
    [InlineData("failed quota: q: must specify limits.cpu for: web", "set resources.requests and limits")]
    [InlineData("exceeded quota: q, requested: cpu=2", "raise the quota")]
    [InlineData("admission webhook denied the request: Pod: metadata.annotations[proxy.istio.io/config]: invalid value", "correct the annotation")]
    [InlineData("something else", "describe deployment orders")]
    public void Pods_that_are_refused_are_told_while_older_ones_answer(string why, string remedy)
    {
        var scenario = new TraceScenario();
        scenario.One = Put(scenario.One, Bare, $"{Bare}, status: {{conditions: [{{type: ReplicaFailure, status: 'True', message: '{why}'}}]}}");
        var facts = scenario.Facts();
        var problem = Assert.Single(LostParts.In(new(facts.Home, facts.Home.Service("shop", "orders")!), static _ => true));
        Assert.Equal(("ISM2048", "Deployment shop/orders in c1", "status"), (problem.Code, problem.Object, problem.Path));
        Assert.Contains(why, problem.Message, StringComparison.Ordinal);
        Assert.Contains(remedy, problem.Remedy, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("istiod.istio-system.svc:15010", "15012}", "takes no TLS")]
    [InlineData("istiod.istio-system.svc:15013", "15012}", "has no such port: it has 15012")]
    [InlineData("istiod.istio-system.svc:15012", "15012}", null)]
    [InlineData("istiod.elsewhere.svc:15012", "15012}", "no Service elsewhere/istiod is there")]
    public void A_proxy_that_asks_where_no_control_plane_answers_is_told(string address, string port, string? says)
    {
        var cluster = Unready("{name: istio-proxy, env: [{name: PROXY_CONFIG, value: '{\"discoveryAddress\": \"" + address + "\"}'}]}",
            "{name: istio-proxy, ready: false, state: {running: {}}}", "{apiVersion: v1, kind: Service, metadata: {name: istiod, namespace: istio-system}, "
                + $"spec: {{ports: [{{port: {port}]}}}}");
        var problem = UnreadyPods.Of(cluster, cluster.Pods[0]);
        Assert.Equal(says is null ? "ISM2047" : "ISM2003", problem.Code);
        Assert.Contains(says ?? "readiness probe", problem.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(15020, "ISM2111")]
    [InlineData(8080, "ISM2047")]
    public void A_proxy_that_ends_because_the_application_has_its_port_is_told(int port, string code)
    {
        var cluster = Unready("{name: istio-proxy}", "{name: istio-proxy, ready: false, lastState: {terminated: {exitCode: 1}}, "
            + "state: {waiting: {reason: CrashLoopBackOff}}}", "", $", ports: [{{containerPort: {port}}}]");
        Assert.Equal(code, UnreadyPods.Of(cluster, cluster.Pods[0]).Code);
    }

    [Theory]
    [InlineData("{name: istio-proxy}", "web", "exitCode: 1", "ISM2111")]
    [InlineData("{name: istio-proxy}", "web", "exitCode: 137, reason: OOMKilled", "ISM2047")]
    [InlineData("{name: istio-proxy}, {name: cache}", "cache", "exitCode: 1", "ISM2047")]
    [InlineData("{name: cache}", "web", "exitCode: 1", "ISM2047")]
    public void Only_a_program_that_could_not_listen_at_the_proxys_port_is_told_of_it(string others, string ending, string how, string code)
    {
        var cluster = Unready(others,
            $"{{name: {ending}, ready: false, lastState: {{terminated: {{{how}}}}}, state: {{waiting: {{reason: CrashLoopBackOff}}}}}}",
            "", ", ports: [{containerPort: 15020}]");
        Assert.Equal(code, UnreadyPods.Of(cluster, cluster.Pods[0]).Code);
    }

    private static ClusterObjects Unready(string proxy, string status, string more, string ports = "") => ClusterObjects.From("c1",
        YamlText.ParseAll("{apiVersion: v1, kind: Pod, metadata: {name: web, namespace: shop}, "
            + $"spec: {{containers: [{{name: web{ports}}}, {proxy}]}}, status: {{phase: Running, containerStatuses: [{status}]}}}}"
            + (more.Length > 0 ? $"\n---\n{more}" : ""), "c1").OfType<JsonObject>());

    private static string Entry(string ports, string network) => $$$"""
        {apiVersion: networking.istio.io/v1, kind: ServiceEntry, metadata: {name: vm, namespace: shop},
         spec: {hosts: [vm.example.com], location: MESH_INTERNAL, resolution: STATIC, ports: [{number: 8080, name: http, protocol: HTTP}],
          workloadSelector: {labels: {app: vm} } } }
        ---
        {apiVersion: networking.istio.io/v1, kind: WorkloadEntry, metadata: {name: vm, namespace: shop}, spec: {address: 10.1.9.9, labels: {app: vm}, ports: {{{ports}}}, {{{network}}} } }
        """;

    /// <summary>The caller's DNS has no address for a name.</summary>
    private static TraceScenario Unresolved(string host)
    {
        var scenario = new TraceScenario();
        scenario.Client = Put(Put(scenario.Client, "\"host\": \"orders\"", $"\"host\": \"{host}\""), "\"addresses\": [\"10.96.0.5\"]", "\"addresses\": []");
        return scenario;
    }

    private static TraceFacts Facts(string objects)
    {
        var scenario = new TraceScenario();
        scenario.One += $"\n---\n{objects}";
        return scenario.Facts();
    }

    private static TraceCauses Causes(TraceFacts facts) => new(facts, new(facts));

    private static Problem Cause(CallTrace trace, string code, string owner, string path, string says)
    {
        var problem = trace.Failure?.Problem;
        Assert.True(problem is not null, TraceText.Write(trace, details: true));
        Assert.Equal((code, owner, path), (problem.Code, problem.Object, problem.Path));
        Assert.Contains(says, problem.Message, StringComparison.Ordinal);
        return problem;
    }

    private static string Put(string text, string old, string now)
    {
        Assert.Contains(old, text, StringComparison.Ordinal);
        return text.Replace(old, now, StringComparison.Ordinal);
    }
}
