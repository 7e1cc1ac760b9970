using Isthmus.Graph.Intake;
using Isthmus.Graph.Settings;
using Isthmus.Core.Problems;
using Isthmus.Mesh.Model;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace Isthmus.Tests.ControlPlane.Push;

public sealed class IgnoredResourcesTests
{
    [Theory]
    [InlineData("", "", "VirtualService Sidecar AuthorizationPolicy Ingress Service", "")]
    [InlineData("*.istio.io", "", "Ingress Service Pod ConfigMap", "VirtualService Sidecar AuthorizationPolicy Telemetry WasmPlugin")]
    [InlineData("*.networking.istio.io", "", "AuthorizationPolicy", "VirtualService Sidecar")]
    [InlineData("sidecars.networking.istio.io, ingresses.networking.k8s.io", "", "VirtualService IngressClass", "Sidecar Ingress")]
    [InlineData("*.istio.io", "gateways.networking.istio.io,*.security.istio.io", "Gateway AuthorizationPolicy", "VirtualService")]
    public void Ignored_kinds_are_not_read(string ignored, string included, string read, string left)
    {
        var settings = DiscoverySettings.Read([],
            name => name switch { "PILOT_IGNORE_RESOURCES" => ignored, "PILOT_INCLUDE_RESOURCES" => included, _ => null });
        var kinds = new MeshKinds(MultiClusterSettings.Default, "istio", "default", NullLogger<MeshKinds>.Instance) { Ignored = settings.Ignored };
        var names = kinds.All.Select(kind => kind.Resource.Kind).ToHashSet(StringComparer.Ordinal);
        Assert.All(read.Split(' ', StringSplitOptions.RemoveEmptyEntries), kind => Assert.Contains(kind, names));
        Assert.All(left.Split(' ', StringSplitOptions.RemoveEmptyEntries), kind => Assert.DoesNotContain(kind, names));
    }

    [Theory]
    [InlineData("PILOT_ENABLE_GATEWAY_API", "false", "VirtualService", "HTTPRoute GatewayClass ReferenceGrant")]
    [InlineData("PILOT_ENABLE_GATEWAY_API", "true", "HTTPRoute GatewayClass", "")]
    [InlineData("PILOT_ENABLE_ALPHA_GATEWAY_API", "true", "TCPRoute UDPRoute", "")]
    public void The_Gateway_API_is_read_unless_a_variable_turns_it_off(string name, string value, string read, string left)
    {
        // It is off, whatever else is named.
        var settings = DiscoverySettings.Read([],
            asked => asked == name
                ? value
                : asked == "PILOT_INCLUDE_RESOURCES" && left.Length > 0
                ? "httproutes.gateway.networking.k8s.io,*.networking.k8s.io"
                : null);
        var kinds = new MeshKinds(MultiClusterSettings.Default, "istio", "default", NullLogger<MeshKinds>.Instance) { Ignored = settings.Ignored };
        var names = kinds.All.Select(kind => kind.Resource.Kind).ToHashSet(StringComparer.Ordinal);
        Assert.All(read.Split(' '), kind => Assert.Contains(kind, names));
        Assert.All(left.Split(' ', StringSplitOptions.RemoveEmptyEntries), kind => Assert.DoesNotContain(kind, names));
    }

    [Theory]
    [InlineData("PILOT_ENABLE_ALPHA_GATEWAY_API", "false")]
    [InlineData("PILOT_ENABLE_GATEWAY_API_COPY_LABELS_ANNOTATIONS", "false")]
    [InlineData("PILOT_ENABLE_GATEWAY_API_STATUS", "maybe")]
    [InlineData("PILOT_GATEWAY_API_DEFAULT_GATEWAYCLASS_NAME", "mine")]
    [InlineData("PILOT_GATEWAY_API_CONTROLLER_NAME", "example.com/mine")]
    public void What_a_variable_of_the_Gateway_API_cannot_do_is_refused_by_its_name(string name, string value)
    {
        var error = Assert.Throws<ProblemException>(() => DiscoverySettings.Read([], asked => asked == name ? value : null));
        Assert.Contains(name, error.Message, StringComparison.Ordinal);
        Assert.NotEmpty(error.Problem.Remedy);
    }

    [Theory]
    [InlineData("pods")]
    [InlineData("*.")]
    [InlineData("endpointslices.discovery.k8s.io")]
    [InlineData("sidecars.networking.istio.io,secrets")]
    public void What_a_mesh_needs_cannot_be_ignored(string ignored)
    {
        var error = Assert.Throws<ProblemException>(() => DiscoverySettings.Read([], name => name == "PILOT_IGNORE_RESOURCES" ? ignored : null));
        Assert.Contains($"PILOT_IGNORE_RESOURCES: '{ignored.Split(',')[^1]}' names no kind that a control plane can do without", error.Message,
            StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("destinationrule.networking.istio.io",
        "networking.istio.io has no resource 'destinationrule' (did you mean destinationrules.networking.istio.io?)")]
    [InlineData("*.istio.io,httproute.gateway.networking.k8s.io",
        "gateway.networking.k8s.io has no resource 'httproute' (did you mean httproutes.gateway.networking.k8s.io?)")]
    [InlineData("nonsense.networking.k8s.io",
        "networking.k8s.io has no resource 'nonsense' (resources of networking.k8s.io: ingresses, ingressclasses, networkpolicies)")]
    public void A_resource_that_does_not_exist_is_refused(string ignored, string message)
    {
        var error = Assert.Throws<ProblemException>(() => DiscoverySettings.Read([], name => name == "PILOT_IGNORE_RESOURCES" ? ignored : null));
        Assert.StartsWith($"PILOT_IGNORE_RESOURCES: {message}", error.Message, StringComparison.Ordinal);
    }

    /// <summary>Settings for Istio may name kinds that only exist in later or experimental versions of the Gateway API.</summary>
    [Fact]
    public void Kinds_of_a_group_that_nobody_reads_may_be_named() =>
        Assert.Single(DiscoverySettings.Read([], name => name == "PILOT_IGNORE_RESOURCES" ? "xmeshes.gateway.networking.x-k8s.io" : null).Ignored.Ignored);
}
