using System.Globalization;
using System.Net;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Core.Problems;
using Isthmus.Proxy.Admin;
using Isthmus.Proxy.Dumps;
using Isthmus.Proxy.Messages;

namespace Isthmus.Proxy.Agent;

/// <summary>The agent's part of port 15020: the application's probes and hooks, its metrics merged with the proxy's, and the requests to drain and to quit.</summary>
internal sealed class StatusRoutes(
    IReadOnlyDictionary<string, AppProbe> probes, AppProber prober, Func<string> agentMetrics, AppMetrics? application, AdminBody ownMetrics, Action drain, Action quit)
{
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
            "/stats/prometheus" => Scrape.Reply(ownMetrics, AgentAsync, ApplicationAsync),
            _ => null,
        };
    }

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

    private ValueTask ApplicationAsync(Func<ReadOnlyMemory<byte>, ValueTask> send, CancellationToken stop) =>
        application is null ? ValueTask.CompletedTask : prober.CopyLinesAsync(application.Port, application.Path, send, stop);
}

/// <summary>Where the application serves its own metrics.</summary>
internal sealed record AppMetrics(int Port, string Path)
{
    /// <summary>Reads <c>ISTIO_PROMETHEUS_ANNOTATIONS</c>; null when the application is not to be scraped.</summary>
    /// <exception cref="ProblemException">The text is malformed.</exception>
    public static AppMetrics? Read(string json)
    {
        if (json.Length == 0) return null;
        try
        {
            var given = JsonNode.Parse(json)!.AsObject();
            if (given["scrape"]?.ToString() != "true") return null;
            var port = int.Parse(given["port"]?.ToString() is { Length: > 0 } text ? text : "80", CultureInfo.InvariantCulture);
            return new(port, given["path"]?.ToString() is { Length: > 0 } path ? path : "/metrics");
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or FormatException or OverflowException or NullReferenceException)
        {
            throw new ProblemException("ISTIO_PROMETHEUS_ANNOTATIONS", $"cannot be read: {e.Message}", "it is written by injection", e);
        }
    }
}
