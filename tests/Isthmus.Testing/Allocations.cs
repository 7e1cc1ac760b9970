namespace Isthmus.Testing;

/// <summary>Measures what code allocates on this thread.</summary>
public static class Allocations
{
    /// <summary>
    /// The fewest bytes that one of several rounds allocated. Code that allocates does so in every round; the runtime,
    /// which recompiles the code meanwhile, allocates only in some.
    /// </summary>
    public static long Least(Action round)
    {
        var least = long.MaxValue;
        for (var i = 0; i < 10 && least > 0; i++)
        {
            var before = GC.GetAllocatedBytesForCurrentThread();
            round();
            least = Math.Min(least, GC.GetAllocatedBytesForCurrentThread() - before);
        }
        return least;
    }
}
