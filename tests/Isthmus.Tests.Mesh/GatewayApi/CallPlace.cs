using System.Globalization;
using System.Text.RegularExpressions;

namespace Isthmus.Tests.Mesh.GatewayApi;

/// <summary>
/// Where calls are made:
/// <list type="bullet">
/// <item><c>[NAMESPACE/]GATEWAY[:PORT][ as CERTIFICATE]</c>: from outside of the clusters, to the address of a Gateway.</item>
/// <item><c>from [NAMESPACE/]WORKLOAD to [NAMESPACE/]SERVICE[:PORT]</c>: from a Pod with a sidecar, to the address of a Service, or of a Pod
/// (<c>pod/WORKLOAD</c>).</item>
/// </list>
/// </summary>
/// <param name="Caller">Empty: from outside.</param>
/// <param name="Certificate">What the caller shows over TLS.</param>
internal sealed partial record CallPlace(string Text, (string Namespace, string Name)? Caller, string Namespace, string Name, int Port, string Certificate)
{
    /// <summary>The namespace of callers with sidecars.</summary>
    internal const string Mesh = "mesh";

    /// <summary>The namespace of the backends whose name needs no namespace.</summary>
    internal string Home => Caller is null ? ObjectName.Front : Mesh;

    /// <summary>The host of requests that name none.</summary>
    internal string Host => Caller is null ? "front.example" : Name;

    internal static CallPlace Read(string text)
    {
        var match = Form().Match(text);
        if (!match.Success) throw new FormatException($"no place of calls: {text}");
        var caller = match.Groups["caller"];
        var (ns, name) = Split(match.Groups["name"].Value, caller.Success ? Mesh : ObjectName.Front);
        return new(text, caller.Success ? Split(caller.Value, Mesh) : null, ns, name,
            match.Groups["port"].Success ? int.Parse(match.Groups["port"].Value, CultureInfo.InvariantCulture) : 80, match.Groups["as"].Value);
    }

    private static (string Namespace, string Name) Split(string text, string home) =>
        text.Split('/') is [var ns, var name] ? (ns, name) : (home, text);

    [GeneratedRegex(@"^(from (?<caller>\S+) to )?(?<name>[^\s:]+)(:(?<port>\d+))?( as (?<as>\S+))?$", RegexOptions.ExplicitCapture)]
    private static partial Regex Form();
}
