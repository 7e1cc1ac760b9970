using Xunit;

namespace Isthmus.Tests.Tracing;

/// <summary>Callers whose proxy does not answer DNS queries, although MeshConfig would have it do so (tests/operator-faults.tsv).</summary>
public sealed class DnsCaptureTests
{
    private const string Annotated = ", annotations: {proxy.istio.io/config: '{proxyMetadata: {ISTIO_META_DNS_CAPTURE: \"false\"}}'}", On = """

        ---
        apiVersion: v1
        kind: ConfigMap
        metadata: {name: istio, namespace: istio-system}
        data: {mesh: '{defaultConfig: {proxyMetadata: {ISTIO_META_DNS_CAPTURE: "true"}}}'}
        """, Configured = """

        ---
        apiVersion: networking.istio.io/v1beta1
        kind: ProxyConfig
        metadata: {name: quiet, namespace: shop}
        spec: {selector: {matchLabels: {app: buyer}}, environmentVariables: {ISTIO_META_DNS_CAPTURE: "false"}}
        """;

    [Theory]
    [InlineData(Annotated, On, "Pod shop/buyer in c1", "metadata.annotations[proxy.istio.io/config]",
        "sets ISTIO_META_DNS_CAPTURE to false, while ConfigMap istio-system/istio in c1 sets it to true. So the caller's names",
        "remove ISTIO_META_DNS_CAPTURE from that annotation of the Pod; or create the Service in c1 as well")]
    [InlineData(Annotated, "", "Pod shop/buyer in c1", "metadata.annotations[proxy.istio.io/config]", "sets ISTIO_META_DNS_CAPTURE to false. So",
        "set ISTIO_META_DNS_CAPTURE to \"true\" in that annotation of the Pod")]
    [InlineData("", On + Configured, "ProxyConfig shop/quiet in c1", "spec.environmentVariables[ISTIO_META_DNS_CAPTURE]",
        "sets ISTIO_META_DNS_CAPTURE to false for the caller", "remove it there, and restart the caller's Pod")]
    [InlineData("", On, "Pod shop/buyer in c1", "",
        "has a proxy without DNS capture, which ConfigMap istio-system/istio in c1 sets (ISTIO_META_DNS_CAPTURE): the Pod was made before that",
        "restart the Pod (")]
    [InlineData("", "", "Service shop/orders", "", "only in c2, and the caller's names are resolved by the cluster's DNS",
        "create the Service in c1 as well (without Pods), or set ISTIO_META_DNS_CAPTURE")]
    public void What_keeps_the_proxy_of_the_caller_from_answering_names_is_told(string annotations, string objects, string owner, string path, string says,
        string remedy)
    {
        var problem = WithoutCapture(annotations, objects, isServiceHere: false).Walk().Failure?.Problem;
        Assert.Equal(("ISM2011", owner, path), (problem?.Code, problem?.Object, problem?.Path));
        Assert.Contains(says, problem!.Message, StringComparison.Ordinal);
        Assert.StartsWith(remedy, problem.Remedy, StringComparison.Ordinal);
    }

    /// <summary>Somebody deleted it with the Service: a Service alone cannot be created.</summary>
    [Fact]
    public void A_namespace_that_the_cluster_of_the_caller_lacks_is_told()
    {
        var scenario = WithoutCapture("", "", isServiceHere: false);
        scenario.Two = scenario.Two.Replace("namespace: shop", "namespace: pay", StringComparison.Ordinal);
        scenario.Client = scenario.Client.Replace("\"host\": \"orders\"", "\"host\": \"orders.pay\"", StringComparison.Ordinal);
        var problem = scenario.Walk("orders.pay").Failure?.Problem;
        Assert.Equal(("ISM2011", "Service pay/orders"), (problem?.Code, problem?.Object));
        Assert.StartsWith("does not exist in c1, which has no namespace pay, only in c2", problem!.Message, StringComparison.Ordinal);
        Assert.StartsWith("create namespace pay and the Service in c1 as well", problem.Remedy, StringComparison.Ordinal);
    }

    /// <summary>A restart would not help.</summary>
    [Theory]
    [InlineData("Deployment shop/buyer in c1", "spec.template.spec.containers[istio-proxy].env[ISTIO_META_DNS_CAPTURE]", false)]
    [InlineData("Service shop/orders", "", true)]
    public void What_the_template_or_another_revision_says_counts(string owner, string path, bool isOfRevision)
    {
        const string Made = ", pod-template-hash: x1}, ownerReferences: [{controller: true, kind: ReplicaSet, name: buyer-x1}]", Quiet = """

            ---
            apiVersion: v1
            kind: ConfigMap
            metadata: {name: istio-canary, namespace: istio-system}
            data: {mesh: 'trustDomain: cluster.local'}
            """, Template = """

            ---
            apiVersion: apps/v1
            kind: Deployment
            metadata: {name: buyer, namespace: shop}
            spec: {template: {spec: {containers: [{name: istio-proxy, env: [{name: ISTIO_META_DNS_CAPTURE, value: "false"}]}]}}}
            """;
        var scenario = WithoutCapture(isOfRevision ? ", annotations: {sidecar.istio.io/status: '{\"revision\": \"canary\"}'}" : "",
            On + (isOfRevision ? Quiet : Template), isServiceHere: false);
        scenario.One = scenario.One.Replace("labels: {app: buyer}", $"labels: {{app: buyer{Made}", StringComparison.Ordinal);
        var problem = scenario.Walk().Failure?.Problem;
        Assert.Equal(("ISM2011", owner, path), (problem?.Code, problem?.Object, problem?.Path));
    }

    [Fact]
    public void The_same_is_told_of_the_name_of_a_ServiceEntry()
    {
        var scenario = WithoutCapture("", On, isServiceHere: true);
        scenario.One += "\n---\n{apiVersion: networking.istio.io/v1, kind: ServiceEntry, metadata: {name: api, namespace: shop}, spec: {hosts: "
            + "[api.example.com], location: MESH_EXTERNAL, resolution: DNS, ports: [{number: 80, name: http, protocol: HTTP}]}}";
        scenario.Client = scenario.Client.Replace("\"host\": \"orders\"", "\"host\": \"api.example.com\"", StringComparison.Ordinal);
        var problem = scenario.Walk("api.example.com").Failure?.Problem;
        Assert.Equal(("ISM2098", "Pod shop/buyer in c1"), (problem?.Code, problem?.Object));
        Assert.StartsWith("restart the Pod (", problem!.Remedy, StringComparison.Ordinal);
    }

    /// <summary>What the control plane runs with is not what the operator wrote.</summary>
    [Fact]
    public void Settings_that_nobody_can_read_are_told()
    {
        var problem = WithoutCapture("", "\n---\n{apiVersion: v1, kind: ConfigMap, metadata: {name: istio, namespace: istio-system}, data: {mesh: "
            + "\"accessLogFile: /dev/stdout\\n\\taccessLogEncoding: JSON\\n\"}}", isServiceHere: false).Walk().Failure?.Problem;
        Assert.Equal(("ISM2170", "ConfigMap istio-system/istio in c1", "data.mesh"), (problem?.Code, problem?.Object, problem?.Path));
        Assert.StartsWith("correct it: kubectl --context=c1 -n istio-system edit configmap istio", problem!.Remedy, StringComparison.Ordinal);
    }

    /// <summary>The sidecar answers names, and has none of a Service that the mesh keeps to the cluster which has it.</summary>
    [Fact]
    public void A_Service_of_another_cluster_that_the_mesh_keeps_there_is_told()
    {
        var scenario = WithoutCapture("", "\n---\n{apiVersion: v1, kind: ConfigMap, metadata: {name: istio, namespace: istio-system}, data: {mesh: "
            + "\"serviceSettings: [{settings: {clusterLocal: true}, hosts: ['*.shop.svc.cluster.local']}]\"}}", isServiceHere: false);
        scenario.Client = scenario.Client.Replace("\"dns_capture\": false", "\"dns_capture\": true", StringComparison.Ordinal);
        var problem = scenario.Walk().Failure?.Problem;
        Assert.Equal(("ISM2100", "ConfigMap istio-system/istio in c1"), (problem?.Code, problem?.Object));
        Assert.Contains("its only ready Pods are in c2", problem!.Message, StringComparison.Ordinal);
    }

    private static TraceScenario WithoutCapture(string annotations, string objects, bool isServiceHere)
    {
        var scenario = new TraceScenario();
        scenario.One = string.Join("\n---\n", scenario.One.Split("---")
            .Where(document => isServiceHere || !document.Contains("kind: Service, metadata: {name: orders", StringComparison.Ordinal))
            .Select(document => document.Trim()))
            .Replace("labels: {app: buyer}}", $"labels: {{app: buyer}}{annotations}}}", StringComparison.Ordinal) + objects;
        scenario.Client = scenario.Client.Replace("\"dns_capture\": true", "\"dns_capture\": false", StringComparison.Ordinal)
            .Replace("[\"10.96.0.5\"], \"by\": \"sidecar\"", "[], \"by\": \"\"", StringComparison.Ordinal);
        return scenario;
    }
}
