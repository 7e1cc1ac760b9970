namespace Isthmus.Wire.Xds;

/// <summary>Texts of clients that a stream keeps.</summary>
internal static class StreamText
{
    private const int Overhead = 64; // of a text, and of its place in a table
    private const int Longest = 4096;

    /// <summary>About how much memory it takes to keep a text.</summary>
    public static long Bytes(string text) => Overhead + (2L * text.Length);

    /// <summary>A reason that a client gives, without what nobody would read.</summary>
    public static string Shorten(string reason) => reason.Length <= Longest ? reason : string.Concat(reason.AsSpan(0, Longest), "…");
}
