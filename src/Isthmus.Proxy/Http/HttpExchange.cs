using System.Runtime.CompilerServices;
using Isthmus.Proxy.Export;
using Isthmus.Proxy.Filters;
using Isthmus.Proxy.Http2;
using Isthmus.Proxy.Loops;
using Isthmus.Proxy.Messages;
using Isthmus.Proxy.Own;
using Isthmus.Proxy.Policy;
using Isthmus.Proxy.Snapshot;
using Isthmus.Proxy.Telemetry;
using Isthmus.Proxy.Tls;
using Isthmus.Proxy.Traffic;
using Isthmus.Proxy.Transports;
using Isthmus.Proxy.Upstreams;

namespace Isthmus.Proxy.Http;

/// <summary>The dependencies of exchanges.</summary>
internal sealed record HttpParts(
    SnapshotState State, HttpUpstreams Upstreams, ActivityWatch Watch, Report Report, ISecretSource Secrets, ProxyPorts Ports, ProxyIdentity Identity,
    Connections Connections, DateField Date, KeyStore Keys, Authorizers Authorizers, RateLimitService Limits, Tracers Tracers)
{
    public FilterPorts Filters { get; } = new(Ports.Time, Ports.Random, Report.Access, Identity, Keys.GetAsync, Authorizers.AskAsync, Limits.AskAsync);
}

/// <summary>
/// One request from start to end, in order: prepare, check policies, find the route, then redirect, answer or forward. Reused for each
/// request of a connection.
/// </summary>
internal sealed partial class HttpExchange(
    HttpParts parts, Downstream connection, DownstreamStream stream, RequestAttempts attempts, RequestRoute route, RequestFilters filters) : IExchange
{
    private readonly ResponseHead _response = attempts.Response;
    private readonly TrafficRecord _record = attempts.Record;
    private RouteDecision _decision;
    private readonly RequestRoute _route = route;
    private readonly RequestFilters _filters = filters;
    private readonly OwnAnswers _own = new(parts, connection, stream, attempts, filters);
    private HttpAction _action = null!;
    private ProxySnapshot _snapshot = ProxySnapshot.Empty;
    private string _scheme = "http";
    private OpenSpan _span;

    public HttpExchange(HttpParts parts, Downstream connection, DownstreamStream stream)
        : this(parts, connection, stream, new(parts, connection, stream), new(parts, stream))
    {
    }

    private HttpExchange(HttpParts parts, Downstream connection, DownstreamStream stream, RequestAttempts attempts, RequestRoute route)
        : this(parts, connection, stream, attempts, route, new(parts, connection, stream, route, attempts.Response, attempts.Record))
    {
    }

    private RequestHead Request => stream.Request;

    /// <summary>Handles the request whose head was just read.</summary>
    [AsyncMethodBuilder(typeof(PooledMethodBuilder))]
    public async ValueTask RunAsync(HttpAction action)
    {
        _action = action;
        _snapshot = parts.State.Current;
        (_decision, _span) = (default, default);
        _route.Begin(action, _snapshot);
        attempts.Limits.Clear();
        Begin();
        try
        {
            await HandleAsync().ConfigureAwait(false);
        }
        catch (HttpMessageException e)
        {
            // Upstream failures are handled where they occur: errors that arrive here are the client's.
            _record.Reason = EndReason.ClientProtocolError;
            if (!stream.IsResponseStarted) await _own.ReplyAsync(e.Status, "", e.Detail, EndReason.ClientProtocolError, closes: true).ConfigureAwait(false);
            else stream.Reset();
        }
        catch (TransportException)
        {
            _record.Reason = EndReason.ClientClosed;
            _record.Details = RequestAttempts.ClientLeft;
            attempts.Limits.Record(_record, stream);
            stream.Reset();
        }
        Finish();
    }

    public void Report(HttpAction action, string fault)
    {
        _action = action;
        Begin();
        (_record.Reason, _record.Details) = (EndReason.ClientProtocolError, $"http2.violation.of.messaging.rule{{{fault.Replace(' ', '_')}}}");
        parts.Report.Http(connection, _record, action.AccessLogs);
    }

    /// <summary>Gives up the memory of the last response.</summary>
    public void Rest() => _record.Rest();

    /// <summary>Answers a malformed request head.</summary>
    [AsyncMethodBuilder(typeof(PooledMethodBuilder))]
    public async ValueTask RefuseAsync(HttpAction action, HttpMessageException fault)
    {
        _action = action;
        Begin();
        Request.Headers.Clear();
        if (fault.Status == 408)
            await _own.ReplyAsync(408, TimeLimits.HeadText(fault.Detail), fault.Detail, EndReason.RequestTimeout, closes: true).ConfigureAwait(false);
        else await _own.ReplyAsync(fault.Status, fault.Detail, fault.Detail, EndReason.ClientProtocolError, closes: true).ConfigureAwait(false);
        Finish();
    }

    private void Begin()
    {
        _own.Begin(_action);
        _record.Clear();
        Interlocked.Increment(ref connection.Http!.Requests);
        _record.Start = parts.Ports.Time.GetUtcNow();
        _record.StartedAt = parts.Ports.Time.GetTimestamp();
        _record.Request = Request;
        _record.Response = _response;
        _record.DownstreamLocal = connection.Destination;
        _record.DownstreamRemote = connection.Source;
        _record.DownstreamPeer = connection.Peer;
        _record.ServerName = connection.Facts.ServerName;
        _record.State = connection.State;
        _record.ChainName = connection.Chain?.Name ?? "";
        _response.Clear();
    }

    private void Finish()
    {
        _record.Duration = parts.Ports.Time.GetElapsedTime(_record.StartedAt);
        _record.BytesReceived = stream.BytesReceived;
        _record.BytesSent = stream.BytesSent;
        if (stream.CountsMessages) (_record.RequestMessages, _record.ResponseMessages) = (stream.RequestMessages, stream.ResponseMessages);
        parts.Report.Http(connection, _record, _action.AccessLogs);
        if (_span.Context.IsSampled) parts.Tracers.End(_action.Tracing!, _span, _record, _decision.Route?.Operation ?? "", connection.Listener.Direction);
        _filters.Clear();
    }

    [AsyncMethodBuilder(typeof(PooledMethodBuilder))]
    private async ValueTask HandleAsync()
    {
        if (Request.Version == HttpVersions.Http10 && !_action.Codec.AcceptHttp10)
        {
            parts.Report.Unexpected(connection, Wire.Reports.SpokenPort.Types.Protocol.Http10);
            await _own.ReplyAsync(426, "", "low_version", EndReason.ClientProtocolError, closes: true).ConfigureAwait(false);
            return;
        }
        if (!RequestPreparation.CheckUnderscores(Request.Headers, _action.Codec.Underscores))
        {
            await _own.ReplyAsync(400, "", "http1.unexpected_underscore", EndReason.ClientProtocolError).ConfigureAwait(false);
            return;
        }
        if (Request.Authority.Length == 0) Request.Authority = _action.Codec.DefaultHost;
        if (RequestPreparation.NormalizePath(Request, _action.Paths) is > 0 and var refusal)
        {
            if (refusal == 307)
                await _own.SendAsync(LocalReply.PreparePathRedirect(_response, Request, _scheme), "path_normalization_failed", EndReason.DirectResponse)
                    .ConfigureAwait(false);
            else await _own.ReplyAsync(refusal, "", "path_normalization_failed", EndReason.ClientProtocolError).ConfigureAwait(false);
            return;
        }
        _filters.Arrive(_action);
        RequestPreparation.Apply(Request, connection, _action, parts.Secrets, parts.Ports.Random);
        _span = parts.Tracers.Begin(_action.Tracing, Request.Headers, connection.Listener.Direction);
        _route.Scheme = _scheme = Request.Headers.Get("x-forwarded-proto"u8).SequenceEqual("https"u8) ? "https" : "http";
        _filters.Begin(_action);
        foreach (var listed in _action.Filters.Requests)
        {
            if (!_filters.IsOn(listed) || await listed.Filter.OnRequestAsync(_filters).ConfigureAwait(false) is not { } answer) continue;
            _decision = _filters.Decision;
            await _own.SendAsync(answer).ConfigureAwait(false);
            return;
        }
        await (Find() is not { } route ? _own.ReplyAsync(404, "", "route_not_found", EndReason.RouteNotFound)
            : (_action.Unread(route, _filters.Switches) ?? _filters.Unasked(route)) is { } unread
            ? _own.SendAsync(_filters.Refuse(LackedFilter.Lacking(unread)))
            : ActAsync(route)).ConfigureAwait(false);
    }

    private RouteSnapshot? Find()
    {
        _decision = _route.Decision;
        _record.RouteName = _decision.Route?.Name ?? "";
        return _decision.Route;
    }

    [AsyncMethodBuilder(typeof(PooledMethodBuilder))]
    private async ValueTask ActAsync(RouteSnapshot route)
    {
        if (_decision.RedirectsToHttps(_scheme))
        {
            LocalReply.PrepareRedirect(_response, Request, route, new RedirectAct(301, "https", "", 0, null, null, null, false), _scheme, IsTls);
            await _own.SendAsync(default, "", EndReason.DirectResponse).ConfigureAwait(false);
            return;
        }
        switch (route.Act)
        {
            case RedirectAct redirect:
                LocalReply.PrepareRedirect(_response, Request, route, redirect, _scheme, IsTls);
                await _own.SendAsync(default, "direct_response", EndReason.DirectResponse).ConfigureAwait(false);
                return;
            case DirectAct direct:
                var body = LocalReply.Prepare(_response, Request, direct.Status, System.Text.Encoding.UTF8.GetString(direct.Body));
                await _own.SendAsync(body, "direct_response", EndReason.DirectResponse).ConfigureAwait(false);
                return;
            default:
                await ForwardAsync(route, (ForwardAct)route.Act).ConfigureAwait(false);
                return;
        }
    }

    private bool IsTls => connection.Peer is not null;
}
