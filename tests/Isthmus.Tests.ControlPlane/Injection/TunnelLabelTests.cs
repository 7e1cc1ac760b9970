using System.Text.Json.Nodes;
using Isthmus.Injection;
using Xunit;

namespace Isthmus.Tests.ControlPlane.Injection;

/// <summary>The label by which callers know that a Pod accepts HBONE.</summary>
public sealed class TunnelLabelTests
{
    private const string Label = "networking.istio.io/tunnel";

    private static readonly InjectorValues Values = new((JsonObject)JsonNode.Parse("""{"global":{}}""")!, [], "cluster.local");

    [Theory]
    [InlineData("ISTIO_META_ENABLE_HBONE: 'true'", null, "http")]
    [InlineData("ISTIO_META_ENABLE_HBONE: '1'", null, "http")]
    [InlineData("ISTIO_META_ENABLE_HBONE: 'true'", "none", "none")]
    [InlineData("ISTIO_META_ENABLE_HBONE: 'false'", null, null)]
    [InlineData("ISTIO_META_OTHER: 'true'", null, null)]
    public void A_Pod_whose_proxy_accepts_HBONE_has_it(string metadata, string? own, string? label)
    {
        var pod = new JsonObject
        {
            ["metadata"] = new JsonObject
            {
                ["name"] = "web", ["annotations"] = new JsonObject { ["proxy.istio.io/config"] = $"{{proxyMetadata: {{{metadata}}}}}" },
                ["labels"] = own is null ? [] : new JsonObject { [Label] = own },
            },
            ["spec"] = new JsonObject { ["containers"] = new JsonArray(new JsonObject { ["name"] = "web", ["image"] = "any" }) },
        };
        var injected = PodInjector.Inject(pod, "shop", Values, InjectionPath.Parse("/inject"), NativeSidecars.Off)!;
        Assert.Equal(label, injected["metadata"]!["labels"]![Label]?.ToString());
    }
}
