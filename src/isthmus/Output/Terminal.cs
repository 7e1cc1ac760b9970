using System.Text;
using Microsoft.Win32.SafeHandles;

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
        _output = OperatingSystem.IsWindows() || Console.IsOutputRedirected ? Console.Out : Writer(StandardOutput);
        _error = OperatingSystem.IsWindows() || Console.IsErrorRedirected ? Console.Error : Writer(StandardError);
        Console.SetOut(new VisibleWriter(_output));
        Console.SetError(new VisibleWriter(_error));
    }

    /// <summary>Whether lines can be written a second time.</summary>
    internal static bool CanErase => !Console.IsOutputRedirected && Environment.GetEnvironmentVariable("TERM") is not (null or "" or "dumb");

    /// <summary>Columns of the terminal; unlimited in a file or pipe, or in a terminal that does not report its width.</summary>
    internal static int Width
    {
        get
        {
            if (Console.IsOutputRedirected) return int.MaxValue;
            var width = OperatingSystem.IsLinux() ? TerminalSize.Columns(StandardOutput) : Console.WindowWidth;
            return width > 0 ? width : int.MaxValue;
        }
    }

    /// <summary>What is typed, or comes from elsewhere, line by line. The console's own reader would change the terminal's mode.</summary>
    internal static TextReader Input => OperatingSystem.IsWindows() || Console.IsInputRedirected ? Console.In : Typed.Value;

    private const int StandardInput = 0, StandardOutput = 1, StandardError = 2;

    private static readonly Lazy<TextReader> Typed = new(() => new StreamReader(Open(StandardInput, FileAccess.Read)));

    // Whatever the console reads or writes itself first puts a terminal into the mode that its keypad has in full-screen programs, and leaves it there.
    private static StreamWriter Writer(int descriptor) =>
        new(Open(descriptor, FileAccess.Write), new UTF8Encoding(encoderShouldEmitUTF8Identifier: false)) { AutoFlush = true };

    private static FileStream Open(int descriptor, FileAccess access) => new(new SafeFileHandle(descriptor, ownsHandle: false), access, bufferSize: 0);
}
