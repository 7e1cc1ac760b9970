using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Isthmus.Core.Problems;
using Isthmus.Core.Time;
using Isthmus.Wire.Grpc;
using Isthmus.Wire.Samples.EchoAdvanced;

namespace Isthmus.Samples.Echo;

/// <summary>The client of Istio's test application: <c>client URL [--method=M] [-H name:value] [--count=N]</c>. It prints requests and answers in lines
/// <c>[N] Field=value</c> and <c>[N body] LINE</c>.</summary>
public static class EchoClientProgram
{
    private const string Program = "client";
    private static readonly TimeSpan DefaultTimeout = TimeSpan.FromSeconds(5);

    /// <summary>What is to be called.</summary>
    private sealed record Call(Uri Url, HttpMethod Method, List<(string Name, string Value)> Headers, string Host)
    {
        public required string Message { get; init; }

        public required TimeSpan Timeout { get; init; }

        public bool IsInsecure { get; init; }

        public bool Follows { get; init; }

        public bool UsesHttp2 { get; init; }
    }

    internal static Task<int> RunAsync(string[] args, CancellationToken stop) => RunAsync(args, Console.Out, stop);

    /// <returns>1 if a call failed before an answer.</returns>
    /// <exception cref="ProblemException">The command line is wrong.</exception>
    public static async Task<int> RunAsync(string[] args, TextWriter output, CancellationToken stop)
    {
        var flags = EchoFlags.Read(
            Program, args, ["--method", "--header", "-H", "--count", "--timeout", "--msg", "--qps"],
            ["--http2", "--insecure-skip-verify", "-k", "--follow-redirects", "-L", "--new-connection-per-request"]);
        var call = Read(flags);
        var count = !flags.Has("--count")
            ? 1
            : int.TryParse(flags.Text("--count"), NumberStyles.None, CultureInfo.InvariantCulture, out var given) && given > 0
            ? given
            : throw new ProblemException(Program, $"--count: '{flags.Text("--count")}' is not a number of calls", "give a number above 0");
        for (var i = 0; i < count; i++)
        {
            try
            {
                await output.WriteLineAsync(await (call.Url.Scheme == "grpc" ? GrpcAsync(call, i, stop) : HttpAsync(call, i, stop)).ConfigureAwait(false))
                    .ConfigureAwait(false);
            }
            catch (Exception e) when (e is HttpRequestException or GrpcException or IOException or SocketException or OperationCanceledException)
            {
                await Console.Error.WriteLineAsync($"Error {i + 1} of {count} calls failed: {e.Message}").ConfigureAwait(false);
                return 1;
            }
        }
        return 0;
    }

    private static Call Read(EchoFlags flags)
    {
        if (flags.Words is not [var text])
            throw new ProblemException(Program, flags.Words.Count == 0 ? "the URL is missing" : "more than one URL",
                "usage: client URL [--method=M] [-H name:value] [--count=N]");
        if (!text.Contains("://", StringComparison.Ordinal)) text = $"http://{text}";
        // Nothing is added to what is called, except the path that every request has.
        var authority = text.IndexOf("://", StringComparison.Ordinal) + 3;
        if (text.IndexOfAny(['/', '?', '#'], authority) is var end && (end < 0 || text[end] != '/')) text = text.Insert(end < 0 ? text.Length : end, "/");
        if (!Uri.TryCreate(text, new UriCreationOptions { DangerousDisablePathAndQueryCanonicalization = true }, out var url)
            || url.Scheme is not ("http" or "https" or "grpc"))
            throw new ProblemException(Program, $"'{text}' cannot be called", "give a URL that begins with http, https or grpc");
        var headers = flags.All("-H", "--header").Select(line => line.Split(':', 2))
            .Select(pair => (Name: pair[0].Trim(), Value: pair.Length > 1 ? pair[1].Trim() : "")).ToList();
        var host = headers.FindLast(header => header.Name.Equals("Host", StringComparison.OrdinalIgnoreCase)).Value ?? "";
        headers.RemoveAll(header => header.Name.Equals("Host", StringComparison.OrdinalIgnoreCase));
        var timeout = !flags.Has("--timeout") ? DefaultTimeout : Durations.TryParse(flags.Text("--timeout"), out var given) ? given
            : throw new ProblemException(Program, $"--timeout: '{flags.Text("--timeout")}' is not a duration", "give for example 5s");
        return new(url, new(flags.Text("--method") is { Length: > 0 } method ? method : "GET"), headers, host)
        {
            Message = flags.Has("--msg") ? flags.Text("--msg") : "HelloWorld",
            Timeout = timeout,
            IsInsecure = flags.Has("-k") || flags.Has("--insecure-skip-verify"),
            Follows = flags.Has("-L") || flags.Has("--follow-redirects"),
            UsesHttp2 = flags.Has("--http2"),
        };
    }

    private static async Task<string> HttpAsync(Call call, int number, CancellationToken stop)
    {
        using var handler = new SocketsHttpHandler
        {
            UseProxy = false, UseCookies = false, AllowAutoRedirect = call.Follows, ActivityHeadersPropagator = null, PooledConnectionLifetime = TimeSpan.Zero
        };
        if (call.IsInsecure) handler.SslOptions.RemoteCertificateValidationCallback = (_, _, _, _) => true;
        using var client = new HttpClient(handler) { Timeout = call.Timeout };
        using var request = new HttpRequestMessage(call.Method, call.Url)
        {
            Version = call.UsesHttp2 ? HttpVersion.Version20 : HttpVersion.Version11, VersionPolicy = HttpVersionPolicy.RequestVersionExact,
        };
        if (call.Host.Length > 0) request.Headers.Host = call.Host;
        var lines = new StringBuilder();
        Line(lines, number, "Url", call.Url.OriginalString);
        foreach (var (name, value) in call.Headers)
        {
            request.Headers.TryAddWithoutValidation(name, value);
            Line(lines, number, "Header", $"{EchoHeaders.Canonical(name)}:{value}");
        }
        if (!request.Headers.Contains("User-Agent")) request.Headers.TryAddWithoutValidation("User-Agent", "Go-http-client/1.1");
        var begun = Stopwatch.GetTimestamp();
        using var response = await client.SendAsync(request, stop).ConfigureAwait(false);
        Latency(lines, number, begun);
        Line(lines, number, "StatusCode", ((int)response.StatusCode).ToString(CultureInfo.InvariantCulture));
        foreach (var (name, values) in response.Headers.NonValidated.Concat(response.Content.Headers.NonValidated)
            .OrderBy(field => field.Key, StringComparer.OrdinalIgnoreCase))
            foreach (var value in values) Line(lines, number, "ResponseHeader", $"{EchoHeaders.Canonical(name)}:{value}");
        Body(lines, number, await response.Content.ReadAsStringAsync(stop).ConfigureAwait(false));
        return lines.ToString();
    }

    private static async Task<string> GrpcAsync(Call call, int number, CancellationToken stop)
    {
        var port = call.Url.Port > 0 ? call.Url.Port : 80;
        using var channel = new GrpcChannel(new(new($"http://{(call.Host.Length > 0 ? call.Host : call.Url.Host)}:{port}"))
        {
            // The authority is that of the header, the way that of the URL.
            Connect = async (_, ended) =>
            {
                var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
                await socket.ConnectAsync(call.Url.Host, port, ended).ConfigureAwait(false);
                return new NetworkStream(socket, ownsSocket: true);
            },
        });
        var begun = Stopwatch.GetTimestamp();
        var answer = await channel.UnaryAsync(EchoAdvancedProgram.Echo, new() { Message = call.Message },
            new() { Timeout = call.Timeout, Headers = [.. call.Headers.Select(header => KeyValuePair.Create(header.Name.ToLowerInvariant(), header.Value))] },
            stop)
            .ConfigureAwait(false);
        var lines = new StringBuilder();
        Latency(lines, number, begun);
        Body(lines, number, answer.Message);
        return lines.ToString();
    }

    private static void Latency(StringBuilder lines, int number, long begun)
    {
        Line(lines, number, "Latency", string.Create(CultureInfo.InvariantCulture, $"{Stopwatch.GetElapsedTime(begun).TotalMilliseconds:0.###}ms"));
        Line(lines, number, "ActiveRequests", "1");
    }

    private static void Body(StringBuilder lines, int number, string body)
    {
        foreach (var line in body.Split('\n', StringSplitOptions.RemoveEmptyEntries)) lines.Append(CultureInfo.InvariantCulture, $"[{number} body] {line}\n");
    }

    private static void Line(StringBuilder lines, int number, string field, string value) =>
        lines.Append(CultureInfo.InvariantCulture, $"[{number}] {field}={value}\n");
}
