namespace Isthmus.Proxy.Telemetry;

/// <summary>Cuts texts so that no character is left in half.</summary>
internal static class Utf8Cut
{
    /// <summary>The last beginning of a character that is not behind <paramref name="most"/>.</summary>
    public static int At(ReadOnlySpan<byte> text, int most)
    {
        const int LongestCharacter = 4;
        if (most >= text.Length) return text.Length;
        for (var at = most; at > Math.Max(0, most - LongestCharacter); at--)
            if ((text[at] & 0xC0) != 0x80) return at;
        return most;
    }
}
