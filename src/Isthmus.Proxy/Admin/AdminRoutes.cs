using Isthmus.Proxy.Dumps;
using Isthmus.Proxy.Matching;
using Isthmus.Proxy.Messages;
using Isthmus.Proxy.Telemetry;
using Isthmus.Proxy.Trace;
using Isthmus.Reports;

namespace Isthmus.Proxy.Admin;

/// <summary>The admin interface: what Envoy's answers, in Envoy's shapes.</summary>
internal sealed class AdminRoutes(DataPlane plane)
{
    private readonly CancellationTokenSource _quit = new();
    private readonly PodRoutes _pod = new(plane.Ports, new PlaneEntry(plane));

    /// <summary>Cancelled when a client asks the process to quit.</summary>
    public CancellationToken Quit => _quit.Token;

    /// <summary>The process log, whose level can be changed; null when there is none.</summary>
    public ProcessLog? Log { get; init; }

    /// <summary>The names that the sidecar's DNS proxy answers; null when there is none.</summary>
    public Func<Dns.NameTables?>? Names { get; init; }

    /// <summary>How names without a final dot are completed.</summary>
    public Wire.Dns.ResolverSettings Resolver { get; init; } = new([], [], 1);

    // As in Istio: without the first table, the DNS proxy would refuse the names of the mesh.
    private bool IsReady => plane.IsReady && (Names is null || Names() is not null);

    public async ValueTask<AdminReply?> HandleAsync(RequestHead request, CancellationToken stop)
    {
        if (AdminQuery.Refusal(request, OwnAddress.Of(plane.Settings.Identity.NodeId)) is { } refusal) return refusal;
        var (path, query) = AdminQuery.Read(request);
        var trace = new TraceRoutes(plane, _pod);
        return path switch
        {
            "/config_dump" => ConfigDump(query),
            "/clusters" => query.GetValueOrDefault("format") == "json" ? AdminReply.Json(ClusterDumps.Json(plane)) : AdminReply.Text(ClusterDumps.Text(plane)),
            "/listeners" => query.GetValueOrDefault("format") == "json"
                ? AdminReply.Json(ListenerDumps.Json(plane))
                : AdminReply.Text(ListenerDumps.Text(plane)),
            "/certs" => AdminReply.Json(CertificateDumps.Json(plane)),
            "/server_info" => AdminReply.Json(ServerDumps.Info(plane)),
            "/stats" => Stats(query.GetValueOrDefault("format", ""), query.GetValueOrDefault("filter", "")),
            "/stats/prometheus" => Stats("prometheus", query.GetValueOrDefault("filter", "")),
            "/logging" => Logging(request, query),
            "/quitquitquit" when AdminQuery.IsPost(request) => await QuitAsync().ConfigureAwait(false),
            "/drain_listeners" when AdminQuery.IsPost(request) => DrainListeners(),
            InspectReport.Page => await trace.InspectAsync(query, Names, Resolver, stop).ConfigureAwait(false),
            CallQuestion.Page when AdminQuery.IsPost(request) => await _pod.CallAsync(query, stop).ConfigureAwait(false),
            ReachReport.Page when AdminQuery.IsPost(request) => await _pod.ReachAsync(query, stop).ConfigureAwait(false),
            SeenReport.Page => trace.Recent(query),
            "/quitquitquit" or "/drain_listeners" or CallQuestion.Page or ReachReport.Page => AdminReply.Text("Method Not Allowed\n", 405),
            "/" or "/help" => AdminReply.Text(Help),
            _ => await HandleReadyAsync(request, stop).ConfigureAwait(false) ?? await HandleMetricsAsync(request, stop).ConfigureAwait(false),
        };
    }

    public ValueTask<AdminReply?> HandleReadyAsync(RequestHead request, CancellationToken stop) => ValueTask.FromResult(request.TargetText switch
    {
        "/ready" or "/healthz/ready" => IsReady
            ? AdminReply.Text("LIVE\n")
            : AdminReply.Text(plane.Connections.IsDraining ? "DRAINING\n" : "PRE_INITIALIZING\n", 503),
        _ => null,
    });

    public ValueTask<AdminReply?> HandleMetricsAsync(RequestHead request, CancellationToken stop) =>
        ValueTask.FromResult(request.Target.StartsWith("/stats/prometheus"u8) ? Scrape.Reply(request, plane.Settings.CompressesScrapes, MetricsBody) : null);

    /// <summary>The metrics of the proxy, for a scrape that has more.</summary>
    public AdminBody MetricsBody => (send, stop) => Scrape.Of(StatsText.Prometheus(plane), plane.ReportFailure)(send, stop);

    /// <exception cref="ResourceException">The filter is invalid.</exception>
    private AdminReply Metrics(string filter = "") => Scrape.Reply(Scrape.Of(StatsText.Prometheus(plane, filter), plane.ReportFailure));

    private AdminReply ConfigDump(IReadOnlyDictionary<string, string> query)
    {
        try
        {
            return AdminReply.Json(ConfigDumps.Write(plane, query));
        }
        catch (ResourceException e)
        {
            return AdminReply.Text($"{e.Message}\n", e.Message.EndsWith("not found in config dump", StringComparison.Ordinal) ? 404 : 400);
        }
    }

    /// <param name="filter">A regular expression for the names; empty for all.</param>
    private AdminReply Stats(string format, string filter)
    {
        try
        {
            return format switch
            {
                "" or "text" => AdminReply.Text(StatsText.Plain(plane, filter)),
                "json" => AdminReply.Json(StatsText.Json(plane, filter)),
                "prometheus" => Metrics(filter),
                _ => AdminReply.Text("usage: /stats?format=json  or /stats?format=prometheus\n\n", 400),
            };
        }
        catch (ResourceException e)
        {
            return AdminReply.Text($"Invalid regex: {e.Message}\n", 400);
        }
    }

    private AdminReply Logging(RequestHead request, Dictionary<string, string> query)
    {
        if (Log is null) return AdminReply.Text("there is no log\n", 404);
        if (query.Count > 0)
        {
            if (!AdminQuery.IsPost(request)) return AdminReply.Text("Method Not Allowed\n", 405);
            foreach (var (name, value) in query)
            {
                foreach (var part in name == "paths" ? value.Split(',') : [$"{name}:{value}"])
                {
                    var (logger, text) = part.IndexOf(':', StringComparison.Ordinal) is >= 0 and var colon
                        ? (part[..colon], part[(colon + 1)..])
                        : ("level", part);
                    if (ProcessLog.ParseLevel(text) is not { } level) return AdminReply.Text($"error: unknown logger level {text}\n", 400);
                    if (logger == "level") Log.Level = level;
                    else if (!Log.TrySet(logger, level)) return AdminReply.Text($"error: unknown logger name {logger}\n", 400);
                }
            }
        }
        return AdminReply.Text("active loggers:\n" + string.Concat(Log.Loggers.Select(logger => $"  {logger.Name}: {ProcessLog.Name(logger.Level)}\n")));
    }

    private async ValueTask<AdminReply> QuitAsync()
    {
        await _quit.CancelAsync().ConfigureAwait(false);
        return AdminReply.Text("OK\n");
    }

    private AdminReply DrainListeners()
    {
        plane.CloseListeners();
        return AdminReply.Text("OK\n");
    }

    private const string Help = """
        admin commands are:
          /call (POST): make a traced call as the application would, past capture (to, kind, authority, method, path, headers, body, id)
          /certs: print certs on machine
          /clusters: upstream cluster status
          /config_dump: dump current configs (experimental)
          /drain_listeners (POST): drain listeners
          /inspect: configuration, clusters, listening ports and the answer for a name (host), in one
          /listeners: print listener info
          /logging (POST): query/change logging levels
          /quitquitquit (POST): exit the server
          /ready: print server state, return 200 if LIVE, otherwise return 503
          /reach (POST): open a TCP connection from this Pod, past capture, and close it (to, timeout)
          /recent: traced requests (id) and TCP connections that passed lately
          /server_info: print server version/status information
          /stats: print server stats
          /stats/prometheus: print server stats in prometheus format

        """;
}
