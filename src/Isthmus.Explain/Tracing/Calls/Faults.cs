using Isthmus.Core.Problems;

namespace Isthmus.Explain.Tracing.Calls;

/// <summary>Makes the problems that a trace finds.</summary>
internal static class Faults
{
    /// <summary>The code of every problem about a port that a Service or ServiceEntry does not have.</summary>
    public const string NoSuchPort = "ISM2030";

    /// <summary>The limit of a route ended the call.</summary>
    public const string GaveUp = "ISM2088";

    public static Problem Of(string code, string @object, string path, string message, string remedy) => new(code, @object, path, message, remedy);
}
