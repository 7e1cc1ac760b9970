using System.Globalization;
using System.Text;
using Isthmus.Proxy.Messages;
using Isthmus.Proxy.Policy;
using Isthmus.Wire.Envoy;
using Isthmus.Wire.Envoy.RateLimits;

namespace Isthmus.Proxy.Own;

/// <summary>Asks rate limit services (<c>envoy.service.ratelimit.v3.RateLimitService</c>).</summary>
internal sealed class RateLimitService(OwnRequests requests)
{
    public async ValueTask<LimitAnswer> AskAsync(GlobalLimit limit, string domain, IEnumerable<IReadOnlyList<LimitEntry>> descriptors)
    {
        var message = new RateLimitRequest { Domain = domain };
        foreach (var entries in descriptors)
            message.Descriptors.Add(new RateLimitDescriptor
            {
                Entries = { entries.Select(entry => new RateLimitDescriptor.Types.Entry { Key = entry.Key, Value = entry.Value }) }
            });
        var (head, body) = GrpcMessages.Request(limit.Authority, "/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit"u8, limit.Patience, message);
        var answer = GrpcMessages.Read(await requests.SendAsync(limit.Cluster, head, body, limit.Patience).ConfigureAwait(false), RateLimitResponse.Parser);
        if (answer is null || answer.OverallCode == RateLimitResponse.Types.Code.Unknown) return LimitAnswer.Failed;
        if (!answer.ResponseHeadersToAdd.Concat(answer.RequestHeadersToAdd).All(GrpcMessages.IsValid)) return LimitAnswer.Failed;
        return new(answer.OverallCode == RateLimitResponse.Types.Code.OverLimit)
        {
            ToUpstream = Edits(answer.RequestHeadersToAdd),
            ToClient = Edits(answer.ResponseHeadersToAdd),
            Quota = limit.TellsClient ? Quota(answer) : [],
            Body = answer.RawBody.Memory,
        };
    }

    private static List<HeaderEdit> Edits(IEnumerable<HeaderValue> fields) =>
        [.. fields.Where(field => !HeadRules.IsFixed(Encoding.ASCII.GetBytes(field.Key.ToLowerInvariant())))
            .Select(field => new HeaderEdit(Encoding.ASCII.GetBytes(field.Key.ToLowerInvariant()), GrpcMessages.ValueOf(field), null, EditAction.Append))];

    /// <summary>The limit that is nearest, and all limits with their windows.</summary>
    private static List<HeaderEdit> Quota(RateLimitResponse answer)
    {
        var known = answer.Statuses.Where(status => status.CurrentLimit is not null).ToList();
        if (known.MinBy(status => status.LimitRemaining) is not { } nearest) return [];
        var windows = string.Concat(known.Select(status => Window(status.CurrentLimit)).Where(window => window.Length > 0).Select(window => $", {window}"));
        return
        [
            Field("x-ratelimit-limit", $"{Text(nearest.CurrentLimit.RequestsPerUnit)}{windows}"),
            Field("x-ratelimit-remaining", Text(nearest.LimitRemaining)),
            Field("x-ratelimit-reset", Text(nearest.DurationUntilReset?.Seconds ?? 0)),
        ];
    }

    private static string Window(RateLimitResponse.Types.RateLimit limit)
    {
        var seconds = limit.Unit switch
        {
            RateLimitResponse.Types.RateLimit.Types.Unit.Second => 1,
            RateLimitResponse.Types.RateLimit.Types.Unit.Minute => 60,
            RateLimitResponse.Types.RateLimit.Types.Unit.Hour => 3600,
            RateLimitResponse.Types.RateLimit.Types.Unit.Day => 86_400,
            RateLimitResponse.Types.RateLimit.Types.Unit.Week => 604_800,
            RateLimitResponse.Types.RateLimit.Types.Unit.Month => 2_592_000,
            RateLimitResponse.Types.RateLimit.Types.Unit.Year => 31_536_000,
            _ => 0,
        };
        return seconds == 0 ? "" : $"{Text(limit.RequestsPerUnit)};w={Text(seconds)}{(limit.Name.Length > 0 ? $";name=\"{limit.Name}\"" : "")}";
    }

    private static string Text(long number) => number.ToString(CultureInfo.InvariantCulture);

    private static HeaderEdit Field(string name, string value) => new(Encoding.ASCII.GetBytes(name), value, EditAction.Overwrite);
}
