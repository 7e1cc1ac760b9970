using System.Globalization;

namespace Isthmus.Lab.Nodes.Images;

/// <summary>Reads the names of signals.</summary>
internal static class StopSignals
{
    private const int FirstRealTime = 34, LastRealTime = 64;

    private static readonly string[] Names =
    [
        "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP",
        "TSTP",
        "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
    ];

    /// <param name="text">Such as SIGQUIT, QUIT, 3 or SIGRTMIN+3.</param>
    internal static bool TryParse(string text, out int signal)
    {
        if (int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out signal)) return signal is > 0 and <= LastRealTime;
        var name = text.StartsWith("SIG", StringComparison.OrdinalIgnoreCase) ? text[3..] : text;
        signal = Array.FindIndex(Names, one => one.Equals(name, StringComparison.OrdinalIgnoreCase)) + 1;
        if (signal > 0) return true;
        var isOffset = name.StartsWith("RTMIN", StringComparison.OrdinalIgnoreCase) || name.StartsWith("RTMAX", StringComparison.OrdinalIgnoreCase);
        if (!isOffset || !TryOffset(name[5..], out var offset)) return false;
        signal = offset + (name[3] is 'I' or 'i' ? FirstRealTime : LastRealTime);
        return signal is >= FirstRealTime and <= LastRealTime;
    }

    private static bool TryOffset(string text, out int offset)
    {
        offset = 0;
        return text.Length == 0 || int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out offset);
    }
}
