using System.Text.Json.Nodes;
using FsCheck;
using FsCheck.Fluent;
using Isthmus.Kubernetes.Objects;
using Isthmus.Lab.ApiServer.Errors;
using Isthmus.Lab.ApiServer.Registry;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Clusters;

public class LabelSelectorTests
{
    private static readonly Dictionary<string, string> Labels = new() { ["app"] = "web", ["version"] = "v2", ["example.com/tier"] = "front", ["n"] = "5" };

    [Theory]
    [InlineData("", true)]
    [InlineData("app=web", true)]
    [InlineData("app==web,version!=v1", true)]
    [InlineData("app in (db,web),version notin (v1)", true)]
    [InlineData("app in (db)", false)]
    [InlineData("example.com/tier", true)]
    [InlineData("!canary", true)]
    [InlineData("!app", false)]
    [InlineData("missing!=x", true)]
    [InlineData("n>4,n<6", true)]
    [InlineData("n>5", false)]
    [InlineData("app=", false)]
    public void Selectors_say_what_they_mean(string selector, bool matches) => Assert.Equal(matches, LabelSelector.Parse(selector).Matches(Labels));

    [Theory]
    [InlineData("a===b")]
    [InlineData("a in b")]
    [InlineData("a in (b")]
    [InlineData(",")]
    [InlineData("a b")]
    [InlineData("n>x")]
    public void Nonsense_is_refused(string selector) =>
        Assert.StartsWith("unable to parse requirement: ", Assert.Throws<FormatException>(() => LabelSelector.Parse(selector)).Message,
            StringComparison.Ordinal);

    [Fact]
    public void Any_text_is_a_selector_or_is_refused()
    {
        var words = Gen.Elements("a", "in", "notin", "(", ")", ",", "=", "==", "!=", "!", "<", " ", "1", "x/y", "");
        Prop.ForAll(Gen.ListOf(words).Select(list => string.Concat(list)).ToArbitrary(), text =>
        {
            try
            {
                LabelSelector.Parse(text).Matches(Labels);
            }
            catch (FormatException)
            {
                return true;
            }
            return true;
        }).MustHold(500);
    }

    [Fact]
    public void A_selector_of_an_object_ignores_values_of_the_wrong_type()
    {
        var selector = LabelSelector.Read(
            JsonNode.Parse("""{"matchLabels":{"app":"web"},"matchExpressions":["x",{"key":"version","operator":"NotIn","values":[1,"v1"]}]}"""))!;
        Assert.True(selector.Matches(Labels));
        Assert.Equal("app=web,version notin (v1)", selector.ToString());
        Assert.True(LabelSelector.Read(new JsonObject())!.IsEmpty);
        Assert.Null(LabelSelector.Read(null));
    }

    [Fact]
    public void An_object_cannot_use_the_comparisons_of_the_text_form_without_a_number()
    {
        var selector = LabelSelector.Read(JsonNode.Parse("""{"matchExpressions":[{"key":"n","operator":"gt"}]}"""))!;
        Assert.False(selector.Matches(Labels));
    }
}
