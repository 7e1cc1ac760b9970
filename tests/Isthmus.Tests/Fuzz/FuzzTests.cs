using System.Diagnostics;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Fuzz;

/// <summary>
/// Each decoder of bytes that strangers send refuses what is broken, quickly and with little memory. A failure prints the input as
/// a line for the target's file in <c>corpus</c>; such inputs are tried in every run.
/// </summary>
public sealed class FuzzTests
{
    private const string Minutes = "ISTHMUS_FUZZ_MINUTES";

    public static TheoryData<string> Names => [.. FuzzTargets.All.Keys];

    [Theory]
    [MemberData(nameof(Names))]
    public void Known_inputs_are_read_or_refused(string name)
    {
        var target = FuzzTargets.All[name];
        foreach (var input in target.Corpus.Concat(Kept(name))) Try(target, input);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Broken_inputs_are_read_or_refused(string name)
    {
        var target = FuzzTargets.All[name];
        var random = new Random(unchecked((int)PropertyCheck.Seed));
        for (var i = 0; i < (target.IsBounded ? 2000 : 300); i++) Try(target, Mutations.Of(target.Corpus, random));
    }

    /// <summary>All targets for half a minute in all, or for as long as the variable says.</summary>
    [Fact]
    [Trait("runs", "soak")]
    public void Broken_inputs_are_read_or_refused_for_long()
    {
        var minutes = double.Parse(Environment.GetEnvironmentVariable(Minutes) ?? "0.5", System.Globalization.CultureInfo.InvariantCulture);
        var random = new Random(unchecked((int)PropertyCheck.Seed));
        foreach (var (name, target) in FuzzTargets.All)
        {
            var corpus = target.Corpus.Concat(Kept(name)).ToList();
            var tried = 0L;
            for (var begun = Stopwatch.GetTimestamp(); Stopwatch.GetElapsedTime(begun) < TimeSpan.FromMinutes(minutes) / FuzzTargets.All.Count; tried++)
            {
                var input = Mutations.Of(corpus, random);
                Try(target, input);
                // What a mutation makes is a start for others.
                if (random.Next(50) == 0 && input.Length < 4000) corpus[random.Next(corpus.Count)] = input;
                if (corpus.Count < 100 && input.Length is > 0 and < 4000) corpus.Add(input);
            }
            TestContext.Current.TestOutputHelper?.WriteLine($"{name}: {tried} inputs");
        }
    }

    private static IEnumerable<byte[]> Kept(string name)
    {
        var file = Repository.At($"tests/Isthmus.Tests/Fuzz/corpus/{name}.txt");
        return File.Exists(file) ? File.ReadLines(file).Where(line => line.Length > 0).Select(Convert.FromHexString) : [];
    }

    private static void Try(FuzzTarget target, byte[] input)
    {
        var before = GC.GetAllocatedBytesForCurrentThread();
        try
        {
            target.Decode(input);
        }
        catch (Exception e)
        {
            throw new InvalidOperationException($"{PropertyCheck.SeedVariable}={PropertyCheck.Seed}, input {Convert.ToHexString(input)}", e);
        }
        var allocated = GC.GetAllocatedBytesForCurrentThread() - before;
        Assert.True(!target.IsBounded || allocated < 1_000_000 + 200L * input.Length, $"{allocated} bytes for input {Convert.ToHexString(input)}");
    }
}
