using System.Text.RegularExpressions;
using Isthmus.Core.Collections;
using Isthmus.Mesh.Model;

namespace Isthmus.Mesh.Config.GatewayApi;

/// <summary>Reads what rules of HTTPRoutes and GRPCRoutes match.</summary>
internal static class ApiMatchReader
{
    private const string AnyName = "[^/]+";

    public static HttpMatch Http(Field match)
    {
        var (path, method) = (match["path"], match["method"]);
        var value = path["value"].Text is { Length: > 0 } text ? text : "/";
        StringMatch? uri = !path.Exists ? null : path["type"].Text switch
        {
            "Exact" => new(MatchKind.Exact, value),
            "RegularExpression" => new(MatchKind.Regex, value),
            // A slash at the end is not an element of the path.
            _ => new(MatchKind.PathPrefix, value.TrimEnd('/') is { Length: > 0 } prefix ? prefix : "/"),
        };
        return Of(uri, method.Exists ? new(MatchKind.Exact, method.Text) : null,
            Values(match["headers"], isHeader: true), Values(match["queryParams"], isHeader: false));
    }

    /// <summary>gRPC calls are requests for the path <c>/service/method</c>.</summary>
    public static HttpMatch Grpc(Field match)
    {
        var method = match["method"];
        return Of(method.Exists ? PathOf(method["service"].Text, method["method"].Text, method["type"].Text == "RegularExpression") : null,
            null, Values(match["headers"], isHeader: true), default);
    }

    private static StringMatch? PathOf(string service, string method, bool isRegex) => (service, method) switch
    {
        ("", "") => null,
        _ when isRegex => new(MatchKind.Regex, $"/{Group(service)}/{Group(method)}"),
        (_, "") => new(MatchKind.Prefix, $"/{service}/"),
        ("", _) => new(MatchKind.Regex, $"/{AnyName}/{Regex.Escape(method)}"),
        _ => new(MatchKind.Exact, $"/{service}/{method}"),
    };

    private static string Group(string regex) => regex.Length == 0 ? AnyName : $"(?:{regex})";

    /// <summary>The first of several entries for a name counts; names of headers are the same in upper and lower case.</summary>
    private static ValueMap<StringMatch> Values(Field entries, bool isHeader)
    {
        var values = new Dictionary<string, StringMatch>(StringComparer.Ordinal);
        foreach (var entry in entries.Items)
        {
            var name = isHeader ? entry["name"].Text.ToLowerInvariant() : entry["name"].Text;
            values.TryAdd(name, new(entry["type"].Text == "RegularExpression" ? MatchKind.Regex : MatchKind.Exact, entry["value"].Text));
        }
        return values.ToValueMap();
    }

    private static HttpMatch Of(StringMatch? path, StringMatch? method, ValueMap<StringMatch> headers, ValueMap<StringMatch> queries) =>
        new("", path, false, null, method, null, headers, default, queries, 0, default, "", default);
}
