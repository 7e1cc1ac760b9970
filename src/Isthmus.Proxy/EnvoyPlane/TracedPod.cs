using System.Net;
using Isthmus.Proxy.Admin;
using Isthmus.Proxy.Agent;
using Isthmus.Proxy.Dumps;
using Isthmus.Proxy.Messages;
using Isthmus.Proxy.Trace;
using Isthmus.Reports;

namespace Isthmus.Proxy.EnvoyPlane;

/// <summary>What <c>isthmus trace</c> asks of a Pod whose data plane is Envoy, beside Envoy's admin interface.</summary>
internal sealed class TracedPod
{
    private readonly AgentParts _parts;
    private readonly IPAddress? _own;
    private readonly CallListeners _listeners;
    private readonly PodRoutes _pod;

    public TracedPod(AgentParts parts, CallListeners listeners, CallReports reports)
    {
        (_parts, _own, _listeners) = (parts, OwnAddress.Of(parts.Node.Id), listeners);
        _pod = new(parts.Ports with { Resolver = new MarkedResolver(parts.Names) }, new EnvoyEntry(listeners, reports, _own, parts.Ports));
    }

    public async ValueTask<AdminReply?> HandleAsync(RequestHead request, CancellationToken stop)
    {
        if (AdminQuery.Refusal(request, _own) is { } refusal) return refusal;
        var (path, query) = AdminQuery.Read(request);
        return path switch
        {
            InspectReport.Page => AdminReply.Json(DumpJson.Text(
                new InspectReport(Pod: await _pod.DescribeAsync(query, _parts.Table, _parts.Resolver, stop).ConfigureAwait(false) with
                {
                    Calls = _listeners.IsAble,
                }),
                ProxyReports.Default.InspectReport, indented: false)),
            CallQuestion.Page when AdminQuery.IsPost(request) => await _pod.CallAsync(query, stop).ConfigureAwait(false),
            ReachReport.Page when AdminQuery.IsPost(request) => await _pod.ReachAsync(query, stop).ConfigureAwait(false),
            CallQuestion.Page or ReachReport.Page => AdminReply.Text("Method Not Allowed\n", 405),
            _ => null,
        };
    }
}
