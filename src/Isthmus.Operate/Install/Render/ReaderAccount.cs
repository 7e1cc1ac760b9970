using System.Text.Json.Nodes;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Operate.Install.Operator;

namespace Isthmus.Operate.Install.Render;

/// <summary>The account to which rights are bound.</summary>
/// <param name="IsOwn">Whether the installation creates it.</param>
internal readonly record struct ReaderAccount(string Name, string Namespace, bool IsOwn)
{
    private const string Path = "values.global.readerServiceAccount";

    /// <summary>The account of control planes of other clusters: <c>values.global.readerServiceAccount</c>, or one of the installation.</summary>
    internal static ReaderAccount Of(OperatorSpec? spec, string ns)
    {
        if (spec?.Value("global", "readerServiceAccount") is not JsonObject given) return new(WellKnown.ReaderServiceAccount, ns, IsOwn: true);
        var (name, home) = (given["name"]?.ToString() ?? "", given["namespace"]?.ToString() ?? "");
        if (name.Length == 0 && home.Length == 0) return new(WellKnown.ReaderServiceAccount, ns, IsOwn: true);
        if (name.Length > 0 && home.Length > 0) return new(name, home, IsOwn: false);
        throw new ProblemException($"{Path}.{(name.Length == 0 ? "name" : "namespace")}", "is missing: an account has a name and a namespace",
            "set both, or neither");
    }
}
