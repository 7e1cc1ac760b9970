using Isthmus.Mesh.Model.GatewayApi;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Architecture;

/// <summary>The page about the Gateway API lists what the status of a class does.</summary>
public sealed class GatewayFeatureTests
{
    /// <summary>With more, an API server refuses the whole status.</summary>
    [Fact]
    public void A_class_has_room_for_them() => Assert.InRange(GatewayFeatures.All.Count, 1, 64);

    [Fact]
    public void The_page_lists_the_features_that_classes_have() =>
        Assert.Equal(
            GatewayFeatures.ByProfile.Select(row => $"{row.Profile}: {string.Join(", ", row.Features)}"),
            Repository.Table("docs/gateway-api.md", "profile", "features").Select(row => $"{row[0]}: {row[1]}"));
}
