using System.Runtime.CompilerServices;
using System.Text;
using System.Text.Unicode;
using Isthmus.Proxy.Loops;
using Isthmus.Proxy.Messages;
using Isthmus.Proxy.Own;
using Isthmus.Proxy.Policy;
using Isthmus.Proxy.Snapshot;
using Isthmus.Proxy.Telemetry;
using Isthmus.Proxy.Tokens;
using Isthmus.Proxy.Traffic;
using Isthmus.Proxy.Upstreams;

namespace Isthmus.Proxy.Http;

/// <summary>What a client gets instead of a response of the server.</summary>
internal sealed record Refusal(int Status, ReadOnlyMemory<byte> Body, string Details, EndReason Reason)
{
    public IReadOnlyList<HeaderEdit> Fields { get; init; } = [];

    /// <summary>The status for clients that speak gRPC; null: as it follows from the HTTP status.</summary>
    public int? GrpcStatus { get; init; }
}

/// <summary>
/// Decides whether one request after another may continue: checks its tokens, runs the policies of its listener, and asks the external
/// authorizers among them. Their answers may change the request.
/// </summary>
internal sealed partial class RequestAccess(HttpParts parts, Downstream connection, DownstreamStream stream, RequestRoute route)
{
    private const string AnswerSpace = "envoy.filters.http.ext_authz";

    private PolicyFacts? _facts;

    // What composite filters have asked; null while none has.
    private List<ExternalCheck>? _composed;

    /// <summary>What filters learned about the request; null for nothing.</summary>
    public RequestMetadata? Metadata
    {
        get => route.Metadata;
        private set => route.Metadata = value;
    }

    /// <summary>The body, as far as it was read for an authorizer; null when it was not.</summary>
    public RequestBody? Body { get; private set; }

    /// <summary>Fields that filters add to whatever response the client gets.</summary>
    public IReadOnlyList<HeaderEdit> ToClient { get; private set; } = [];

    /// <summary>Forgets the request before.</summary>
    public void Clear()
    {
        (Metadata, ToClient, _facts) = (null, [], null);
        _composed?.Clear();
        TakeBody()?.Dispose();
    }

    /// <summary>Forgets what follows from the fields of the request.</summary>
    public void Forget() => _facts = null;

    /// <summary>Hands the body to the code that forwards it.</summary>
    public RequestBody? TakeBody()
    {
        var body = Body;
        Body = null;
        return body;
    }

    /// <summary>Runs a filter of a listener; null when the request may continue.</summary>
    public ValueTask<Refusal?> CheckAsync(AccessFilter filter, HttpAction action, string scheme, TrafficRecord record) => filter switch
    {
        RbacFilter rbac => new(Decide(rbac, Facts(action, scheme))),
        ExternalCheck check => AskAsync(check, route.Decision.ForFilters(scheme)?.Checks.GetValueOrDefault(check.Name), Facts(action, scheme), record),
        RouteFilter composite when route.Decision.ForFilters(scheme)?.Composed.GetValueOrDefault(composite.Name) is { } check =>
            AskAsync(Noted(check), null, Facts(action, scheme), record),
        TokenFilter token => CheckTokenAsync(token, scheme),
        UnsupportedFilter unknown => new(Lacking(unknown.Name)),
        LocalLimitFilter local => new(Limit(local, Facts(action, scheme), record)),
        GlobalLimit shared when route.Decision.Route?.Limits is { } limits => LimitAsync(shared, limits, Facts(action, scheme), record),
        _ => default,
    };

    /// <summary>Whether a composite filter has asked for the request.</summary>
    public bool HasAsked(ExternalCheck check) => _composed?.Contains(check) == true;

    private ExternalCheck Noted(ExternalCheck check)
    {
        (_composed ??= []).Add(check);
        return check;
    }

    /// <summary>What a client gets where the proxy lacks a filter that could refuse the request, or its configuration.</summary>
    public static Refusal Lacking(string filter) => new(403, LocalReply.Unsupported, UnsupportedFilter.DetailsOf(filter), EndReason.DeniedByPolicy);

    private Refusal? Decide(RbacFilter rbac, in PolicyFacts facts)
    {
        var metadata = Metadata;
        var verdict = rbac.Apply(facts, ref metadata, parts.Report.Access);
        Metadata = metadata;
        return verdict.IsAllowed ? null
            : new(403, LocalReply.Denied, $"rbac_access_denied_matched_policy[{(verdict.Rule.Length > 0 ? verdict.Rule : "none")}]", EndReason.DeniedByPolicy);
    }

    /// <summary>Null when the request may continue.</summary>
    private async ValueTask<Refusal?> CheckTokenAsync(TokenFilter filter, string scheme)
    {
        var request = stream.Request;
        var verdict = await filter.Check.DecideAsync(request, scheme, parts.Keys.GetAsync, parts.Ports.Time.GetUtcNow()).ConfigureAwait(false);
        Metadata = verdict.Metadata ?? Metadata;
        if (verdict.Status == 0)
        {
            if (filter.ClearsRoute) route.Forget();
            return null;
        }
        var realm = $"{scheme}://{request.Authority}{request.TargetText.Split('?')[0]}".Replace("\"", "", StringComparison.Ordinal)
            .Replace("\\", "", StringComparison.Ordinal);
        return new(verdict.Status, Encoding.UTF8.GetBytes(verdict.Failure), $"jwt_authn_access_denied{{{verdict.Failure.Replace(' ', '_')}}}",
            EndReason.Unauthorized)
        {
            Fields = [new("www-authenticate"u8.ToArray(), $"Bearer realm=\"{realm}\", error=\"invalid_token\"", EditAction.Append)],
        };
    }

    private PolicyFacts Facts(HttpAction action, string scheme) => (_facts ??= new(
        stream.Request, scheme, connection.Peer, connection.Source, RequestPreparation.RemoteAddress(stream.Request.Headers, connection, action.Client),
        connection.Destination,
        connection.Facts.ServerName) { DirectSource = connection.DirectSource }) with { Metadata = Metadata };

    [AsyncMethodBuilder(typeof(PooledMethodBuilder<>))]
    private async ValueTask<Refusal?> AskAsync(ExternalCheck check, RouteCheck? ofRoute, PolicyFacts facts, TrafficRecord record)
    {
        if (ofRoute is { IsOff: true } || !check.IsFor(Metadata)) return null;
        var authorizer = ofRoute?.Authorizer ?? check.Authorizer;
        // What the filter says of fields is for one protocol.
        if (authorizer.IsGrpc != check.Authorizer.IsGrpc) return Lacking(check.Name);
        // The check has the method of the request: it would ask the authorizer for a tunnel.
        if (!authorizer.IsGrpc && stream.Request.IsConnect)
            return new(403, "an authorizer that speaks HTTP cannot decide about CONNECT"u8.ToArray(), "ext_authz_connect", EndReason.Unauthorized);
        // The authorizer would decide about another path than the server gets: gRPC has no text for it.
        if (authorizer.IsGrpc && !Utf8.IsValid(stream.Request.Target))
            return new(400, "Bad Request"u8.ToArray(), "ext_authz_invalid_path", EndReason.ClientProtocolError);
        var sends = ofRoute is null ? check.Body : ofRoute.BodyFor(check);
        if (sends is { } wanted && stream.Request.Body != BodyKind.None)
        {
            Body ??= RequestBody.Begin(stream);
            // One byte more tells whether the whole body fits.
            await Body.ReadAheadAsync(wanted.MayBePart ? wanted.Most : wanted.Most + 1L).ConfigureAwait(false);
            if (!wanted.MayBePart && Body.Buffered.Length > wanted.Most)
                return new(413, "Payload Too Large"u8.ToArray(), "request_payload_too_large", EndReason.ClientProtocolError);
        }
        var seen = Body is null || sends is null ? default : Body.Buffered[..Math.Min(Body.Buffered.Length, sends.Most)];
        var call = new CheckedCall(facts, record.Start, OwnIdentity)
        {
            Route = ofRoute, Sends = sends, Body = seen, IsPart = Body is not null && (Body.IsStreaming || seen.Length < Body.Buffered.Length),
        };
        var answer = await parts.Authorizers.AskAsync(check, call).ConfigureAwait(false);
        if (answer.Metadata is { } told)
            foreach (var (key, value) in told) (Metadata ??= new()).Put(AnswerSpace, key, value?.DeepClone());
        switch (answer.Outcome)
        {
            case ExternalOutcome.Allowed:
                Apply(check, answer, record);
                return null;
            case ExternalOutcome.Denied:
                return new(answer.Status, answer.Body, "ext_authz_denied", EndReason.Unauthorized) { Fields = answer.ToClient };
            default:
                if (!check.FailsOpen) return new(check.StatusOnError, default, "ext_authz_error", EndReason.Unauthorized);
                if (check.MarksFailure) stream.Request.Headers.Set("x-envoy-auth-failure-mode-allowed"u8, "true"u8);
                return null;
        }
    }

    private void Apply(ExternalCheck check, ExternalAnswer answer, TrafficRecord record)
    {
        // The answer may change what the address of the client follows from.
        _facts = null;
        foreach (var edit in answer.ToUpstream)
        {
            if (edit.Name.AsSpan().SequenceEqual(":path"u8)) stream.Request.SetTarget(edit.Value);
            else if (edit.Name.AsSpan().SequenceEqual(":method"u8)) stream.Request.Method = Encoding.UTF8.GetString(edit.Value);
        }
        HeaderEditing.Request(stream.Request,
            HeaderEdits.None with { Request = [.. answer.ToUpstream.Where(edit => edit.Name[0] != ':' || edit.Name.AsSpan().SequenceEqual(":authority"u8))] },
            record);
        HeaderEditing.Request(stream.Request, HeaderEdits.None with { RequestRemove = answer.Removed }, record);
        if (answer.QuerySet.Count > 0 || answer.QueryRemoved.Count > 0)
            stream.Request.SetTarget(Encoding.Latin1.GetBytes(Query(Encoding.Latin1.GetString(stream.Request.Target), answer)));
        if (answer.ToClient.Count > 0) ToClient = [.. ToClient, .. answer.ToClient];
        if (check.ClearsRoute) route.Forget();
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

    private string OwnIdentity => connection.Chain?.Tls is { } tls ? parts.Secrets.FindCertificate(tls.Certificate)?.Self.Identity ?? "" : "";
}
