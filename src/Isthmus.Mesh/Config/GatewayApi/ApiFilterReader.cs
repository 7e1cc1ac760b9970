using System.Globalization;
using Isthmus.Core.Collections;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Model.GatewayApi;

namespace Isthmus.Mesh.Config.GatewayApi;

/// <summary>What filters do, without the backends of their mirrors, and what is wrong with them.</summary>
internal sealed record ApiFilters(RouteFilters Changes, ValueList<ApiMirror> Mirrors, ValueList<ApiFault> Faults)
{
    public ApiAuthorizer? Authorizer { get; init; }
}

/// <summary>Reads the filters of rules and backends.</summary>
internal static class ApiFilterReader
{
    private const string Unsupported = "UnsupportedValue", Incompatible = "IncompatibleFilters";

    private static readonly HeaderChange Nothing = new(default, default, default);

    public static ApiFilters Read(Field filters, string ns)
    {
        var (findings, authorizer) = (new Findings(""), (ApiAuthorizer?)null);
        var (changes, mirrors, faults) = (RouteFilters.None, new List<ApiMirror>(), new List<ApiFault>());
        var seen = new HashSet<string>(StringComparer.Ordinal);
        foreach (var item in filters.Items)
        {
            var filter = item with { Findings = findings };
            var type = filter["type"].Text;
            if (type != "RequestMirror" && !seen.Add(type)) faults.Add(new(Incompatible, $"{filter.Path}: there is another filter of type {type}"));
            switch (type)
            {
                case "RequestHeaderModifier":
                    changes = changes with { Headers = new(Headers(filter["requestHeaderModifier"], mayMoveHost: true), changes.Headers?.Response ?? Nothing) };
                    break;
                case "ResponseHeaderModifier":
                    changes = changes with
                    {
                        Headers = new(changes.Headers?.Request ?? Nothing, Headers(filter["responseHeaderModifier"], mayMoveHost: false))
                    };
                    break;
                case "RequestMirror":
                    mirrors.Add(Mirror(filter["requestMirror"], ns));
                    break;
                case "RequestRedirect":
                    changes = changes with { Redirect = Redirect(filter["requestRedirect"]) };
                    break;
                case "URLRewrite":
                    changes = changes with { Rewrite = Rewrite(filter["urlRewrite"]) };
                    break;
                case "CORS":
                    changes = changes with { Cors = Cors(filter["cors"]) };
                    break;
                case "ExternalAuth":
                    authorizer = ApiAuthorizerReader.Read(filter["externalAuth"], ns);
                    break;
                default:
                    faults.Add(new(Unsupported, $"{filter.Path}: filters of type \"{type}\" are not supported"));
                    break;
            }
        }
        if (changes is { Redirect: not null, Rewrite: not null })
            faults.Add(new(Incompatible, $"{filters.Path}: a request cannot be both redirected and rewritten"));
        return new(changes, mirrors.ToValueList(), faults.Concat(FaultsOf(findings)).ToValueList()) { Authorizer = authorizer };
    }

    /// <summary>The errors of a field as faults of its rule.</summary>
    internal static IEnumerable<ApiFault> FaultsOf(Findings findings) =>
        findings.Problems.Where(problem => problem.Severity == Severity.Error)
            .Select(problem => new ApiFault(Unsupported, $"{problem.Path}: {problem.Message}"));

    /// <summary>Names of headers are the same in upper and lower case; the first entry for a name counts.</summary>
    private static HeaderChange Headers(Field change, bool mayMoveHost)
    {
        foreach (var (header, isAdded) in change["set"].Items.Select(item => (item, false)).Concat(change["add"].Items.Select(item => (item, true))))
        {
            if (IsHost(header["name"].Text))
            {
                if (mayMoveHost && !isAdded) HeadTexts.CheckAuthority(header["value"]);
                else header["name"].Error("the host can only be set, and only for requests");
                continue;
            }
            HeadTexts.CheckName(header["name"], header["name"].Text);
            HeadTexts.CheckValue(header["value"]);
        }
        foreach (var name in change["remove"].Items)
        {
            if (IsHost(name.Text)) name.Error("a request has a host");
            else HeadTexts.CheckName(name, name.Text);
        }
        return new(Values(change["set"]), Values(change["add"]),
            change["remove"].Texts.Select(name => name.ToLowerInvariant()).Distinct(StringComparer.Ordinal).ToValueList());
    }

    private static bool IsHost(string name) => name.Equals("host", StringComparison.OrdinalIgnoreCase);

    private static ValueMap<string> Values(Field entries) => entries.Items
        .Select(entry => KeyValuePair.Create(entry["name"].Text.ToLowerInvariant(), entry["value"].Text)).DistinctBy(entry => entry.Key, StringComparer.Ordinal)
        .ToValueMap();

    private static ApiMirror Mirror(Field mirror, string ns)
    {
        var fraction = mirror["fraction"];
        var percent = fraction.Exists
            ? 100 * (fraction["numerator"].Number ?? 0) / Math.Max(1, fraction["denominator"].Number ?? 100)
            : mirror["percent"].Number ?? 100;
        return new(References.Backend(mirror["backendRef"], ns), Math.Clamp(percent, 0, 100));
    }

    private static HttpRedirect Redirect(Field redirect)
    {
        var (scheme, port, status) = (redirect["scheme"].Text, redirect["port"].Int ?? 0, redirect["statusCode"].Int ?? 302);
        var (full, elements) = Path(redirect["path"]);
        HeadTexts.CheckAuthority(redirect["hostname"]);
        if (scheme is not ("" or "http" or "https")) redirect["scheme"].Error($"scheme \"{scheme}\" is not one of http, https");
        if (status is not (301 or 302 or 303 or 307 or 308))
            redirect["statusCode"].Error($"status {status.ToString(CultureInfo.InvariantCulture)} is not one of 301, 302, 303, 307, 308");
        // Without a port, a new scheme has its own one, whatever the port of the request is, and the old one that of the listener.
        var own = port > 0 ? port : scheme switch { "https" => 443, "http" => 80, _ => 0 };
        return new(full ?? "", redirect["hostname"].Text, scheme, own, own == 0 && scheme.Length == 0, status) { Elements = elements };
    }

    private static HttpRewrite Rewrite(Field rewrite)
    {
        var (full, elements) = Path(rewrite["path"]);
        HeadTexts.CheckAuthority(rewrite["hostname"]);
        return new("", rewrite["hostname"].Text) { Regex = full is null ? null : new("^.*", full), Elements = elements };
    }

    /// <summary>The whole new path, or what takes the place of the prefix.</summary>
    private static (string? Full, string? Elements) Path(Field path)
    {
        if (!path.Exists) return (null, null);
        var (full, prefix) = (path["replaceFullPath"], path["replacePrefixMatch"]);
        var given = path["type"].Text switch { "ReplaceFullPath" => full, "ReplacePrefixMatch" => prefix, _ => path["type"] };
        if (given.Path == path["type"].Path) given.Error($"paths cannot be changed by type \"{given.Text}\"");
        HeadTexts.CheckPath(given);
        if (given.Text.Contains('\\', StringComparison.Ordinal)) given.Error("a backslash cannot be in a path", "write %5C");
        return given.Path == full.Path ? (Rooted(full.Text), null) : (null, prefix.Text.Trim('/').Length == 0 ? "" : Rooted(prefix.Text));
    }

    private static string Rooted(string path) => path.StartsWith('/') ? path : "/" + path;

    private static CorsPolicy Cors(Field cors)
    {
        foreach (var name in cors["allowHeaders"].Items.Concat(cors["exposeHeaders"].Items)) HeadTexts.CheckValue(name);
        foreach (var method in cors["allowMethods"].Items) HeadTexts.CheckValue(method);
        return new(
            cors["allowOrigins"].Texts.Select(Origin).ToValueList(), cors["allowMethods"].Texts, cors["allowHeaders"].Texts, cors["exposeHeaders"].Texts,
            TimeSpan.FromSeconds(cors["maxAge"].Int ?? 5), cors["allowCredentials"].Flag is true ? true : null) { ForwardsUnmatched = false };
    }

    /// <summary>An asterisk alone is any origin; within a host, it is any number of labels.</summary>
    private static StringMatch Origin(string origin) => origin switch
    {
        "*" => new(MatchKind.Regex, @"[a-zA-Z][a-zA-Z0-9+.\-]*://[^/\s?#]+"),
        _ when origin.Contains('*', StringComparison.Ordinal) => new(MatchKind.Regex,
            LinearRegex.Literal(origin).Replace(@"\*", @"[^/\s?#]+", StringComparison.Ordinal)),
        _ => new(MatchKind.Exact, origin),
    };
}
