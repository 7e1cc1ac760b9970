namespace Isthmus.Output;

/// <summary>What standard output is written to.</summary>
internal static class Terminal
{
    /// <summary>Erases the line that the cursor is in. Nothing here moves it to another line: what stands above is not ours.</summary>
    internal const string EraseLine = "\r\e[K";

    /// <summary>Whether lines can be written a second time.</summary>
    internal static bool CanErase => !Console.IsOutputRedirected && Environment.GetEnvironmentVariable("TERM") is not (null or "" or "dumb");

    /// <summary>Columns of the terminal; as many as one likes in a file or pipe, or in a terminal that does not say.</summary>
    internal static int Width => Console.IsOutputRedirected || Console.WindowWidth <= 0 ? int.MaxValue : Console.WindowWidth;
}
