namespace Isthmus.Output;

/// <summary>What standard output is written to.</summary>
internal static class Terminal
{
    /// <summary>Erases the cursor's line. The cursor never moves to another line: what is above belongs to others.</summary>
    internal const string EraseLine = "\r\e[K";

    private static TextWriter? _output, _error;

    /// <summary>The standard output for what this program draws itself: colors, and lines that are rewritten. Texts of others go there only as
    /// <see cref="Core.Names.Visible"/> writes them.</summary>
    internal static TextWriter Painted => _output ?? Console.Out;

    /// <summary>The same of the standard error.</summary>
    internal static TextWriter PaintedError => _error ?? Console.Error;

    /// <summary>From now on, no text that is printed can do anything but be read.</summary>
    internal static void MakeVisible()
    {
        if (_output is not null) return;
        (_output, _error) = (Console.Out, Console.Error);
        Console.SetOut(new VisibleWriter(_output));
        Console.SetError(new VisibleWriter(_error));
    }

    /// <summary>Whether lines can be written a second time.</summary>
    internal static bool CanErase => !Console.IsOutputRedirected && Environment.GetEnvironmentVariable("TERM") is not (null or "" or "dumb");

    /// <summary>Columns of the terminal; unlimited in a file or pipe, or in a terminal that does not report its width.</summary>
    internal static int Width => Console.IsOutputRedirected || Console.WindowWidth <= 0 ? int.MaxValue : Console.WindowWidth;
}
