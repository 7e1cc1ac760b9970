using Isthmus.Core.Flags;
using Isthmus.Kubernetes.Objects;
using Isthmus.Operate.Diagnose.Packing;
using Xunit;

namespace Isthmus.Tests.Operate.Diagnose.Packing;

public sealed class PodSelectionTests
{
    private static readonly Pod Checkout = new()
    {
        Metadata = new()
        {
            Name = "checkout-v1-7d9f-abcde", Namespace = "shop", Labels = { ["app"] = "checkout" }, Annotations = { ["team"] = "blue" },
            OwnerReferences = [new() { Kind = "ReplicaSet", Name = "checkout-v1-7d9f" }],
        },
    };

    [Theory]
    [InlineData("shop", true)]
    [InlineData("payments,shop", true)]
    [InlineData("payments", false)]
    [InlineData("sh*", true)]
    [InlineData("shop/checkout-v1", true)]
    [InlineData("shop/checkout", false)]
    [InlineData("*/checkout*", true)]
    [InlineData("//checkout-*-abcde", true)]
    [InlineData("///app=checkout", true)]
    [InlineData("///app=cart", false)]
    [InlineData("////team=blue", true)]
    public void A_pattern_names_namespaces_deployments_pods_labels_and_annotations(string pattern, bool isCovered)
    {
        Assert.Equal(isCovered, PodSelection.Parse([pattern], []).Covers(Checkout));
        Assert.Equal(!isCovered, PodSelection.Parse([], [pattern]).Covers(Checkout));
    }

    [Fact]
    public void Without_patterns_everything_is_covered() => Assert.True(PodSelection.Parse([], []).Covers(Checkout));

    [Theory]
    [InlineData("a/b/c/d=e/f=g/h")]
    [InlineData("shop///app")]
    public void Another_form_is_an_error(string pattern) => Assert.Throws<WrongUseException>(() => PodSelection.Parse([pattern], []));
}
