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
}
