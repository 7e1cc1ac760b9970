using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text.Json.Nodes;
using Isthmus.Proxy.Dns;
using Isthmus.Proxy.Dumps;
using Isthmus.Proxy.Traffic;
using Isthmus.Wire.Dns;

namespace Isthmus.Proxy.Trace;

/// <summary>What <c>isthmus trace</c> asks of a proxy beyond Envoy's admin interface: a full dump, a real call, recent traffic.</summary>
internal sealed class TraceRoutes(DataPlane plane)
{
    /// <summary>How long the call of a trace, or an attempt to connect, may take at most.</summary>
    public static readonly TimeSpan LongestCall = TimeSpan.FromMinutes(5);

    /// <summary>Configuration with endpoints, hosts with their health, listening ports, and what a name resolves to for
    /// this Pod's applications: the name <c>host</c> or, with <c>names</c>, all that the sidecar answers itself.</summary>
    public async ValueTask<AdminReply> InspectAsync(IReadOnlyDictionary<string, string> query, Func<NameTables?>? names, ResolverSettings resolver,
        CancellationToken stop)
    {
        var extra = new JsonObject
        {
            ["listening"] = DumpJson.List(ListeningPorts.Read().Select(at => (JsonNode)JsonValue.Create(at.ToString()))),
            ["ready"] = plane.IsReady,
            ["dns_capture"] = names is not null,
            ["refusals"] = DumpJson.List(Refusals()),
            ["search"] = DumpJson.List(resolver.Search.Select(domain => (JsonNode)JsonValue.Create(domain))),
        };
        if (query.GetValueOrDefault("host", "") is { Length: > 0 } host)
            extra["name"] = await NameAsync(host, names?.Invoke(), resolver, stop).ConfigureAwait(false);
        if (query.ContainsKey("names"))
        {
            extra["names"] = new JsonObject((names?.Invoke()?.All ?? []).OrderBy(name => name.Key, StringComparer.Ordinal)
                .Select(name => KeyValuePair.Create(name.Key,
                    (JsonNode?)DumpJson.List(name.Value.V4.Concat(name.Value.V6).Select(address => (JsonNode)JsonValue.Create(address.ToString()))))));
        }
        var dump = ConfigDumps.Tree(plane, new Dictionary<string, string> { ["include_eds"] = "" });
        return AdminReply.Json(DumpJson.Text(new JsonObject { ["config_dump"] = dump, ["clusters"] = ClusterDumps.Tree(plane), ["pod"] = extra },
            indented: false));
    }

    /// <summary>The clusters whose limits have refused something.</summary>
    private IEnumerable<JsonNode> Refusals() =>
        from cluster in plane.State.Current.Clusters.Values
        let counters = cluster.Counters
        let at = Volatile.Read(ref counters.RefusedAt)
        where at != 0
        select new JsonObject
        {
            ["cluster"] = cluster.Config.Name, ["count"] = counters.Refusals, ["seconds_ago"] = (Environment.TickCount64 - at) / 1000,
        };

    /// <summary>Makes a call of this Pod's application: everything after the kernel's redirection is the real path.</summary>
    public async ValueTask<AdminReply> CallAsync(IReadOnlyDictionary<string, string> query, CancellationToken stop)
    {
        if (!IPEndPoint.TryParse(query.GetValueOrDefault("to", ""), out var to) || to.Port == 0) return AdminReply.Text("to=IP:PORT is needed\n", 400);
        if (!TryTimeout(query, "5000", out var timeout)) return WrongTimeout;
        var kind = query.GetValueOrDefault("kind", "http") switch { "tcp" => CallKind.Tcp, "grpc" => CallKind.Grpc, "tls" => CallKind.Tls, _ => CallKind.Http };
        var wanted = new CallRequest(to, query.GetValueOrDefault("authority", to.ToString()), query.GetValueOrDefault("path", "/"),
            query.GetValueOrDefault("id", ""), kind, timeout)
        {
            Method = query.GetValueOrDefault("method", "GET"),
            Headers = query.GetValueOrDefault("headers", "").Split('\n', StringSplitOptions.RemoveEmptyEntries),
            Body = query.GetValueOrDefault("body", ""),
        };
        if (!wanted.IsWellFormed)
            return AdminReply.Text(
                "authority, method, path, headers and id may have no spaces or control characters that end a line or a word, and headers may not frame the "
                    + "message\n",
                400);
        return AdminReply.Json(DumpJson.Text(await new TraceCall(plane).RunAsync(wanted, stop).ConfigureAwait(false)));
    }

    /// <summary>Opens a TCP connection from this Pod, past capture, and closes it. It sends nothing.</summary>
    public async ValueTask<AdminReply> ReachAsync(IReadOnlyDictionary<string, string> query, CancellationToken stop)
    {
        if (!IPEndPoint.TryParse(query.GetValueOrDefault("to", ""), out var to) || to.Port == 0) return AdminReply.Text("to=IP:PORT is needed\n", 400);
        if (!TryTimeout(query, "1500", out var patience)) return WrongTimeout;
        var time = plane.Ports.Time;
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(stop);
        using var timer = time.CreateTimer(static l => ((CancellationTokenSource)l!).Cancel(), limit, patience, Timeout.InfiniteTimeSpan);
        using var socket = plane.Ports.Sockets.Create(to.AddressFamily);
        var (start, error) = (time.GetTimestamp(), "");
        try
        {
            await socket.ConnectAsync(to, limit.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (!stop.IsCancellationRequested)
        {
            error = string.Create(CultureInfo.InvariantCulture, $"no answer within {patience.TotalSeconds:0.#} s");
        }
        catch (SocketException e)
        {
            error = e.Message;
        }
        return AdminReply.Json(DumpJson.Text(new JsonObject
        {
            ["to"] = to.ToString(), ["connected"] = error.Length == 0, ["error"] = error,
            ["took_ms"] = Math.Round(time.GetElapsedTime(start).TotalMilliseconds, 3)
        }));
    }

    /// <summary>Requests with the mark <c>id</c>, and TCP connections.</summary>
    public AdminReply Recent(IReadOnlyDictionary<string, string> query)
    {
        var id = query.GetValueOrDefault("id", "");
        return AdminReply.Json(DumpJson.Text(DumpJson.List(plane.Report.Recent.Find(seen => seen.Id == id || seen.Id.Length == 0).Select(Json))));
    }

    public static JsonObject Json(SeenTraffic seen)
    {
        var json = new JsonObject
        {
            ["direction"] = seen.Direction.ToString().ToLowerInvariant(), ["start"] = DumpJson.Time(seen.Start),
            ["duration_ms"] = Math.Round(seen.Duration.TotalMilliseconds, 3),
            ["standing"] = seen.Standing, ["status"] = seen.Status, ["flags"] = seen.Flags, ["attempts"] = seen.Attempts,
        };
        if (seen.ResponseAfter is { } after) json["response_after_ms"] = Math.Round(after.TotalMilliseconds, 3);
        foreach (var (name, value) in (IEnumerable<(string, string)>)
        [
            ("id", seen.Id), ("details", seen.Details), ("transport_failure", seen.TransportFailure), ("route", seen.Route), ("cluster", seen.Cluster),
            ("upstream", seen.Upstream),
            ("upstream_local", seen.UpstreamLocal), ("upstream_peer", seen.UpstreamPeer), ("downstream_remote", seen.DownstreamRemote),
            ("downstream_peer", seen.DownstreamPeer), ("server_name", seen.ServerName),
        ])
            if (value.Length > 0) json[name] = value;
        return json;
    }

    private static AdminReply WrongTimeout =>
        AdminReply.Text(string.Create(CultureInfo.InvariantCulture, $"timeout is a number of milliseconds from 1 to {LongestCall.TotalMilliseconds}\n"), 400);

    private static bool TryTimeout(IReadOnlyDictionary<string, string> query, string fallback, out TimeSpan timeout)
    {
        var isNumber = int.TryParse(query.GetValueOrDefault("timeout", fallback), NumberStyles.None, CultureInfo.InvariantCulture, out var ms);
        timeout = TimeSpan.FromMilliseconds(ms);
        return isNumber && ms > 0 && timeout <= LongestCall;
    }

    // The order of a resolver: each candidate first in the sidecar's table, then at the servers in resolv.conf.
    private async ValueTask<JsonObject> NameAsync(string host, NameTables? table, ResolverSettings resolver, CancellationToken stop)
    {
        var tried = new JsonArray();
        var answer = new JsonObject { ["host"] = host, ["tried"] = tried };
        foreach (var candidate in resolver.Candidates(host))
        {
            tried.Add((JsonNode)JsonValue.Create(candidate));
            if (table?.Find(candidate, out _) is { } known) return Answered(answer, candidate, known.V4.Concat(known.V6), "sidecar");
            var (addresses, _) = await plane.Ports.Resolver.ResolveAsync(IPAddress.TryParse(candidate, out _) ? candidate : candidate + ".", stop)
                .ConfigureAwait(false);
            if (addresses.Count > 0) return Answered(answer, candidate, addresses, "upstream");
        }
        return Answered(answer, "", [], "");
    }

    private static JsonObject Answered(JsonObject answer, string name, IEnumerable<IPAddress> addresses, string by)
    {
        answer["name"] = name;
        answer["addresses"] = DumpJson.List(addresses.Select(address => (JsonNode)JsonValue.Create(address.ToString())));
        answer["by"] = by;
        return answer;
    }
}
