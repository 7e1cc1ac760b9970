using System.Globalization;
using System.Net;
using Isthmus.Core.Collections;
using Isthmus.Core.Time;
using Isthmus.Mesh.Model;

namespace Isthmus.Mesh.Config;

/// <summary>Reads <c>extensionProviders</c> of MeshConfig. One with errors does not exist: policies that name it deny what they match.</summary>
internal static class ExtensionProviderReader
{
    private const string Http = "envoyExtAuthzHttp";
    private const string Grpc = "envoyExtAuthzGrpc";
    private const string Zipkin = "zipkin";
    private const string OpenTelemetry = "opentelemetry";
    private const string FileLog = "envoyFileAccessLog";
    private const string LogsByOpenTelemetry = "envoyOtelAls";
    private const string HttpLogs = "envoyHttpAls";
    private const string TcpLogs = "envoyTcpAls";

    private static readonly string[] Kinds = [Http, Grpc, Zipkin, OpenTelemetry, FileLog, LogsByOpenTelemetry, HttpLogs, TcpLogs, StandardMetrics.Prometheus];

    public static ExtensionProviders Read(Field providers)
    {
        var authorizers = new Dictionary<string, ExternalAuthorizer>(StringComparer.Ordinal);
        var tracers = new Dictionary<string, Tracer>(StringComparer.Ordinal);
        var loggers = new Dictionary<string, AccessLogger>(StringComparer.Ordinal) { [AccessLogger.Envoy.Name] = AccessLogger.Envoy };
        var prometheus = new List<string> { StandardMetrics.Prometheus };
        var names = new HashSet<string>(StringComparer.Ordinal);
        foreach (var provider in providers.Items)
        {
            var name = provider["name"].Text;
            if (name.Length == 0) provider["name"].Error("a provider needs a name");
            else if (!names.Add(name)) provider["name"].Error($"another provider has the name \"{name}\"", "give each provider a name of its own");
            string[] kinds = [.. Kinds.Where(kind => provider[kind].Exists)];
            if (kinds.Length == 0) continue;
            if (kinds.Length > 1) provider.Error($"only one of {kinds[0]} and {kinds[1]} may be set");
            switch (kinds[0])
            {
                case Zipkin or OpenTelemetry:
                    Keep(tracers, provider, ReadTracer(name, provider[kinds[0]], kinds[0] == Zipkin));
                    break;
                case StandardMetrics.Prometheus:
                    if (!provider.IsWrong) prometheus.Add(name);
                    break;
                case LogsByOpenTelemetry:
                    CheckService(provider[LogsByOpenTelemetry]);
                    Keep(loggers, provider, LoggerReader.ReadOpenTelemetry(name, provider[LogsByOpenTelemetry]));
                    break;
                case HttpLogs or TcpLogs:
                    CheckService(provider[kinds[0]]);
                    Keep(loggers, provider, LoggerReader.ReadEntries(name, provider[kinds[0]], kinds[0] == HttpLogs ? LogProtocol.Http : LogProtocol.Tcp));
                    break;
                case FileLog:
                    Keep(loggers, provider, LoggerReader.ReadFile(name, provider[FileLog]));
                    break;
                default:
                    Keep(authorizers, provider, ReadAuthorizer(name, provider[kinds[0]], kinds[0] == Grpc));
                    break;
            }
        }
        return new(authorizers.ToValueMap(), tracers.ToValueMap(), loggers.ToValueMap(), prometheus.Distinct().ToValueList());
    }

    private static void Keep<T>(Dictionary<string, T> known, Field provider, T read)
    {
        if (!provider.IsWrong) known[provider["name"].Text] = read;
    }

    private static Tracer ReadTracer(string name, Field tracer, bool isZipkin)
    {
        CheckService(tracer);
        var (http, grpc) = (tracer["http"], tracer["grpc"]);
        if (http.Exists && grpc.Exists) tracer.Error("only one of http and grpc may be set");
        var path = isZipkin ? tracer["path"] : http["path"];
        CheckPath(path);
        if (http.Exists && path.Text.Length == 0) path.Error("must be the path of the collector", "for most collectors, it is /v1/traces");
        return new(name, isZipkin ? TraceProtocol.Zipkin : http.Exists ? TraceProtocol.OpenTelemetryHttp : TraceProtocol.OpenTelemetryGrpc,
            tracer["service"].Text, tracer["port"].Int ?? 0)
        {
            Path = path.Text.Length > 0 ? path.Text : isZipkin ? Tracer.ZipkinPath : "",
            Timeout = (isZipkin ? tracer["timeout"] : http.Exists ? http["timeout"] : grpc["timeout"]).Duration(Durations.OneMillisecond),
            Headers = ReadHeaders(isZipkin ? tracer["headers"] : http.Exists ? http["headers"] : grpc["initialMetadata"]),
            MaxTagLength = tracer["maxTagLength"].UInt is > 0 and var most ? most : null,
            HasShortIds = tracer["enable64bitTraceId"].Flag ?? false,
            // The attributes that follow from the conventions reach proxies by their environment, where injection puts them.
            ReadsEnvironment = tracer["resourceDetectors"]["environment"].Exists || tracer["serviceAttributeEnrichment"].Text == "OTEL_SEMANTIC_CONVENTIONS",
            ReadsDynatrace = tracer["resourceDetectors"]["dynatrace"].Exists,
            AlsoW3C = tracer["traceContextOption"].Text == "USE_B3_WITH_W3C_PROPAGATION",
        };
    }

    private static ValueMap<string> ReadHeaders(Field headers)
    {
        foreach (var header in headers.Items)
        {
            if (!HeaderNames.IsName(header["name"].Text)) header["name"].Error($"\"{header["name"].Text}\" is not the name of a header");
            if (header["value"].Text.Any(char.IsControl)) header["value"].Error("contains control characters");
        }
        return headers.Items.DistinctBy(header => header["name"].Text)
            .Select(header => KeyValuePair.Create(header["name"].Text.ToLowerInvariant(), header["value"].Text)).ToValueMap();
    }

    private static void CheckService(Field provider)
    {
        var service = provider["service"];
        var host = service.Text[(service.Text.IndexOf('/', StringComparison.Ordinal) + 1)..];
        if (HostNames.WhyInvalid(host, allowWildcard: false) is { } why) service.Error(why, "write HOST or NAMESPACE/HOST");
        if (provider["port"].Integer is not (>= 1 and <= 65535)) provider["port"].Error("must be in the range 1..65535");
    }

    private static void CheckPath(Field path)
    {
        if (path.Text.Length > 0 && (path.Text[0] != '/' || path.Text.Any(c => c is <= ' ' or > '~' or '?' or '#')))
            path.Error($"\"{path.Text}\" is not a path", "begin it with /");
    }

    private static ExternalAuthorizer ReadAuthorizer(string name, Field authorizer, bool isGrpc)
    {
        CheckService(authorizer);
        var (service, prefix) = (authorizer["service"], authorizer["pathPrefix"]);
        CheckPath(prefix);
        var old = authorizer["includeHeadersInCheck"];
        var headers = authorizer["includeRequestHeadersInCheck"];
        if (old.Exists && headers.Exists) old.Error("cannot be set together with includeRequestHeadersInCheck", "use includeRequestHeadersInCheck");
        foreach (var (added, value) in authorizer["includeAdditionalHeadersInCheck"].Members)
        {
            if (!HeaderNames.IsName(added)) value.Error($"\"{added}\" is not the name of a header");
            if (value.Text.Any(char.IsControl)) value.Error("contains control characters");
        }
        return new(name, service.Text, authorizer["port"].Int ?? 0, isGrpc)
        {
            Timeout = authorizer["timeout"].Duration(Durations.OneMillisecond) ?? ExternalAuthorizer.DefaultTimeout,
            FailOpen = authorizer["failOpen"].Flag ?? false,
            ClearRouteCache = authorizer["clearRouteCache"].Flag ?? false,
            StatusOnError = ReadStatus(authorizer["statusOnError"]),
            PathPrefix = prefix.Text,
            Body = ReadBody(authorizer["includeRequestBodyInCheck"]),
            RequestHeaders = Names(headers.Exists ? headers : old),
            AdditionalHeaders = authorizer["includeAdditionalHeadersInCheck"].TextMap,
            UpstreamOnAllow = Names(authorizer["headersToUpstreamOnAllow"]),
            DownstreamOnDeny = Names(authorizer["headersToDownstreamOnDeny"]),
            DownstreamOnAllow = Names(authorizer["headersToDownstreamOnAllow"]),
        };
    }

    private static CheckedBody? ReadBody(Field body)
    {
        if (!body.Exists) return null;
        if (body["maxRequestBytes"].Integer is not (>= 1 and <= int.MaxValue)) body["maxRequestBytes"].Error("must be in the range 1..2147483647");
        return new(body["maxRequestBytes"].UInt ?? 0, body["allowPartialMessage"].Flag ?? false, body["packAsBytes"].Flag ?? false);
    }

    private static int ReadStatus(Field status)
    {
        if (status.Text.Length == 0) return 0;
        if (int.TryParse(status.Text, NumberStyles.None, CultureInfo.InvariantCulture, out var code) && code >= 200 && code is not (306 or 451)
            && Enum.IsDefined((HttpStatusCode)code))
            return code;
        status.Error($"\"{status.Text}\" is not an HTTP status", "use a status such as \"403\" or \"503\"");
        return 0;
    }

    private static ValueList<string> Names(Field names)
    {
        foreach (var name in names.Items)
        {
            if (name.Text != "*" && !HeaderNames.IsName(name.Text.StartsWith('*') ? name.Text[1..] : name.Text.EndsWith('*') ? name.Text[..^1] : name.Text))
                name.Error($"\"{name.Text}\" is not the name of a header, a prefix* or a *suffix");
        }
        return names.Texts;
    }
}

/// <summary>The providers that have an effect, by name.</summary>
internal sealed record ExtensionProviders(ValueMap<ExternalAuthorizer> Authorizers, ValueMap<Tracer> Tracers, ValueMap<AccessLogger> Loggers,
    ValueList<string> Prometheus);

internal static class HeaderNames
{
    /// <summary>A list of names, in lower case.</summary>
    public static ValueList<string> ReadLower(Field names)
    {
        foreach (var name in names.Items.Where(name => !IsName(name.Text))) name.Error($"\"{name.Text}\" is not the name of a header");
        return names.Texts.Select(name => name.ToLowerInvariant()).Distinct().ToValueList();
    }

    public static bool IsName(string name) =>
        name.Length > 0 && name.All(c => char.IsAsciiLetterOrDigit(c) || "!#$%&'+-.^_`|~".Contains(c, StringComparison.Ordinal));

    /// <summary>Whether a name has only what Istio's definitions allow where they limit names.</summary>
    public static bool IsSimple(string name) => name.Length > 0 && name.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_');
}
