using FsCheck;
using FsCheck.Fluent;
using Isthmus.Lab.Nodes.Env;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Lab.Nodes;

public sealed class ExpansionTests
{
    private static readonly Dictionary<string, string> Values = new() { ["A"] = "1", ["B_C"] = "two", ["D"] = "$(A)" };

    [Theory]
    [InlineData("plain", "plain")]
    [InlineData("$(A)-$(B_C)", "1-two")]
    [InlineData("$(UNKNOWN)", "$(UNKNOWN)")]
    [InlineData("$$(A)", "$(A)")]
    [InlineData("$$$(A)", "$1")]
    [InlineData("$(D)", "$(A)")]
    [InlineData("$(A", "$(A")]
    [InlineData("$A ${A} $", "$A ${A} $")]
    public void References_are_replaced_as_Kubernetes_does(string text, string expected) => Assert.Equal(expected, Expansion.Expand(text, Values));

    [Fact]
    public void Any_text_without_a_dollar_stays_and_doubling_dollars_protects_any_text() =>
        Prop.ForAll<NonNull<string>>(text =>
            (text.Get.Contains('$') || Expansion.Expand(text.Get, Values) == text.Get)
            && Expansion.Expand(text.Get.Replace("$", "$$"), Values) == text.Get).MustHold();
}
