using Isthmus.ControlPlane.Webhooks;
using Isthmus.Graph.Intake;
using Isthmus.Graph.Settings;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace Isthmus.Tests.ControlPlane.Webhooks;

public sealed class InjectorStateTests
{
    /// <summary>Proxies and the injector keep the same version of the ConfigMap.</summary>
    [Theory]
    [InlineData("trustDomain: new", "", true)]
    [InlineData("trustDomain: new\nenablePrometheusMerge: maybe", "", false)]
    [InlineData("trustDomain: new", "networks: [", false)]
    [InlineData("trustDomain: new", "networks: {n1: {gateways: [{address: 192.0.2.1, port: never}]}}", false)]
    public void A_version_with_errors_in_either_document_is_taken_by_neither(string mesh, string networks, bool isTaken)
    {
        using var client = new KubeClient(new() { Server = new("http://127.0.0.1:1") });
        var state = new InjectorState(client, new DiscoverySettings(), TimeProvider.System, NullLogger<InjectorState>.Instance);
        state.Take(Map("trustDomain: old", ""));
        var next = Map(mesh, networks);
        state.Take(next);
        Assert.Equal(isTaken, SettingsKind.StateOf("c1", next).IsValid);
        Assert.Equal(isTaken ? "new" : "old", state.Current.TrustDomain);
    }

    private static ConfigMap Map(string mesh, string networks) => new()
    {
        Metadata = new() { Name = "istio", Namespace = "istio-system" }, Data = { ["mesh"] = mesh, ["meshNetworks"] = networks },
    };
}
