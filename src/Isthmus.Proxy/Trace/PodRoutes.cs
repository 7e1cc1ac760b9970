using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text.Json.Nodes;
using Isthmus.Proxy.Dns;
using Isthmus.Proxy.Dumps;
using Isthmus.Proxy.Transports;
using Isthmus.Wire.Dns;

namespace Isthmus.Proxy.Trace;

/// <summary>What <c>isthmus trace</c> asks of a Pod, whichever its data plane is: what listens there, what names resolve to, and a real call.</summary>
/// <param name="entry">Where calls enter the data plane.</param>
internal sealed class PodRoutes(ProxyPorts ports, ICallEntry entry)
{
    /// <summary>How long the call of a trace, or an attempt to connect, may take at most.</summary>
    public static readonly TimeSpan LongestCall = TimeSpan.FromMinutes(5);

    /// <summary>Listening ports, and what a name resolves to for this Pod's applications: the name <c>host</c> or, with <c>names</c>, all that the sidecar
    /// answers itself.</summary>
    public async ValueTask<JsonObject> DescribeAsync(IReadOnlyDictionary<string, string> query, Func<NameTables?>? names, ResolverSettings resolver,
        CancellationToken stop)
    {
        var pod = new JsonObject
        {
            ["listening"] = DumpJson.List(ListeningPorts.Read().Select(at => (JsonNode)JsonValue.Create(at.ToString()))),
            ["dns_capture"] = names is not null,
            ["search"] = DumpJson.List(resolver.Search.Select(domain => (JsonNode)JsonValue.Create(domain))),
        };
        if (query.GetValueOrDefault("host", "") is { Length: > 0 } host)
            pod["name"] = await NameAsync(host, names?.Invoke(), resolver, stop).ConfigureAwait(false);
        if (query.ContainsKey("names"))
        {
            pod["names"] = new JsonObject((names?.Invoke()?.All ?? []).OrderBy(name => name.Key, StringComparer.Ordinal)
                .Select(name => KeyValuePair.Create(name.Key,
                    (JsonNode?)DumpJson.List(name.Value.V4.Concat(name.Value.V6).Select(address => (JsonNode)JsonValue.Create(address.ToString()))))));
        }
        return pod;
    }

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
        return AdminReply.Json(DumpJson.Text(await new TraceCall(ports.Time, entry).RunAsync(wanted, stop).ConfigureAwait(false)));
    }

    /// <summary>Opens a TCP connection from this Pod, past capture, and closes it. It sends nothing.</summary>
    public async ValueTask<AdminReply> ReachAsync(IReadOnlyDictionary<string, string> query, CancellationToken stop)
    {
        if (!IPEndPoint.TryParse(query.GetValueOrDefault("to", ""), out var to) || to.Port == 0) return AdminReply.Text("to=IP:PORT is needed\n", 400);
        if (!TryTimeout(query, "1500", out var patience)) return WrongTimeout;
        var time = ports.Time;
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(stop);
        using var timer = time.CreateTimer(static l => ((CancellationTokenSource)l!).Cancel(), limit, patience, Timeout.InfiniteTimeSpan);
        using var socket = ports.Sockets.Create(to.AddressFamily);
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
            var (addresses, _) = await ports.Resolver.ResolveAsync(IPAddress.TryParse(candidate, out _) ? candidate : candidate + ".", stop)
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
