using System.Globalization;
using Isthmus.ControlPlane.Push;
using Isthmus.Rigs.Mesh;
using Xunit;

namespace Isthmus.Tests.ControlPlane.Security;

/// <summary>What AuthorizationPolicies cost proxies that they do not select.</summary>
public sealed class PolicyWorkTests
{
    private readonly MeshRig _rig = new("c1");
    private readonly ProxyFeed _orders;

    public PolicyWorkTests()
    {
        _rig.App("c1", "orders", "10.96.0.10", "10.244.0.1");
        _orders = _rig.Sidecar("c1", "orders-10.244.0.1", "10.244.0.1");
        _rig.Push();
    }

    [Theory]
    [InlineData("shop", "selector: {matchLabels: {app: other}}, ")]
    [InlineData("istio-system", "selector: {matchLabels: {app: other}}, ")]
    [InlineData("tenant", "")]
    [InlineData("tenant", "selector: {matchLabels: {app: orders}}, ")]
    public void Policies_that_do_not_select_a_proxy_send_it_nothing(string ns, string selector)
    {
        Add("own", "shop", "selector: {matchLabels: {app: orders}}, ");
        _rig.Push();
        var before = MeshRig.Versions(_orders);
        var snapshot = _orders.Snapshot;
        var effect = _rig.Effects(() =>
        {
            for (var number = 0; number < 300; number++) Add($"p{number}", ns, selector);
        });
        Assert.Empty(_rig.Mesh.Sources.Problems.Items);
        Assert.Equal(301, _rig.Mesh.Sources.AuthorizationPolicies.Items.Count);
        Assert.Equal((0, 0), (effect.Proxies, effect.Types.Count));
        Assert.Equal(before, MeshRig.Versions(_orders));
        Assert.Same(snapshot, _orders.Snapshot);
        // The rig sees changes: one more that does select it arrives.
        Assert.Equal(1, _rig.Effects(() => Add("late", "shop", "selector: {matchLabels: {app: orders}}, ")).Proxies);
    }

    private void Add(string name, string ns, string selector) => _rig.Config(string.Create(CultureInfo.InvariantCulture, $$"""
        apiVersion: security.istio.io/v1
        kind: AuthorizationPolicy
        metadata: {name: {{name}}, namespace: {{ns}} }
        spec: { {{selector}}action: DENY, rules: [{to: [{operation: {paths: [/{{name}}]} }] }] }
        """));
}
