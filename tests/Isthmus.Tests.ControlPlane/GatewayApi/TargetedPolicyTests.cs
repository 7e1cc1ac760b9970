using System.Text.Json.Nodes;
using Isthmus.ControlPlane.Push;
using Isthmus.Kubernetes.Objects;
using Isthmus.Rigs.Mesh;
using Xunit;

namespace Isthmus.Tests.ControlPlane.GatewayApi;

/// <summary>Objects that name a Gateway of the Gateway API (<c>targetRef</c>, <c>targetRefs</c>) apply to its Pods, and to no others.</summary>
public sealed class TargetedPolicyTests
{
    private const string Root = "istio-system", Target = "{group: gateway.networking.k8s.io, kind: Gateway, name: front}";

    public static TheoryData<string> Objects =>
    [
        "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nspec: {targetRefs: [TARGET], action: DENY, rules: [{}]}",
        "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nspec: {targetRef: TARGET, rules: [{from: [{source: {namespaces: [a]}}]}]}",
        "apiVersion: security.istio.io/v1\nkind: RequestAuthentication\nspec: {targetRefs: [TARGET], jwtRules: [{issuer: a, jwks: '{\"keys\":[]}'}]}",
        "apiVersion: telemetry.istio.io/v1\nkind: Telemetry\nspec: {targetRefs: [TARGET], accessLogging: [{providers: [{name: envoy}]}]}",
        "apiVersion: networking.istio.io/v1alpha3\nkind: EnvoyFilter\n"
            + "spec: {targetRefs: [TARGET], configPatches: [{applyTo: CLUSTER, patch: {operation: MERGE, value: {connect_timeout: 3s}}}]}",
    ];

    [Theory]
    [MemberData(nameof(Objects))]
    public void An_object_changes_the_Pods_of_its_Gateway_only(string text)
    {
        foreach (var ns in (string[])[MeshRig.Namespace, "other", Root])
        {
            var rig = new MeshRig("c1");
            rig.App("c1", "app", "10.96.1.1", "10.244.1.1");
            rig.Config(Served);
            var proxies = new Dictionary<string, ProxyFeed>(StringComparer.Ordinal)
            {
                ["front of shop"] = Gateway(rig, "front", MeshRig.Namespace, 1), ["front of other"] = Gateway(rig, "front", "other", 2),
                [$"front of {Root}"] = Gateway(rig, "front", Root, 3),
                ["back of shop"] = Gateway(rig, "back", MeshRig.Namespace, 4), ["app of shop"] = rig.Sidecar("c1"),
            };
            rig.Push();
            var before = proxies.ToDictionary(one => one.Key, one => MeshRig.Versions(one.Value));
            rig.Config(text.Replace("TARGET", Target, StringComparison.Ordinal) + $"\nmetadata: {{name: one, namespace: {ns}}}");
            rig.Push();
            Assert.Equal([$"front of {ns}"], proxies.Where(one => !MeshRig.Versions(one.Value).SequenceEqual(before[one.Key])).Select(one => one.Key));
        }
    }

    [Theory]
    [MemberData(nameof(Objects))]
    public void An_object_may_have_several_Gateways(string text)
    {
        var rig = new MeshRig("c1");
        rig.App("c1", "app", "10.96.1.1", "10.244.1.1");
        rig.Config(Served);
        var proxies = new Dictionary<string, ProxyFeed>(StringComparer.Ordinal)
        {
            ["front"] = Gateway(rig, "front", MeshRig.Namespace, 1), ["back"] = Gateway(rig, "back", MeshRig.Namespace, 2),
            ["side"] = Gateway(rig, "side", MeshRig.Namespace, 3), ["back of other"] = Gateway(rig, "back", "other", 4), ["app"] = rig.Sidecar("c1"),
        };
        rig.Push();
        var before = proxies.ToDictionary(one => one.Key, one => MeshRig.Versions(one.Value));
        var both = text.Replace("targetRef: TARGET", "targetRefs: [TARGET]", StringComparison.Ordinal)
            .Replace("[TARGET]", $"[{Target}, {Target.Replace("front", "back", StringComparison.Ordinal)}]", StringComparison.Ordinal);
        rig.Config(both + $"\nmetadata: {{name: one, namespace: {MeshRig.Namespace}}}");
        rig.Push();
        Assert.Equal(["front", "back"], proxies.Where(one => !MeshRig.Versions(one.Value).SequenceEqual(before[one.Key])).Select(one => one.Key));
    }

    /// <summary>A listener for each gateway, so that policies have something to change.</summary>
    private const string Served = """
        apiVersion: networking.istio.io/v1
        kind: Gateway
        metadata: {name: doors, namespace: shop}
        spec: {selector: {door: 'yes'}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ['*/*']}]}
        ---
        apiVersion: networking.istio.io/v1
        kind: VirtualService
        metadata: {name: app, namespace: shop}
        spec: {hosts: [app.example.com], gateways: [doors], http: [{route: [{destination: {host: app}}]}]}
        """;

    private static ProxyFeed Gateway(MeshRig rig, string name, string ns, int number)
    {
        rig.Writer.Put("c1", new Service
        {
            Metadata = new() { Name = name, Namespace = ns },
            Spec = new()
            {
                Type = "ClusterIP", ClusterIP = $"10.96.0.{number}", ClusterIPs = [$"10.96.0.{number}"], Selector = { ["app"] = name },
                Ports = { new() { Name = "http", Port = 80, TargetPort = JsonValue.Create(8080) } },
            },
        });
        return rig.Router("c1", name, labels: new() { ["gateway.networking.k8s.io/gateway-name"] = name, ["door"] = "yes" }, ns: ns);
    }
}
