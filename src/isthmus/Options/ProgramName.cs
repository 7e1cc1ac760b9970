namespace Isthmus.Options;

/// <summary>The name by which the program was called: scripts reach it as <c>kind</c> and <c>istioctl</c> too.</summary>
internal static class ProgramName
{
    internal static string Current => Environment.GetEnvironmentVariable("ISTHMUS_INVOKED_AS") is { Length: > 0 } name ? name : "isthmus";

    internal static bool IsKind => Current == "kind";
}
