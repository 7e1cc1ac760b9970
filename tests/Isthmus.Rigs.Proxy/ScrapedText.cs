using System.Text;
using Isthmus.Proxy;
using Isthmus.Proxy.Admin;

namespace Isthmus.Rigs.Proxy;

/// <summary>What a scrape of a proxy has.</summary>
internal static class ScrapedText
{
    internal static string Of(DataPlane plane, string filter = "")
    {
        var text = new StringBuilder();
        foreach (var family in StatsText.Prometheus(plane, filter)) text.AppendJoin("", family);
        return text.ToString();
    }
}
