using System.Net;
using System.Text;
using Isthmus.Proxy.Admin;
using Isthmus.Proxy.Dumps;
using Isthmus.Proxy.Messages;

namespace Isthmus.Proxy.Agent;

/// <summary>The agent's part of port 15020: the application's probes and hooks, its metrics merged with the proxy's, and the requests to drain and to
/// quit.</summary>
internal sealed class StatusRoutes(
    IReadOnlyDictionary<string, AppProbe> probes, AppProber prober, Func<string> agentMetrics, AppMetricsSource application, AdminBody ownMetrics, Action drain,
    Action quit)
{
    /// <summary>Whether clients that can read it get a compressed answer.</summary>
    public bool CompressesScrapes { get; init; } = true;

    public async ValueTask<AdminReply?> HandleAsync(RequestHead request, CancellationToken stop)
    {
        var target = request.TargetText;
        var path = target.IndexOf('?', StringComparison.Ordinal) is >= 0 and var at ? target[..at] : target;
        if (probes.TryGetValue(path, out var probe))
        {
            if (AppProbe.IsHook(path)) return await RunHookAsync(probe, stop).ConfigureAwait(false);
            var (status, text) = await prober.ProbeAsync(probe, stop).ConfigureAwait(false);
            return AdminReply.Text(text, status);
        }
        return path switch
        {
            "/drain" => Command(request, drain),
            "/quitquitquit" => Command(request, quit),
            "/stats/prometheus" => Merged(request),
            _ => null,
        };
    }

    /// <summary>The merged metrics, and nothing else.</summary>
    public ValueTask<AdminReply?> HandleMergedAsync(RequestHead request, CancellationToken stop) =>
        ValueTask.FromResult(request.Target.StartsWith("/stats/prometheus"u8) ? Merged(request) : null);

    /// <summary>The metrics of proxy, agent and application in one answer.</summary>
    private AdminReply Merged(RequestHead request) => Scrape.Reply(request, CompressesScrapes, ownMetrics, AgentAsync, application.CopyAsync);

    /// <summary>The kubelet ignores the status of hooks. Only the lack of an answer is a failure.</summary>
    private async ValueTask<AdminReply> RunHookAsync(AppProbe hook, CancellationToken stop) =>
        await prober.RunHookAsync(hook, stop).ConfigureAwait(false) is { } status ? AdminReply.Text("", status) : AdminReply.None;

    private static AdminReply Command(RequestHead request, Action run)
    {
        if (request.Peer is null || !IPAddress.IsLoopback(request.Peer)) return AdminReply.Text("Only requests from localhost are allowed\n", 403);
        if (request.Method != "POST") return AdminReply.Text("Method Not Allowed\n", 405);
        run();
        return AdminReply.Text("OK\n");
    }

    private ValueTask AgentAsync(Func<ReadOnlyMemory<byte>, ValueTask> send, CancellationToken stop) => send(Encoding.UTF8.GetBytes(agentMetrics()));
}
