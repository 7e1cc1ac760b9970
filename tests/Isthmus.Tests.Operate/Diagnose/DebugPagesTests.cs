using System.Text.Json.Nodes;
using Isthmus.Operate.Diagnose;
using Xunit;

namespace Isthmus.Tests.Operate.Diagnose;

public sealed class DebugPagesTests
{
    [Theory]
    [InlineData("""["adsz", "mesh", "cachez?clear=true"]""", "adsz mesh cachez?clear=true")]
    [InlineData("""["/debug/syncz", "/debug/clusterz"]""", "syncz clusterz")]
    [InlineData("""["/debug/", "", null, 1, {}, "registryz"]""", "registryz")]
    [InlineData("""{"pages": []}""", "")]
    [InlineData("null", "")]
    public void Names_have_no_prefix(string answer, string names) => Assert.Equal(names, string.Join(' ', DebugPages.Names(JsonNode.Parse(answer))));

    /// <summary>Profiles and traces last as long as their query says.</summary>
    [Theory]
    [InlineData("pprof/profile?seconds=30", 30)]
    [InlineData("pprof/trace?debug=1&seconds=2.5", 2.5)]
    [InlineData("pprof/profile?seconds=soon", 0)]
    [InlineData("pprof/profile?seconds=1e9", 0)]
    [InlineData("syncz", 0)]
    public void A_page_may_take_as_long_as_its_query_says(string page, double seconds) =>
        Assert.Equal(TimeSpan.FromSeconds(seconds), DebugPages.Duration(page));
}
