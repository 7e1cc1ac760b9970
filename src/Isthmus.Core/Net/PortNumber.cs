using System.Globalization;

namespace Isthmus.Core.Net;

/// <summary>Port numbers in text: decimal digits only.</summary>
public static class PortNumber
{
    public const int Highest = 65535;

    /// <summary>Accepts 0, which stands for any free port; check for it where a port must be named.</summary>
    public static bool TryParse(ReadOnlySpan<char> text, out int port) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out port) && port <= Highest;
}
