using Isthmus.Core.Collections;
using Isthmus.Core.Net;
using Isthmus.Core.Problems;

namespace Isthmus.Graph.Settings;

/// <summary>Which clients may send reviews of admission, and how much at once (ISTHMUS_WEBHOOK_…).</summary>
public sealed record WebhookSettings
{
    /// <summary>A Secret of the control plane's namespace that says how API servers prove themselves: <c>ca.crt</c>, whose client certificates
    /// they have, with the <c>names</c> that count, and <c>token</c>. Empty: they have no proof.</summary>
    public string CallersSecret { get; init; } = "";

    /// <summary>Where reviews without proof come from; empty: from everywhere but the cluster's own Pods.</summary>
    public ValueList<Cidr> Sources { get; init; }

    /// <summary>Reviews that are being answered.</summary>
    public int Requests { get; init; } = 1000;

    /// <summary>The same, of one address: all API servers of a cluster may share one.</summary>
    public int RequestsPerSource { get; init; } = 250;

    /// <summary>Bytes of reviews that are being answered.</summary>
    public long Bytes { get; init; } = 128 << 20;

    /// <summary>The same, of one address.</summary>
    public long BytesPerSource { get; init; } = 64 << 20;

    /// <summary>How long a review waits for room. API servers wait ten seconds for an answer, unless told otherwise.</summary>
    public TimeSpan Patience { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>How long a review may take to arrive and to be answered: the longest time for which API servers wait.</summary>
    public TimeSpan Longest { get; init; } = TimeSpan.FromSeconds(30);

    /// <exception cref="ProblemException">A variable is invalid.</exception>
    internal static WebhookSettings Read(Func<string, string?> environment)
    {
        var fallback = new WebhookSettings();
        return new()
        {
            CallersSecret = environment("ISTHMUS_WEBHOOK_CALLERS_SECRET") ?? "",
            Sources = (environment("ISTHMUS_WEBHOOK_SOURCES") ?? "").Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)
                .Select(Range).ToValueList(),
            Requests = (int)LimitSettings.Read(environment, "ISTHMUS_WEBHOOK_REQUESTS", fallback.Requests, int.MaxValue),
            RequestsPerSource = (int)LimitSettings.Read(environment, "ISTHMUS_WEBHOOK_REQUESTS_PER_SOURCE", fallback.RequestsPerSource, int.MaxValue),
            Bytes = LimitSettings.Read(environment, "ISTHMUS_WEBHOOK_BYTES", fallback.Bytes, long.MaxValue),
            BytesPerSource = LimitSettings.Read(environment, "ISTHMUS_WEBHOOK_BYTES_PER_SOURCE", fallback.BytesPerSource, long.MaxValue),
        };
    }

    private static Cidr Range(string text) => Cidr.TryParse(text, out var range) ? range
        : throw new ProblemException("ISTHMUS_WEBHOOK_SOURCES", $"'{text}' is not an address or a range of addresses",
            "write ranges like 10.0.0.0/16, separated by commas");
}
