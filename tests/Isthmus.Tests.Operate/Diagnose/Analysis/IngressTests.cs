using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Operate.Inventory;
using Xunit;

namespace Isthmus.Tests.Operate.Diagnose.Analysis;

public sealed class IngressTests
{
    private const string Class =
        "{apiVersion: networking.k8s.io/v1, kind: IngressClass, metadata: {name: web}, spec: {controller: istio.io/ingress-controller}}";

    private const string Other = "{apiVersion: networking.k8s.io/v1, kind: IngressClass, metadata: {name: other}, spec: {controller: example.com/other}}";

    private const string Pod = "{apiVersion: v1, kind: Pod, metadata: {name: door, namespace: shop, labels: {istio: ingressgateway}}}";

    private const string Service = "{apiVersion: v1, kind: Service, metadata: {name: shop, namespace: shop}, spec: {ports: [{name: http, port: 80}]}}";

    [Theory]
    [InlineData("spec: {ingressClassName: istio}", "", "ISM1412 spec.ingressClassName: has no effect: there is no IngressClass \"istio\"")]
    [InlineData("spec: {ingressClassName: web}", "ingressControllerMode: 'OFF'", "ISM1412 : has no effect: ingressControllerMode of MeshConfig is OFF")]
    [InlineData("spec: {ingressClassName: web}", "ingressSelector: door",
        "ISM1412 : has no effect: gateways with the label istio=door serve Ingress objects (ingressSelector of MeshConfig), and no Pod has it")]
    [InlineData("spec: {ingressClassName: web}", "ingressService: door", "ISM1412 : has no effect: gateways with the label istio=door serve Ingress objects, and")]
    [InlineData("spec: {defaultBackend: {service: {name: shop, port: {number: 80}}}}", "ingressControllerMode: DEFAULT", "")]
    [InlineData("spec: {defaultBackend: {service: {name: shop, port: {number: 81}}}}", "ingressControllerMode: DEFAULT",
        "IST0101 spec.defaultBackend.service.port: Referenced port not found: \"81\"")]
    [InlineData("spec: {defaultBackend: {service: {name: shop, port: {number: 81}}}}", "", "")]
    [InlineData("spec: {ingressClassName: nginx, defaultBackend: {service: {name: none, port: {number: 81}}}}", "",
        "ISM1540 spec.ingressClassName: is nginx, and there is no IngressClass \"nginx\"")]
    [InlineData("spec: {ingressClassName: other, defaultBackend: {service: {name: none, port: {number: 81}}}}", "", "")]
    [InlineData("spec: {defaultBackend: {service: {name: none, port: {number: 81}}}}, metadata: {name: front, namespace: shop, annotations: "
        + "{kubernetes.io/ingress.class: nginx}}", "", "ISM1540 metadata.annotations[kubernetes.io/ingress.class]: is nginx")]
    [InlineData("spec: {ingressClassName: web, rules: [{http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: none, port: {name: http}}}}]}}]}",
        "", "IST0101 spec.rules[0].http.paths[0].backend.service.name: Referenced service not found: \"none\"")]
    [InlineData("spec: {ingressClassName: web, rules: [{http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: shop, port: {name: http}}}}]}}]}",
        "", "")]
    [InlineData("spec: {ingressClassName: web, rules: [{http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: shop, port: {name: web}}}}]}}]}",
        "", "IST0101 spec.rules[0].http.paths[0].backend.service.port: Referenced port not found: \"web\"")]
    [InlineData("spec: {ingressClassName: web, defaultBackend: {resource: {kind: Bucket, name: b}}}", "",
        "IST0101 spec.defaultBackend.resource: is not a Service")]
    public void What_is_wrong_with_an_Ingress_is_named(string spec, string mesh, string expected)
    {
        var metadata = spec.Contains("metadata:", StringComparison.Ordinal) ? "" : "metadata: {name: front, namespace: shop}, ";
        var ingress = $"{{apiVersion: networking.k8s.io/v1, kind: Ingress, {metadata}{spec}}}";
        var cluster = ClusterInventory.From("c1", ((string[])[ingress, Class, Other, Pod, Service]).Select(text => (JsonObject)YamlText.Parse(text, "c1")!));
        var findings = Isthmus.Operate.Diagnose.Analysis.Analysis.Run([cluster.WithMesh(mesh)]).Where(finding => finding.Problem.Object == "Ingress shop/front")
            .ToList();
        if (expected.Length == 0) Assert.Empty(findings);
        else Assert.StartsWith(expected,
            Assert.Single(findings) is var finding ? $"{finding.Problem.Code} {finding.Problem.Path}: {finding.Problem.Message}" : "",
            StringComparison.Ordinal);
    }
}
