namespace Isthmus.Testing;

/// <summary>Texts whose lines are longer than a line of code may be.</summary>
public static class LongLines
{
    /// <summary>The text, where a line that ends with a backslash goes on in the next one.</summary>
    public static string Joined(string text) => text.ReplaceLineEndings("\n").Replace("\\\n", "", StringComparison.Ordinal);
}
