using System.Text.Json.Nodes;
using Isthmus.Core.Collections;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Operate.Diagnose.Analysis;
using Isthmus.Operate.Inventory;
using Xunit;

namespace Isthmus.Tests.Operate.Diagnose.Analysis;

public sealed class CredentialReferencesTests
{
    private const string Objects = """
        {apiVersion: networking.istio.io/v1, kind: Gateway, metadata: {name: front, namespace: shop}, spec: {selector: {istio: ingress}, servers: [
          {port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]},
          {port: {number: 443, name: https, protocol: HTTPS}, hosts: [shop.example], tls: {mode: SIMPLE, credentialName: front}}]}}
        ---
        {apiVersion: v1, kind: Pod, metadata: {name: gw, namespace: istio-system, labels: {istio: ingress}}, spec: {containers: [{name: istio-proxy}]}}
        """;

    [Fact]
    public void A_gateway_that_names_a_missing_or_broken_secret_is_named_with_the_server()
    {
        var reference = Assert.Single(CredentialReferences.Of(Cluster([])));
        Assert.Equal(("istio-system", "front"), (reference.Namespace, reference.Name));
        var finding = Assert.Single(Isthmus.Operate.Diagnose.Analysis.Analysis.Run([Cluster(new() { ["istio-system/front"] = "does not exist" })]));
        Assert.Equal(("IST0101", "Gateway shop/front", "spec.servers[1].tls.credentialName"),
            (finding.Problem.Code, finding.Problem.Object, finding.Problem.Path));
        Assert.Equal("Referenced credentialName not found: \"front\" (Secret istio-system/front does not exist)", finding.Problem.Message);
        Assert.Empty(Isthmus.Operate.Diagnose.Analysis.Analysis.Run([Cluster(new() { ["istio-system/front"] = "" })]));
        Assert.Empty(Isthmus.Operate.Diagnose.Analysis.Analysis.Run([Cluster([])])); // nobody may read it
    }

    /// <summary>Gateways have the Secrets of their own namespace.</summary>
    [Theory]
    [InlineData("", ": gateways have the Secrets of their own namespace, and Secret shop/front is not there",
        "copy it: kubectl --context=c1 -n shop get secret front -o yaml | sed 's/namespace: shop$/namespace: istio-system/' | kubectl --context=c1 apply -f -")]
    [InlineData("does not exist", "", "create the Secret in namespace istio-system, or correct the name")]
    public void A_Secret_in_the_namespace_of_the_Ingress_is_told_with_how_to_copy_it(string own, string says, string remedy)
    {
        var cluster = ClusterInventory.From("c1", YamlText.ParseAll("""
            {apiVersion: v1, kind: Pod, metadata: {name: gw, namespace: istio-system, labels: {istio: ingressgateway}}, spec: {containers: [{name: istio-proxy}]}}
            ---
            {apiVersion: networking.k8s.io/v1, kind: IngressClass, metadata: {name: istio}, spec: {controller: istio.io/ingress-controller}}
            ---
            {apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {name: hello, namespace: shop}, spec: {ingressClassName: istio, tls: [{secretName: front}]}}
            """, "c1").OfType<JsonObject>()).WithCredentials(new Dictionary<string, string>
            {
                ["istio-system/front"] = "does not exist", ["shop/front"] = own,
            }.ToValueMap());
        Assert.Equal("shop", Assert.Single(CredentialReferences.Of(cluster)).Own);
        var problem = Assert.Single(CredentialReferences.Check([cluster])).Problem;
        Assert.Equal(("IST0101", "Ingress shop/hello", "spec.tls[0].secretName", remedy), (problem.Code, problem.Object, problem.Path, problem.Remedy));
        Assert.EndsWith($"(Secret istio-system/front does not exist){says}", problem.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_gateway_whose_account_may_not_list_Secrets_is_named_with_the_account()
    {
        var reference = Assert.Single(CredentialReferences.Of(Cluster([])));
        Assert.Equal(["default"], reference.Accounts);
        var finding = Assert.Single(
            CredentialReferences.Check([Cluster(new() { ["istio-system/front"] = "", [reference.KeyOf("default")] = "it may not list Secrets there" })]));
        Assert.Equal(("IST0161", "spec.servers[1].tls.credentialName",
            "Secret istio-system/front is not sent to gateways of ServiceAccount istio-system/default: it may not list Secrets there"),
            (finding.Problem.Code, finding.Problem.Path, finding.Problem.Message));
    }

    [Theory]
    [InlineData(1, "edge, shop")]
    [InlineData(0, "edge", "")] // another revision reads all
    [InlineData(0, "edge", "istio-system")]
    [InlineData(1, "edge", "shop")]
    [InlineData(0, "")]
    public void A_namespace_whose_Secrets_no_control_plane_reads_is_named(int findings, params string[] scopes)
    {
        var planes = scopes.Select((scope, index) => $$$"""
            {apiVersion: v1, kind: Pod, metadata: {name: istiod-{{{index}}}, namespace: istio-system, labels: {app: istiod} },
             spec: {containers: [{name: discovery, env: [{name: ISTHMUS_SECRET_NAMESPACES, value: "{{{scope}}}"}]}]} }
            """);
        var cluster = ClusterInventory.From("c1", YamlText.ParseAll(string.Join("\n---\n", planes.Prepend(Objects)), "c1").OfType<JsonObject>());
        var found = CredentialReferences.Check([cluster]).Select(finding => finding.Problem).ToList();
        Assert.Equal(findings, found.Count);
        Assert.All(found, problem => Assert.Equal(("IST0161", "Gateway shop/front", "spec.servers[1].tls.credentialName",
            "Secret istio-system/front is not read: ISTHMUS_SECRET_NAMESPACES of the control plane (edge,shop) leaves out namespace istio-system"),
            (problem.Code, problem.Object, problem.Path, problem.Message)));
    }

    [Fact]
    public void The_CA_of_clients_is_part_of_what_a_server_that_asks_for_certificates_needs()
    {
        var mutual = Objects.Replace("SIMPLE", "MUTUAL", StringComparison.Ordinal);
        var cluster = ClusterInventory.From("c1", YamlText.ParseAll(mutual, "c1").OfType<JsonObject>());
        var reference = Assert.Single(CredentialReferences.Of(cluster));
        Assert.Equal(("istio-system/front with CA", true), (reference.Key, reference.ChecksClients));
        var finding = Assert.Single(
            CredentialReferences.Check([cluster.WithCredentials(new Dictionary<string, string>
            {
                [reference.Key] = "holds a certificate revocation list (ca.crl), which is not supported"
            }.ToValueMap())]));
        Assert.Equal(("IST0161", "Secret istio-system/front holds a certificate revocation list (ca.crl), which is not supported"),
            (finding.Problem.Code, finding.Problem.Message));
    }

    [Theory]
    [InlineData("", false, "")]
    [InlineData("", true, "")]
    [InlineData("other", false, "")]
    [InlineData("other", true, "IST0101 does not exist")]
    [InlineData("front", true, "IST0161 holds no private key")]
    [InlineData("front", false, "IST0161 holds no private key")]
    public void Secrets_of_files_replace_those_of_the_cluster_and_the_rest_is_missing_only_without_one(string secret, bool isAll, string expected)
    {
        var files = YamlText.ParseAll(Objects, "c1")
            .Concat(secret.Length == 0
                ? []
                : YamlText.ParseAll($$"""{apiVersion: v1, kind: Secret, metadata: {name: {{secret}}, namespace: istio-system}, stringData: {tls.crt: a} }""",
                    "file"))
            .OfType<JsonObject>().ToList();
        var cluster = CredentialReferences.WithSecrets(Cluster(new() { ["istio-system/front"] = "" }), files, isAll);
        var found = Isthmus.Operate.Diagnose.Analysis.Analysis.Run([cluster]).Select(finding => $"{finding.Problem.Code} {finding.Problem.Message}").ToList();
        Assert.Equal(expected.Length == 0 ? 0 : 1, found.Count);
        Assert.All(found,
            text => Assert.True(text.StartsWith(expected[..7], StringComparison.Ordinal) && text.Contains(expected[8..], StringComparison.Ordinal), text));
    }

    [Fact]
    public void The_CA_of_clients_may_be_in_a_file_of_its_own()
    {
        var (certificate, key) = Isthmus.Testing.TestCa.SelfSignedPair("shop.example");
        var pair = new JsonObject
        {
            ["apiVersion"] = "v1", ["kind"] = "Secret", ["metadata"] = new JsonObject { ["name"] = "front", ["namespace"] = "istio-system" },
            ["stringData"] = new JsonObject { ["tls.crt"] = certificate, ["tls.key"] = key }
        };
        var ca = new JsonObject
        {
            ["apiVersion"] = "v1", ["kind"] = "Secret", ["metadata"] = new JsonObject { ["name"] = "front-cacert", ["namespace"] = "istio-system" },
            ["stringData"] = new JsonObject { ["ca.crt"] = certificate }
        };
        var mutual = YamlText.ParseAll(Objects.Replace("SIMPLE", "MUTUAL", StringComparison.Ordinal), "c1").OfType<JsonObject>().ToList();
        IEnumerable<string> Found(params JsonObject[] secrets) =>
            Isthmus.Operate.Diagnose.Analysis.Analysis.Run([CredentialReferences.WithSecrets(ClusterInventory.From("c1", mutual), secrets, isAll: true)])
                .Select(finding => finding.Problem.Code);
        Assert.Equal("IST0161", Assert.Single(Found(pair)));
        Assert.Empty(Found(pair, ca));
    }

    private static ClusterInventory Cluster(Dictionary<string, string> credentials) =>
        ClusterInventory.From("c1", YamlText.ParseAll(Objects, "c1").OfType<JsonObject>()).WithCredentials(credentials.ToValueMap());
}
