using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Isthmus.Core.Time;
using Isthmus.Proxy.Dns;
using Isthmus.Proxy.Dumps;
using Isthmus.Proxy.Transports;
using Isthmus.Reports;
using Isthmus.Wire.Dns;

namespace Isthmus.Proxy.Trace;

/// <summary>What <c>isthmus trace</c> asks of a Pod, whichever its data plane is: what listens there, what names resolve to, and a real call.</summary>
/// <param name="entry">Where calls enter the data plane.</param>
internal sealed class PodRoutes(ProxyPorts ports, ICallEntry entry)
{
    /// <summary>Listening ports, and what a name resolves to for this Pod's applications: the name <c>host</c> or, with <c>names</c>, all that the sidecar
    /// answers itself.</summary>
    public async ValueTask<PodReport> DescribeAsync(IReadOnlyDictionary<string, string> query, Func<NameTables?>? names, ResolverSettings resolver,
        CancellationToken stop)
    {
        return new()
        {
            Listening = [.. ListeningPorts.Read().Select(at => at.ToString())], DnsCapture = names is not null, Search = [.. resolver.Search],
            Name = query.GetValueOrDefault("host", "") is { Length: > 0 } host
                ? await NameAsync(host, names?.Invoke(), resolver, stop).ConfigureAwait(false) : null,
            Names = !query.ContainsKey("names") ? null : (names?.Invoke()?.All ?? []).OrderBy(name => name.Key, StringComparer.Ordinal)
                .ToDictionary(name => name.Key, name => Texts(name.Value.V4.Concat(name.Value.V6))),
        };
    }

    /// <summary>Makes a call of this Pod's application: everything after the kernel's redirection is the real path.</summary>
    public async ValueTask<AdminReply> CallAsync(IReadOnlyDictionary<string, string> query, CancellationToken stop)
    {
        var asked = CallQuestion.Read(query);
        if (!IPEndPoint.TryParse(asked.To, out var to) || to.Port == 0) return AdminReply.Text("to=IP:PORT is needed\n", 400);
        if (!TryTimeout(asked.Timeout, out var timeout)) return WrongTimeout;
        var kind = asked.Kind switch { "tcp" => CallKind.Tcp, "grpc" => CallKind.Grpc, "tls" => CallKind.Tls, _ => CallKind.Http };
        var wanted = new CallRequest(to, asked.Authority, asked.Path, asked.Id, kind, timeout)
        {
            Method = asked.Method, Headers = asked.Headers, Body = asked.Body, IsWebSocket = asked.Upgrade == CallRequest.WebSocket,
        };
        if (!wanted.IsWellFormed)
            return AdminReply.Text(
                "authority, method, path, headers and id may have no spaces or control characters that end a line or a word, and headers may not frame the "
                    + "message\n",
                400);
        var report = await new TraceCall(ports.Time, entry).RunAsync(wanted, stop).ConfigureAwait(false);
        return AdminReply.Json(DumpJson.Text(report, ProxyReports.Default.CallReport));
    }

    /// <summary>Opens a TCP connection from this Pod, past capture, and closes it. It sends nothing.</summary>
    public async ValueTask<AdminReply> ReachAsync(IReadOnlyDictionary<string, string> query, CancellationToken stop)
    {
        if (!IPEndPoint.TryParse(query.GetValueOrDefault("to", ""), out var to) || to.Port == 0) return AdminReply.Text("to=IP:PORT is needed\n", 400);
        if (!TryTimeout(query.GetValueOrDefault("timeout", "1500"), out var patience)) return WrongTimeout;
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
            error = $"no answer within {Durations.Text(patience)}";
        }
        catch (SocketException e)
        {
            error = e.Message;
        }
        return AdminReply.Json(DumpJson.Text(
            new ReachReport(to.ToString(), error.Length == 0, error, Math.Round(time.GetElapsedTime(start).TotalMilliseconds, 3)),
            ProxyReports.Default.ReachReport));
    }

    private static AdminReply WrongTimeout => AdminReply.Text(
        string.Create(CultureInfo.InvariantCulture, $"timeout is a number of milliseconds from 1 to {CallQuestion.Longest.TotalMilliseconds}\n"), 400);

    private static bool TryTimeout(string text, out TimeSpan timeout)
    {
        var isNumber = int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var ms);
        timeout = TimeSpan.FromMilliseconds(ms);
        return isNumber && ms > 0 && timeout <= CallQuestion.Longest;
    }

    // The order of a resolver: each candidate first in the sidecar's table, then at the servers in resolv.conf.
    private async ValueTask<NameReport> NameAsync(string host, NameTables? table, ResolverSettings resolver, CancellationToken stop)
    {
        var tried = new List<string>();
        foreach (var candidate in resolver.Candidates(host))
        {
            tried.Add(candidate);
            if (table?.Find(candidate, out _) is { } known) return new(host, tried, candidate, Texts(known.V4.Concat(known.V6)), "sidecar");
            var (addresses, _) = await ports.Resolver.ResolveAsync(IPAddress.TryParse(candidate, out _) ? candidate : candidate + ".", stop)
                .ConfigureAwait(false);
            if (addresses.Count > 0) return new(host, tried, candidate, Texts(addresses), "upstream");
        }
        return new(host, tried, "", [], "");
    }

    private static IReadOnlyList<string> Texts(IEnumerable<IPAddress> addresses) => [.. addresses.Select(address => address.ToString())];
}
