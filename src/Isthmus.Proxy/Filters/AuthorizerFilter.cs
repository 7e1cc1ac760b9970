using System.Runtime.CompilerServices;
using System.Text;
using System.Text.Unicode;
using Isthmus.Proxy.Loops;
using Isthmus.Proxy.Messages;
using Isthmus.Proxy.Policy;
using Isthmus.Proxy.Telemetry;
using Isthmus.Wire.Envoy.HttpFilters;

namespace Isthmus.Proxy.Filters;

/// <summary>An ext_authz filter of HTTP: an external authorizer decides, and its answer may change the request.</summary>
internal sealed class AuthorizerFilter(string name, ExternalCheck check) : RequestFilter(name)
{
    private const string AnswerSpace = "envoy.filters.http.ext_authz";

    public static readonly HttpFilterKind Kind = HttpFilterKind.Of<ExtAuthz>(AnswerSpace,
            (external, from) => new AuthorizerFilter(from.Name, ExternalCheckDecoder.Decode(external, from.Name, from.Stats)))
        .ForRoutes<ExtAuthzPerRoute>((check, _) => ExternalCheckDecoder.Decode(check));

    public override FilterSteps Steps => FilterSteps.Request;

    public override ValueTask<FilterAnswer?> OnRequestAsync(FilteredRequest request)
    {
        var ofRoute = request.PeekRoute()?.Of(Name) as RouteCheck;
        return ofRoute is { IsOff: true } || !check.IsFor(request.Metadata) ? default : AskAsync(check, ofRoute, request);
    }

    /// <summary>Asks, and does what the answer says.</summary>
    [AsyncMethodBuilder(typeof(PooledMethodBuilder<>))]
    public static async ValueTask<FilterAnswer?> AskAsync(ExternalCheck check, RouteCheck? ofRoute, FilteredRequest request)
    {
        var facts = request.Facts;
        var authorizer = ofRoute?.Authorizer ?? check.Authorizer;
        // What the filter says of fields is for one protocol.
        if (authorizer.IsGrpc != check.Authorizer.IsGrpc) return request.Refuse(LackedFilter.Lacking(check.Name));
        // The check has the method of the request: it would ask the authorizer for a tunnel.
        if (!authorizer.IsGrpc && request.Head.IsConnect)
            return request.Refuse(new(403, "an authorizer that speaks HTTP cannot decide about CONNECT"u8.ToArray(), "ext_authz_connect",
                EndReason.Unauthorized));
        // The authorizer would decide about another path than the server gets: gRPC has no text for it.
        if (authorizer.IsGrpc && !Utf8.IsValid(request.Head.Target))
            return request.Refuse(new(400, "Bad Request"u8.ToArray(), "ext_authz_invalid_path", EndReason.ClientProtocolError));
        var sends = ofRoute is null ? check.Body : ofRoute.BodyFor(check);
        if (sends is { } wanted && request.Head.Body != BodyKind.None)
        {
            // One byte more tells whether the whole body fits.
            await request.ReadAheadAsync(wanted.MayBePart ? wanted.Most : wanted.Most + 1L).ConfigureAwait(false);
            if (!wanted.MayBePart && request.Body is { Length: var length } && length > wanted.Most)
                return request.Refuse(new(413, "Payload Too Large"u8.ToArray(), "request_payload_too_large", EndReason.ClientProtocolError));
        }
        var read = request.Body;
        var seen = read is not { } body || sends is null ? default : body[..Math.Min(body.Length, sends.Most)];
        var call = new CheckedCall(facts, request.Record.Start, request.OwnIdentity)
        {
            Route = ofRoute, Sends = sends, Body = seen, IsPart = read is { } all && (request.IsBodyStreaming || seen.Length < all.Length),
        };
        var answer = await request.Ports.Authorizers(check, call).ConfigureAwait(false);
        if (answer.Metadata is { } told)
        {
            var metadata = request.Metadata ?? new();
            foreach (var (key, value) in told) metadata.Put(AnswerSpace, key, value?.DeepClone());
            if (told.Count > 0) request.Metadata = metadata;
        }
        switch (answer.Outcome)
        {
            case ExternalOutcome.Allowed:
                Apply(check, answer, request);
                return null;
            case ExternalOutcome.Denied:
                return request.Refuse(new(answer.Status, answer.Body, "ext_authz_denied", EndReason.Unauthorized) { Fields = answer.ToClient });
            default:
                if (!check.FailsOpen) return request.Refuse(new(check.StatusOnError, default, "ext_authz_error", EndReason.Unauthorized));
                if (check.MarksFailure) request.Head.Headers.Set("x-envoy-auth-failure-mode-allowed"u8, "true"u8);
                return null;
        }
    }

    private static void Apply(ExternalCheck check, ExternalAnswer answer, FilteredRequest request)
    {
        var head = request.Head;
        foreach (var edit in answer.ToUpstream)
        {
            if (edit.Name.AsSpan().SequenceEqual(":path"u8)) head.SetTarget(edit.Value);
            else if (edit.Name.AsSpan().SequenceEqual(":method"u8)) head.Method = Encoding.UTF8.GetString(edit.Value);
        }
        request.Edit(
            HeaderEdits.None with { Request = [.. answer.ToUpstream.Where(edit => edit.Name[0] != ':' || edit.Name.AsSpan().SequenceEqual(":authority"u8))] });
        request.Edit(HeaderEdits.None with { RequestRemove = answer.Removed });
        if (answer.QuerySet.Count > 0 || answer.QueryRemoved.Count > 0)
            head.SetTarget(Encoding.Latin1.GetBytes(Query(Encoding.Latin1.GetString(head.Target), answer)));
        if (answer.ToClient.Count > 0) request.TellClient(answer.ToClient);
        if (check.ClearsRoute) request.ForgetRoute();
    }

    // One character for each byte: what is left must not change.
    private static string Query(string target, ExternalAnswer answer)
    {
        var question = target.IndexOf('?', StringComparison.Ordinal);
        var (path, query) = question < 0 ? (target, "") : (target[..question], target[(question + 1)..]);
        var kept = query.Split('&', StringSplitOptions.RemoveEmptyEntries)
            .Where(pair => pair.Split('=')[0] is var key && !answer.QueryRemoved.Contains(key) && !answer.QuerySet.Any(item => item.Key == key))
            .Concat(answer.QuerySet.Select(item => $"{Uri.EscapeDataString(item.Key)}={Uri.EscapeDataString(item.Value)}")).ToList();
        return kept.Count == 0 ? path : $"{path}?{string.Join('&', kept)}";
    }
}
