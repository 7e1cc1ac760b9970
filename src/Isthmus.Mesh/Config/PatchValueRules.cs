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
        }
    }

    private static void CheckBucket(Field value, MessageDescriptor type)
    {
        Require(value, type, "max_tokens");
        Require(value, type, "fill_interval");
        foreach (var name in (ReadOnlySpan<string>)["max_tokens", "tokens_per_fill"])
        {
            if (Find(value, type, name) is { Integer: 0 } tokens) tokens.Error("must be greater than 0", "a limit of one is the smallest");
        }
        if (Find(value, type, "fill_interval") is var interval && Durations.TryParse(interval.Text, out var time) && time < ShortestFill) interval.Error("must be at least 0.05s");
    }

    private static void Require(Field value, MessageDescriptor type, string name)
    {
        if (Find(value, type, name) is { Exists: false } field) field.Error($"is missing: {type.FullName} needs it");
    }

    /// <summary>The field by either of its names.</summary>
    private static Field Find(Field value, MessageDescriptor type, string name) =>
        type.FindFieldByName(name) is { } known && value[known.JsonName].Exists ? value[known.JsonName] : value[name];
}
