using FsCheck;
using FsCheck.Fluent;
using Isthmus.Lab.ApiServer.Errors;
using Isthmus.Lab.ApiServer.Registry;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Lab.ApiServer.Registry;

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
    public void Nonsense_is_400(string selector) => Assert.Equal(400, Assert.Throws<ApiException>(() => LabelSelector.Parse(selector)).Code);

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
            catch (ApiException e)
            {
                return e.Code == 400;
            }
            return true;
        }).MustHold(500);
    }
}
