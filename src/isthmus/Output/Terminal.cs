namespace Isthmus.Output;

/// <summary>What standard output is written to.</summary>
internal static class Terminal
{
    /// <summary>Erases the cursor's line. The cursor never moves to another line: what is above belongs to others.</summary>
    internal const string EraseLine = "\r\e[K";

    /// <summary>Whether lines can be written a second time.</summary>
    internal static bool CanErase => !Console.IsOutputRedirected && Environment.GetEnvironmentVariable("TERM") is not (null or "" or "dumb");

    /// <summary>Columns of the terminal; unlimited in a file or pipe, or in a terminal that does not report its width.</summary>
    internal static int Width => Console.IsOutputRedirected || Console.WindowWidth <= 0 ? int.MaxValue : Console.WindowWidth;
}
