using System.Globalization;

namespace Isthmus.Mesh.Model;

/// <summary>The status codes of gRPC.</summary>
public static class GrpcStatuses
{
    /// <summary>By their numbers.</summary>
    public static readonly string[] Names =
    [
        "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED",
        "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
    ];

    /// <summary>The number of a code, written as its name or its number; null when there is none.</summary>
    public static int? Parse(string text)
    {
        if (int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number)) return number < Names.Length ? number : null;
        return Array.IndexOf(Names, text.ToUpperInvariant()) is >= 0 and var known ? known : null;
    }
}
