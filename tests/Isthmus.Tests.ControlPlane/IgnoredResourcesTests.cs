using Isthmus.ControlPlane.Intake;
using Isthmus.ControlPlane.Settings;
using Isthmus.Core.Problems;
using Isthmus.Mesh.Model;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace Isthmus.Tests.ControlPlane;

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
        var settings = DiscoverySettings.Read([], name => name switch { "PILOT_IGNORE_RESOURCES" => ignored, "PILOT_INCLUDE_RESOURCES" => included, _ => null });
        var kinds = new MeshKinds(MultiClusterSettings.Default, "istio", "default", NullLogger<MeshKinds>.Instance) { Ignored = settings.Ignored };
        var names = kinds.All.Select(kind => kind.Resource.Kind).ToHashSet(StringComparer.Ordinal);
        Assert.All(read.Split(' ', StringSplitOptions.RemoveEmptyEntries), kind => Assert.Contains(kind, names));
        Assert.All(left.Split(' ', StringSplitOptions.RemoveEmptyEntries), kind => Assert.DoesNotContain(kind, names));
    }

    [Theory]
    [InlineData("pods")]
    [InlineData("*.")]
    [InlineData("endpointslices.discovery.k8s.io")]
    [InlineData("sidecars.networking.istio.io,secrets")]
    public void What_a_mesh_needs_cannot_be_ignored(string ignored)
    {
        var error = Assert.Throws<ProblemException>(() => DiscoverySettings.Read([], name => name == "PILOT_IGNORE_RESOURCES" ? ignored : null));
        Assert.Contains($"PILOT_IGNORE_RESOURCES: '{ignored.Split(',')[^1]}' names no kind that a control plane can do without", error.Message, StringComparison.Ordinal);
    }
}
