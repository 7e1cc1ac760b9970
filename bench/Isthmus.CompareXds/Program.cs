using Isthmus.Core.Problems;

namespace Isthmus.CompareXds;

internal static class Program
{
    private static int Main(string[] args)
    {
        var words = args.Where(arg => arg != "--verbose").ToList();
        if (words.Count is not (2 or 3))
        {
            Console.Error.WriteLine("Start this with bench/compare-xds DIR [CASE] [--verbose].");
            return 2;
        }
        try
        {
            var explained = Explanations.Read(words[0]);
            var recordings = Recordings.Open(words[1]);
            var report = new Report(explained, args.Contains("--verbose"));
            var only = words.Count == 3 ? words[2] : "";
            foreach (var recorded in recordings.Cases.Where(recorded => recorded.Name.Contains(only, StringComparison.Ordinal)))
            {
                var world = World.Of(recordings, recorded);
                report.Add(recorded.Name, Comparison.Of(recorded, world.View(recorded.Node)), world.Problems);
            }
            return report.Finish(all: only.Length == 0);
        }
        catch (ProblemException e)
        {
            Console.Error.WriteLine(e.Message);
            return 2;
        }
    }
}
