using Isthmus.ControlPlane.Push;
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
                ["front of shop"] = Front(rig, MeshRig.Namespace), ["front of other"] = Front(rig, "other"), [$"front of {Root}"] = Front(rig, Root),
                ["back of shop"] = rig.Router("c1", "back", labels: Named("back")), ["app of shop"] = rig.Sidecar("c1"),
            };
            rig.Push();
            var before = proxies.ToDictionary(one => one.Key, one => MeshRig.Versions(one.Value));
            rig.Config(text.Replace("TARGET", Target, StringComparison.Ordinal) + $"\nmetadata: {{name: one, namespace: {ns}}}");
            rig.Push();
            Assert.Equal([$"front of {ns}"], proxies.Where(one => !MeshRig.Versions(one.Value).SequenceEqual(before[one.Key])).Select(one => one.Key));
        }
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

    private static ProxyFeed Front(MeshRig rig, string ns) => rig.Router("c1", "front", labels: Named("front"), ns: ns);

    private static Dictionary<string, string> Named(string gateway) => new() { ["gateway.networking.k8s.io/gateway-name"] = gateway, ["door"] = "yes" };
}
