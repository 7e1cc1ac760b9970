using System.Globalization;
using System.Text.RegularExpressions;

namespace Isthmus.Tests.Mesh.GatewayApi;

/// <summary>
/// A call, and what must come of it:
/// <code>[N x ]METHOD [NAME&gt;][HOST]/PATH [(header: value; header: value)] =&gt; OUTCOME DETAIL DETAIL</code>
/// <list type="bullet">
/// <item>The method is one of HTTP, <c>H2C</c> (GET in HTTP/2 without TLS), <c>GRPC</c> (the path is <c>/METHOD</c> of the service that echoes, or a whole
/// one), <c>WS</c> (a WebSocket that echoes), or, without host and path, <c>TCP</c>, <c>TLS NAME</c> (a line over TLS) or <c>UDP</c>.</item>
/// <item>A name and <c>&gt;</c> before the host: over TLS by that name, with a certificate that the test's CA signed for it. <c>{id}</c> in a path is a
/// number that no other call has.</item>
/// <item>The outcome is the workload that answers (with its namespace, if that is not the usual one), the status of another answer (<c>grpc=12</c>), or
/// <c>closed</c>.</item>
/// <item>Details are what arrives (<c>/path?query</c>, <c>host=</c>, <c>proto=</c>, <c>sni=</c>, <c>header=value</c>, <c>!header</c>), what the caller
/// gets (<c>&lt;header=value</c>, <c>&lt;!header</c>, <c>&lt;=bytes</c>), and who else gets a copy (<c>~workload</c>).</item>
/// <item>With a number of calls, the outcome has shares in percent: <c>300 x GET / =&gt; v1=70 v2=30</c>, and for copies <c>~v2=20</c>. Six standard
/// deviations are permitted.</item>
/// </list>
/// </summary>
internal sealed partial record CallLine(string Text, int Times, string Method, string ServerName, string Host, string Path,
    IReadOnlyList<(string Name, string Value)> Headers, IReadOnlyList<string> Expected)
{
    internal bool IsOfConnection => Method is "TCP" or "TLS" or "UDP";

    internal static CallLine Read(string text)
    {
        var match = Form().Match(text);
        if (!match.Success) throw new FormatException($"no call: {text}");
        string Group(string name) => match.Groups[name].Value;
        return new(text, match.Groups["times"].Success ? int.Parse(Group("times"), CultureInfo.InvariantCulture) : 1, Group("method"),
            Group("method") == "TLS" ? Group("host") : Group("server"), Group("host"), Group("path"),
            [.. Group("headers").Split("; ", StringSplitOptions.RemoveEmptyEntries).Select(pair => pair.Split(": ", 2)).Select(pair => (pair[0], pair[1]))],
            Group("expected").Split(' ', StringSplitOptions.RemoveEmptyEntries));
    }

    [GeneratedRegex(
        @"^((?<times>\d+) x )?(?<method>[A-Z0-9]+)( ((?<server>[^\s>/]+)>)?(?<host>[^\s/=(]*)(?<path>/\S*)?)?( \((?<headers>[^)]*)\))? => (?<expected>.+)$",
        RegexOptions.ExplicitCapture)]
    private static partial Regex Form();
}
