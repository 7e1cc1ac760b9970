using System.Text.RegularExpressions;
using Isthmus.Core.Collections;
using Isthmus.Core.Names;
using Isthmus.Core.Time;
using Isthmus.Mesh.Model;

namespace Isthmus.Mesh.Config;

internal static class HttpRouteReader
{

    internal static readonly string[] Methods = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "*"];

    private static readonly string[] RetryConditions =
    [
        "5xx", "gateway-error", "reset", "reset-before-request", "connect-failure", "retriable-4xx", "refused-stream", "retriable-status-codes",
        "retriable-headers",
        "envoy-ratelimited", "http3-post-connect-failure", "cancelled", "deadline-exceeded", "internal", "resource-exhausted", "unavailable",
    ];

    private static readonly (string Condition, string Why)[] IdleConditions =
        [("http3-post-connect-failure", "proxies use no HTTP/3"), ("retriable-headers", "no field of a VirtualService names the headers")];

    public static HttpRoute Read(Field route, string ns, bool isDelegate)
    {
        var destinations = ReadDestinations(route["route"], ns);
        var delegateTo = route["delegate"].Exists
            ? new ObjectName(route["delegate"]["namespace"].Text is { Length: > 0 } named ? named : ns, route["delegate"]["name"].Text)
            : (ObjectName?)null;
        CheckAction(route, destinations.Count, isDelegate);
        return new(
            route["name"].Text,
            route["match"].Items.Select(match => ReadMatch(match, ns)).ToValueList(),
            destinations,
            route["redirect"].Exists ? ReadRedirect(route["redirect"], route["match"]) : null,
            route["directResponse"].Exists ? ReadDirect(route["directResponse"]) : null,
            route["rewrite"].Exists ? ReadRewrite(route["rewrite"]) : null,
            route["timeout"].Duration(route["timeout"].Text is "0" or "0s" ? null : Durations.OneMillisecond),
            route["retries"].Exists ? ReadRetries(route["retries"]) : null,
            route["fault"].Exists ? ReadFault(route["fault"]) : null,
            ReadMirrors(route, ns),
            route["corsPolicy"].Exists ? ReadCors(route["corsPolicy"]) : null,
            route["headers"].Exists ? ReadHeaders(route["headers"]) : null,
            delegateTo);
    }

    private static void CheckAction(Field route, int destinations, bool isDelegate)
    {
        var redirects = route["redirect"].Exists;
        var delegates = route["delegate"].Exists;
        var direct = route["directResponse"].Exists;
        if (delegates && isDelegate) route["delegate"].Error("delegate HTTP route cannot contain delegate");
        if (redirects && destinations > 0) route["redirect"].Error("HTTP route cannot contain both route and redirect");
        if (direct && (destinations > 0 || redirects)) route["directResponse"].Error("HTTP route cannot contain both directResponse and route or redirect");
        if (redirects && route["fault"].Exists) route["fault"].Error("HTTP route cannot contain both fault and redirect");
        if (redirects && route["rewrite"].Exists) route["rewrite"].Error("HTTP route rule cannot contain both rewrite and redirect");
        if (delegates && destinations > 0) route["delegate"].Error("HTTP route cannot contain both delegate and route");
        if (destinations == 0 && !redirects && !direct && (!delegates || isDelegate)) route.Error("HTTP route or redirect is required");
    }

    /// <summary>A single destination may omit its weight; with several destinations the weights must be explicit.</summary>
    public static ValueList<RouteDestination> ReadDestinations(Field routes, string ns)
    {
        var read = new List<RouteDestination>();
        foreach (var route in routes.Items)
        {
            var weight = route["weight"].Int ?? 0;
            if (weight is < 0) route["weight"].Error($"percentage {weight} is not in range 0..100");
            read.Add(new(ReadDestination(route["destination"], ns), weight, route["headers"].Exists ? ReadHeaders(route["headers"]) : null));
        }
        var total = read.Sum(route => (long)route.Weight);
        if (read.Count > 1 && total == 0) routes.Error("total destination weight = 0", "give each destination its share");
        else if (read.Count > 1 && total != 100) routes.Warn($"total destination weight {total} != 100", "weights are shares of their sum");
        return read.ToValueList();
    }

    private static Destination ReadDestination(Field destination, string ns)
    {
        if (!destination.Exists) destination.Error("destination is required");
        else if (destination["host"].Text != "*") HostNames.Check(destination["host"], destination["host"].Text, allowWildcard: false);
        var port = destination["port"]["number"];
        if (port.Exists && port.Integer is < 1 or > 65535) port.Error($"port number {port.Integer} must be in the range 1..65535");
        return new(VirtualServiceReader.Qualify(destination["host"].Text, ns), destination["subset"].Text, port.Int ?? 0);
    }

    private static HttpMatch ReadMatch(Field match, string ns)
    {
        var headers = StringMaps(match["headers"], "headers");
        foreach (var (name, field) in match["headers"].Members.Concat(match["withoutHeaders"].Members))
        {
            if (name.Length == 0) field.Error("header name must not be empty");
            if (TokenClaim.IsClaim(name) && TokenClaim.Path(name).IsEmpty)
                field.Error($"\"{name}\" names no claim of a token",
                    "write @request.auth.claims.NAME, or @request.auth.claims[NAME][INNER] for a claim within another");
        }
        MatchTexts.CheckRequest(match);
        return new(
            match["name"].Text, ReadString(match["uri"], "uri"), match["ignoreUriCase"].Flag ?? false,
            ReadString(match["scheme"], "scheme"), ReadString(match["method"], "method"), ReadString(match["authority"], "authority"),
            headers, StringMaps(match["withoutHeaders"], "withoutHeaders"), StringMaps(match["queryParams"], "queryParams"),
            match["port"].Int ?? 0, HostNames.ReadLabels(match["sourceLabels"]), match["sourceNamespace"].Text,
            match["gateways"].Exists ? VirtualServiceReader.ReadGateways(match["gateways"], ns) : default) { StatPrefix = match["statPrefix"].Text };
    }

    private static HttpRewrite ReadRewrite(Field rewrite)
    {
        var regex = rewrite["uriRegexRewrite"];
        var (pattern, replacement) = (regex["match"], regex["rewrite"]);
        if (regex.Exists && rewrite["uri"].Exists) rewrite.Error("rewrite may only contain one of URI rewrite or URIRegexRewrite");
        if (regex.Exists && (pattern.Text.Length == 0 || replacement.Text.Length == 0))
            regex.Error("UriRegexRewrite requires both Rewrite and Match fields to be specified");
        else if (regex.Exists) CheckRegex(pattern, "uriRegexRewrite");
        HeadTexts.CheckPath(rewrite["uri"]);
        HeadTexts.CheckPath(replacement);
        HeadTexts.CheckAuthority(rewrite["authority"]);
        return new(rewrite["uri"].Text, rewrite["authority"].Text) { Regex = regex.Exists ? new(pattern.Text, replacement.Text) : null };
    }

    private static ValueMap<StringMatch> StringMaps(Field map, string name) =>
        map.Members.Select(member => KeyValuePair.Create(member.Key, ReadString(member.Value, name) ?? new(MatchKind.Present, ""))).ToValueMap();

    private static StringMatch? ReadString(Field match, string name)
    {
        if (!match.Exists) return null;
        if (match["exact"].Exists) return new(MatchKind.Exact, match["exact"].Text);
        if (match["prefix"].Exists)
        {
            if (match["prefix"].Text.Length == 0) match["prefix"].Error($"\"{name}\": prefix string match should not be empty");
            return new(MatchKind.Prefix, match["prefix"].Text);
        }
        if (!match["regex"].Exists) return new(MatchKind.Present, "");
        CheckRegex(match["regex"], name);
        return new(MatchKind.Regex, match["regex"].Text);
    }

    private static void CheckRegex(Field regex, string name)
    {
        const int longest = 1024;
        if (regex.Text.Length is 0 or > longest)
        {
            regex.Error(regex.Text.Length == 0
                ? $"\"{name}\": regex string match should not be empty"
                : $"\"{name}\": regex is too big, max length allowed is {longest}");
            return;
        }
        if (LinearRegex.Fault(regex.Text) is { } fault)
            regex.Error($"\"{name}\": error parsing regexp: {fault}; Istio uses RE2 style regex-based match (https://github.com/google/re2/wiki/Syntax)");
    }

    private static HttpRedirect ReadRedirect(Field redirect, Field matches)
    {
        var prefix = redirect["prefixRewrite"];
        if (prefix.Text.Length > 0 && redirect["uri"].Text.Length > 0) prefix.Error("redirect may only specify one of uri or prefixRewrite");
        else if (prefix.Text.Length > 0 && matches.Items.Any(match => match["uri"].Exists && !match["uri"]["prefix"].Exists))
            prefix.Error("redirect prefixRewrite requires all URI matches to use prefix match type");
        var code = redirect["redirectCode"].Int ?? 301;
        if (redirect["redirectCode"].Exists && code is not (301 or 302 or 303 or 307 or 308))
            redirect["redirectCode"].Error($"redirect code {code} is not one of 301, 302, 303, 307, 308");
        HeadTexts.CheckPath(redirect["uri"]);
        HeadTexts.CheckAuthority(redirect["authority"]);
        HeadTexts.CheckPath(redirect["scheme"]);
        if (redirect["port"].Exists && redirect["derivePort"].Exists) redirect["derivePort"].Error("only one of port and derivePort may be set");
        return new(redirect["uri"].Text, redirect["authority"].Text, redirect["scheme"].Text, redirect["port"].Int ?? 0,
            redirect["derivePort"].Text == "FROM_REQUEST_PORT", code) { PrefixRewrite = prefix.Text };
    }

    private static DirectResponse ReadDirect(Field direct)
    {
        var status = direct["status"].Int ?? 0;
        if (status is < 100 or > 599) direct["status"].Error($"HTTP status {status} is not in range 100-599");
        var bytes = direct["body"]["bytes"];
        return new(status, bytes.Exists ? bytes.Text : direct["body"]["string"].Text, bytes.Exists);
    }

    /// <param name="unset">The attempts of a policy that does not say.</param>
    internal static HttpRetry ReadRetries(Field retries, int unset = 0)
    {
        var attempts = retries["attempts"].Int ?? unset;
        if (attempts < 0) retries["attempts"].Error("attempts cannot be negative");
        foreach (var condition in retries["retryOn"].Text.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
        {
            if (!RetryConditions.Contains(condition) && !(int.TryParse(condition, out var code) && code is >= 100 and < 600))
            {
                retries["retryOn"].Error($"\"{condition}\" is not a valid retryOn policy");
            }
        }
        if (attempts == 0 && (retries["retryOn"].Exists || retries["perTryTimeout"].Exists))
            retries["attempts"].Warn("is 0, so that nothing is tried again, whatever the other fields say", "set it to the number of retries, such as 2");
        if (retries["retryOn"].Text.Trim() == "retriable-status-codes")
            retries["retryOn"].Warn("\"retriable-status-codes\" names no status code, so that nothing is tried again",
                "add the codes, such as retriable-status-codes,503");
        foreach (var (condition, why) in IdleConditions)
        {
            if (retries["retryOn"].Text.Split(',', StringSplitOptions.TrimEntries).Contains(condition))
                retries["retryOn"].Warn($"\"{condition}\" has no effect: {why}", $"remove {condition}");
        }
        return new(Math.Max(attempts, 0), retries["perTryTimeout"].Duration(Durations.OneMillisecond), retries["retryOn"].Text,
            retries["retryRemoteLocalities"].Flag)
        {
            Backoff = retries["backoff"].Duration(Durations.OneMillisecond),
            AvoidsTriedHosts = retries["retryIgnorePreviousHosts"].Flag ?? true,
        };
    }

    private static double ReadPercent(Field owner, string name)
    {
        var field = owner[name]["value"];
        if (!owner[name].Exists) return owner["percent"].Number ?? 100;
        var value = field.Number ?? 0;
        if (value is not 0 and (< 0.0001 or > 100)) field.Error($"percentage {value:0.####} is neither 0.0, nor in range [0.0001, 100.0]");
        return value;
    }

    private static HttpFault ReadFault(Field fault)
    {
        if (!fault["delay"].Exists && !fault["abort"].Exists) fault.Error("HTTP fault injection must have an abort and/or a delay");
        FaultDelay? delay = null;
        FaultAbort? abort = null;
        if (fault["delay"] is { Exists: true } d)
        {
            if (d["exponentialDelay"] is { Exists: true } exponential) Refuse(exponential, "exponential delays are not supported", "use fixedDelay");
            else if (!d["fixedDelay"].Exists) d.Error("HTTP fault delay needs fixedDelay");
            delay = new(d["fixedDelay"].Duration(Durations.OneMillisecond) ?? TimeSpan.Zero, ReadPercent(d, "percentage"));
        }
        if (fault["abort"] is { Exists: true } a)
        {
            var status = a["httpStatus"];
            if (status.Exists && status.Integer is < 200 or > 599) status.Error($"HTTP status {status.Integer} is not in range 200-599");
            if (status.Exists && a["grpcStatus"].Exists) a.Error("only one of httpStatus and grpcStatus may be set");
            if (a["http2Error"] is { Exists: true } reset) Refuse(reset, "resets of HTTP/2 streams are not supported", "use httpStatus or grpcStatus");
            else if (!status.Exists && !a["grpcStatus"].Exists) a.Error("HTTP fault abort needs httpStatus or grpcStatus");
            if (a["grpcStatus"].Exists && GrpcStatuses.Parse(a["grpcStatus"].Text) is null)
                a["grpcStatus"].Error($"gRPC status \"{a["grpcStatus"].Text}\" is not supported", $"use one of {string.Join(", ", GrpcStatuses.Names)}");
            if (status.Exists || a["grpcStatus"].Exists) abort = new(status.Int ?? 0, a["grpcStatus"].Text, ReadPercent(a, "percentage"));
        }
        return new(delay, abort);
    }

    /// <summary>A stored route with the field applies without that part of its fault.</summary>
    private static void Refuse(Field field, string message, string remedy)
    {
        field.Error(message, remedy);
        field.CloseIfWrong();
    }

    private static ValueList<HttpMirror> ReadMirrors(Field route, string ns)
    {
        var mirrors = new List<HttpMirror>();
        if (route["mirror"].Exists)
        {
            var percent = route["mirrorPercentage"]["value"];
            if (percent.Number is > 100) percent.Error($"mirror_percentage must have a max value of 100 (it has {percent.Number:0.000000})");
            mirrors.Add(new(ReadDestination(route["mirror"], ns), percent.Number ?? route["mirrorPercent"].Number ?? route["mirror_percent"].Number ?? 100));
        }
        foreach (var mirror in route["mirrors"].Items)
            mirrors.Add(new(ReadDestination(mirror["destination"], ns), mirror["percentage"]["value"].Number ?? 100));
        return mirrors.ToValueList();
    }

    private static CorsPolicy ReadCors(Field cors)
    {
        foreach (var method in cors["allowMethods"].Items)
        {
            if (!Methods.Contains(method.Text)) method.Error($"\"{method.Text}\" is not a supported HTTP method");
        }
        foreach (var name in cors["allowHeaders"].Items.Concat(cors["exposeHeaders"].Items)) HeadTexts.CheckValue(name);
        var age = cors["maxAge"].Duration();
        if (age is { } given && given.Ticks % TimeSpan.TicksPerSecond != 0)
        {
            if (given.Ticks % TimeSpan.TicksPerMillisecond != 0) cors["maxAge"].Error("only durations to ms precision are supported");
            cors["maxAge"].Error("max_age duration is accurate only to seconds precision");
        }
        foreach (var origin in cors["allowOrigin"].Items.Concat(cors["allowOrigins"].Items.Select(match => match["exact"]))) MatchTexts.CheckOrigin(origin);
        var origins = cors["allowOrigin"].Texts.Select(origin => new StringMatch(MatchKind.Exact, origin))
            .Concat(cors["allowOrigins"].Items.Select(origin => ReadString(origin, "corsAllowOrigins") ?? new(MatchKind.Present, "")));
        return new(origins.ToValueList(), cors["allowMethods"].Texts, cors["allowHeaders"].Texts, cors["exposeHeaders"].Texts, age,
            cors["allowCredentials"].Flag)
        {
            ForwardsUnmatched = cors["unmatchedPreflights"].Text != "IGNORE",
        };
    }

    private static HeaderChanges ReadHeaders(Field headers)
    {
        HeadTexts.CheckChange(headers["request"], mayMoveHost: true);
        HeadTexts.CheckChange(headers["response"], mayMoveHost: false);
        return new(ReadChange(headers["request"]), ReadChange(headers["response"]));
    }

    private static HeaderChange ReadChange(Field change) => new(change["set"].TextMap, change["add"].TextMap, change["remove"].Texts);
}
