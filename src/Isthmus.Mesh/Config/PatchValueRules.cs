using Google.Protobuf.Reflection;
using Isthmus.Core.Time;

namespace Isthmus.Mesh.Config;

/// <summary>What proxies demand of whole messages in patches. Without these fields they refuse the resource, and keep the one of before.</summary>
internal static class PatchValueRules
{
    private const string StatPrefix = "stat_prefix";

    private static readonly TimeSpan ShortestFill = TimeSpan.FromMilliseconds(50);

    public static void Check(Field value, MessageDescriptor type)
    {
        switch (type.FullName)
        {
            case "envoy.config.core.v3.HeaderValue":
                var key = Find(value, type, "key");
                if (key.Text.Equals("host", StringComparison.OrdinalIgnoreCase))
                    key.Error(":-prefixed or host headers may not be modified", "use host_rewrite_literal");
                else HeadTexts.CheckName(key, key.Text);
                HeadTexts.CheckValue(Find(value, type, "value"));
                break;
            case "envoy.type.v3.TokenBucket":
                CheckBucket(value, type);
                break;
            case "envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit":
                Require(value, type, StatPrefix);
                break;
            case "envoy.extensions.filters.network.local_ratelimit.v3.LocalRateLimit":
                Require(value, type, StatPrefix);
                Require(value, type, "token_bucket");
                break;
            case "envoy.extensions.common.ratelimit.v3.LocalRateLimitDescriptor":
                Require(value, type, "token_bucket");
                break;
            case "envoy.extensions.filters.http.ratelimit.v3.RateLimit":
                Require(value, type, "domain");
                Require(value, type, "rate_limit_service");
                break;
            case "envoy.config.ratelimit.v3.RateLimitServiceConfig":
                Require(value, type, "grpc_service");
                break;
            case "envoy.config.core.v3.HealthCheck":
                CheckHealth(value, type);
                break;
            case "envoy.config.core.v3.HealthCheck.HttpHealthCheck":
                CheckHttpHealth(value, type);
                break;
            case "envoy.config.core.v3.HealthCheck.Payload":
                if (Find(value, type, "text") is { Exists: true } hex
                    && (hex.Text.Length is 0 || hex.Text.Length % 2 != 0 || !hex.Text.All(char.IsAsciiHexDigit)))
                    hex.Error($"invalid hex string \"{hex.Text}\"", "write two digits for each byte, for example 50494E47 for PING");
                break;
        }
    }

    /// <summary>What becomes a part of a head, whether the message is whole or merged into another one.</summary>
    public static void CheckHead(Field value, MessageDescriptor type)
    {
        foreach (var field in type.Fields.InDeclarationOrder())
        {
            if (field.Name is "request_headers_to_remove" or "response_headers_to_remove")
            {
                foreach (var name in Find(value, type, field.Name).Items)
                {
                    if (name.Text.Equals("host", StringComparison.OrdinalIgnoreCase))
                        name.Error(":-prefixed or host headers may not be removed", "use host_rewrite_literal");
                    else HeadTexts.CheckName(name, name.Text);
                }
            }
            else if (field.Name is "host_rewrite_literal" or "host_redirect") HeadTexts.CheckAuthority(Find(value, type, field.Name));
            else if (field.Name is "prefix_rewrite" or "path_redirect" or "scheme_redirect") HeadTexts.CheckPath(Find(value, type, field.Name));
        }
    }

    private static void CheckHealth(Field value, MessageDescriptor type)
    {
        foreach (var name in (ReadOnlySpan<string>)["timeout", "interval", "unhealthy_threshold", "healthy_threshold"]) Require(value, type, name);
        foreach (var field in type.Fields.InDeclarationOrder()
            .Where(field => field.FieldType == FieldType.Message && field.MessageType.FullName == "google.protobuf.Duration"
                && !field.Name.EndsWith("jitter", StringComparison.Ordinal)))
        {
            if (Find(value, type, field.Name) is var given && Durations.TryParse(given.Text, out var time) && time <= TimeSpan.Zero)
                given.Error("must be greater than 0s");
        }
        if (!type.Oneofs[0].Fields.Any(field => Find(value, type, field.Name).Exists))
            value.Error("needs http_health_check, tcp_health_check or grpc_health_check");
    }

    private static void CheckHttpHealth(Field value, MessageDescriptor type)
    {
        Require(value, type, "path");
        if (Find(value, type, "codec_client_type") is { Text: "HTTP3" } codec) codec.Error("proxies of Isthmus speak no HTTP/3", "use HTTP1 or HTTP2");
        if (Find(value, type, "method") is { Text: "CONNECT" } method) method.Error("CONNECT cannot check health", "use GET or HEAD");
        foreach (var range in Find(value, type, "expected_statuses").Items.Concat(Find(value, type, "retriable_statuses").Items))
        {
            var (start, end) = (Whole(range["start"]), Whole(range["end"]));
            if (start >= end) range.Error($"expecting start < end, but found start={start} and end={end}", "the end is the first status that does not count");
            else if (start < 100 || end > 600) range.Error($"expecting statuses from 100 to 599, but found start={start} and end={end}");
        }
    }

    // In protojson, whole numbers of 64 bits may be text.
    private static long Whole(Field field) =>
        field.Integer ?? (long.TryParse(field.Text, System.Globalization.CultureInfo.InvariantCulture, out var number) ? number : 0);

    private static void CheckBucket(Field value, MessageDescriptor type)
    {
        Require(value, type, "max_tokens");
        Require(value, type, "fill_interval");
        foreach (var name in (ReadOnlySpan<string>)["max_tokens", "tokens_per_fill"])
        {
            if (Find(value, type, name) is { Integer: 0 } tokens) tokens.Error("must be greater than 0", "a limit of one is the smallest");
        }
        if (Find(value, type, "fill_interval") is var interval && Durations.TryParse(interval.Text, out var time) && time < ShortestFill)
            interval.Error("must be at least 0.05s");
    }

    private static void Require(Field value, MessageDescriptor type, string name)
    {
        if (Find(value, type, name) is { Exists: false } field) field.Error($"is missing: {type.FullName} needs it");
    }

    /// <summary>The field by either of its names.</summary>
    private static Field Find(Field value, MessageDescriptor type, string name) =>
        type.FindFieldByName(name) is { } known && value[known.JsonName].Exists ? value[known.JsonName] : value[name];
}
