using System.Globalization;
using Isthmus.Core.Collections;
using Isthmus.Core.Names;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Model.GatewayApi;

namespace Isthmus.Mesh.Config.GatewayApi;

/// <summary>Reads rules: what they match, where requests or connections go, and what is done to them.</summary>
internal static class ApiRuleReader
{
    /// <summary>What is tried again whatever the codes of a rule: requests that no server answered.</summary>
    private const string Unanswered = "connect-failure,refused-stream,reset,unavailable,cancelled";

    /// <param name="kind">The kind of the route.</param>
    /// <param name="written">The rule.</param>
    /// <param name="ns">The namespace of the route.</param>
    /// <param name="place">Which rule it is, of all routes: the same when others come before it.</param>
    public static ApiRule Read(KindDescriptor kind, Field written, string ns, string place)
    {
        var findings = new Findings("");
        var rule = written with { Findings = findings };
        var matches = kind == MeshApi.HttpRoute ? rule["matches"].Items.Select(ApiMatchReader.Http).ToValueList()
            : kind == MeshApi.GrpcRoute ? rule["matches"].Items.Select(ApiMatchReader.Grpc).ToValueList() : default;
        foreach (var match in matches.Index()) CheckRegexes(rule["matches"], match.Index, match.Item);
        var filters = ApiFilterReader.Read(rule["filters"], ns);
        var backends = rule["backendRefs"].Items.Select(backend => (Field: backend, Filters: ApiFilterReader.Read(backend["filters"], ns))).ToList();
        var (retry, timeout, tryTimeout) = (Retry(rule["retry"]), Limit(rule["timeouts"]["request"]), Limit(rule["timeouts"]["backendRequest"]));
        var session = SessionReader.Read(rule["sessionPersistence"], place);
        if (session is not null && backends.Count(backend => (backend.Field["weight"].Int ?? 1) > 0) > 1)
            rule["sessionPersistence"].Error("a session cannot stay with one of several backends: proxies share requests out among them first",
                "use one backend");
        foreach (var (backend, _) in backends.Where(backend => backend.Filters.Authorizer is not null))
            backend["filters"].Error("a filter ExternalAuth is for rules: proxies ask before they choose a backend", "move it to the filters of the rule");
        if (rule["extensionRef"].Exists) rule["extensionRef"].Error("it is not supported");
        return new(
            rule["name"].Text, matches,
            backends.Select(backend => Backend(backend.Field, ns, backend.Filters)).ToValueList(),
            filters.Changes with { Retries = retry, Timeout = timeout, TryTimeout = tryTimeout, Session = session },
            filters.Mirrors)
        {
            Authorizer = filters.Authorizer,
            Faults = filters.Faults.Concat(backends.SelectMany(backend => backend.Filters.Faults)).Concat(ApiFilterReader.FaultsOf(findings)).ToValueList(),
        };
    }

    private static ApiBackend Backend(Field backend, string ns, ApiFilters filters) =>
        new(References.Backend(backend, ns), Math.Max(0, backend["weight"].Int ?? 1), filters.Changes) { Mirrors = filters.Mirrors };

    private static HttpRetry? Retry(Field retry)
    {
        if (!retry.Exists) return null;
        var codes = retry["codes"].Items.Select(code => code.Int ?? 0).Select(code => code.ToString(CultureInfo.InvariantCulture));
        return new(Math.Max(0, retry["attempts"].Int ?? 2), null, string.Join(',', codes.Prepend(Unanswered)), null) { Backoff = retry["backoff"].Duration() };
    }

    /// <summary>Zero means no limit.</summary>
    private static TimeSpan? Limit(Field limit) => limit.Duration() is { Ticks: > 0 } given ? given : null;

    private static void CheckRegexes(Field matches, int index, HttpMatch match)
    {
        var all = match.Headers.Values.Concat(match.QueryParams.Values).Concat(match.Uri is { } uri ? [uri] : []);
        foreach (var regex in all.Where(value => value.Kind == MatchKind.Regex))
        {
            if (LinearRegex.Fault(regex.Value) is { } fault)
                (matches with { Path = string.Create(CultureInfo.InvariantCulture, $"{matches.Path}[{index}]") })
                    .Error($"\"{regex.Value}\" is not a regular expression: {fault}", "write it in the syntax of RE2");
        }
    }
}
