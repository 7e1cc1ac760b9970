using System.Globalization;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Isthmus.Kubernetes.Objects;

namespace Isthmus.Tests.LoopbackMesh;

/// <summary>What containers of sample images do, each at its usual ports.</summary>
internal static class SampleApplications
{
    /// <summary>An application that accepts connections.</summary>
    /// <param name="IsInward">Whether it listens only on the loopback address of its Pod.</param>
    internal sealed record Application(int Port, Func<Socket, CancellationToken, Task> Serve, bool IsInward = false);

    internal static IEnumerable<Application> Of(Pod pod, Container container)
    {
        var image = container.Image[(container.Image.LastIndexOf('/') + 1)..].Split(':')[0];
        if (image.StartsWith("examples-helloworld-", StringComparison.Ordinal))
        {
            var hello = $"Hello version: {image["examples-helloworld-".Length..]}, instance: {pod.Metadata.Name}\n";
            return [new(5000, Http(path => path is "/hello" or "/health" ? (200, hello) : (404, "")))];
        }
        return image switch
        {
            "httpbin" => [new(Number(container.Args[0]),
                Http(path => path.StartsWith("/status/", StringComparison.Ordinal)
                    ? (Number(path["/status/".Length..]), "")
                    : path.StartsWith("/delay/", StringComparison.Ordinal)
                    ? (Never, "")
                    : (200, "httpbin")))],
            "tcp-echo-server" => container.Args[0].Split(',').Select(port => new Application(Number(port), Greet(container.Args[1]))),
            // The pages of a control plane of Istio, of which it has not those of Isthmus.
            "pilot" => [new(Number(container.Args[0]),
                Http(path => path switch
                {
                    "/debug/list" => (200, """["clusterz"]"""),
                    "/debug/clusterz" => (200, "[]"),
                    _ => (404, "404 page not found")
                }))],
            "http2" => [new(Number(container.Args[0]), Http2Application.ServeAsync)],
            "answers-at-the-end" => [new(Number(container.Args[0]), AnswerAtTheEnd)],
            "silent" => [new(Number(container.Args[0]), Silent)],
            "websocket" => [new(Number(container.Args[0]), WebSocketAsync)],
            "own-tls" => [new(Number(container.Args[0]), Tls)],
            "inward" => [new(Number(container.Args[0]), Http(_ => (200, "inward")), IsInward: true)],
            _ => [],
        };
    }

    /// <summary>The status of an answer that does not come.</summary>
    private const int Never = 0;

    private static int Number(string text) => int.Parse(text, CultureInfo.InvariantCulture);

    private static Func<Socket, CancellationToken, Task> Http(Func<string, (int Status, string Body)> answer) => async (socket, stop) =>
    {
        await using var stream = new NetworkStream(socket);
        await HttpAsync(stream, answer, stop);
    };

    private static async Task HttpAsync(Stream stream, Func<string, (int Status, string Body)> answer, CancellationToken stop)
    {
        using var reader = new StreamReader(stream, Encoding.ASCII, false, 4096, leaveOpen: true);
        while (await reader.ReadLineAsync(stop) is { Length: > 0 } request)
        {
            // Requests have no bodies, and no other header changes the answer.
            var isLast = false;
            while (await reader.ReadLineAsync(stop) is { Length: > 0 } header) isLast |= header.Equals("connection: close", StringComparison.OrdinalIgnoreCase);
            var (status, body) = answer(request.Split(' ')[1]);
            if (status == Never) await Task.Delay(Timeout.InfiniteTimeSpan, stop);
            await stream.WriteAsync(Encoding.ASCII.GetBytes($"HTTP/1.1 {status} Status\r\ncontent-length: {body.Length}\r\n\r\n{body}"), stop);
            if (isLast) return;
        }
    }

    private static Func<Socket, CancellationToken, Task> Greet(string greeting) => async (socket, stop) =>
    {
        await socket.SendAsync(Encoding.ASCII.GetBytes(greeting + "\n"), SocketFlags.None, stop);
        var rest = new byte[1024];
        while (await socket.ReceiveAsync(rest, SocketFlags.None, stop) > 0)
        {
            // Until the client has nothing more to say.
        }
    };

    /// <summary>Reads all that the client says, and answers only then.</summary>
    private static async Task AnswerAtTheEnd(Socket socket, CancellationToken stop)
    {
        var (some, total) = (new byte[1024], 0);
        while (await socket.ReceiveAsync(some, SocketFlags.None, stop) is > 0 and var read) total += read;
        await socket.SendAsync(Encoding.ASCII.GetBytes($"{total} bytes\n"), SocketFlags.None, stop);
    }

    /// <summary>Goes on as a WebSocket, if it is asked to (RFC 6455).</summary>
    private static async Task WebSocketAsync(Socket socket, CancellationToken stop)
    {
        const string guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key = "sec-websocket-key: ";
        await using var stream = new NetworkStream(socket);
        using var reader = new StreamReader(stream, Encoding.ASCII, false, 4096, leaveOpen: true);
        var asked = "";
        while (await reader.ReadLineAsync(stop) is { Length: > 0 } line)
            if (line.StartsWith(key, StringComparison.OrdinalIgnoreCase)) asked = line[key.Length..];
#pragma warning disable CA5350 // The protocol demands it, as a proof that the server has read the request.
        var proof = Convert.ToBase64String(SHA1.HashData(Encoding.ASCII.GetBytes(asked + guid)));
#pragma warning restore CA5350
        await stream.WriteAsync(Encoding.ASCII.GetBytes(asked.Length == 0 ? "HTTP/1.1 426 Upgrade Required\r\ncontent-length: 0\r\n\r\n"
            : $"HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: {proof}\r\n\r\n"), stop);
        var rest = new byte[1024];
        while (await stream.ReadAsync(rest, stop) > 0)
        {
            // Until the client has nothing more to say.
        }
    }

    private static async Task Silent(Socket socket, CancellationToken stop)
    {
        var some = new byte[1024];
        while (await socket.ReceiveAsync(some, SocketFlags.None, stop) > 0)
        {
            // It never says anything.
        }
    }

    /// <summary>With a certificate for the first part of the name that is called: it is not for longer names.</summary>
    private static async Task Tls(Socket socket, CancellationToken stop)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        X509Certificate2? made = null;
        await using var stream = new SslStream(new NetworkStream(socket));
        await stream.AuthenticateAsServerAsync((_, hello, _, _) =>
        {
            var request = new CertificateRequest("CN=own", key, HashAlgorithmName.SHA256);
            var names = new SubjectAlternativeNameBuilder();
            names.AddDnsName(hello.ServerName.Split('.')[0] is { Length: > 0 } name ? name : "own");
            request.CertificateExtensions.Add(names.Build());
            made = request.CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(1));
            return ValueTask.FromResult(new SslServerAuthenticationOptions { ServerCertificate = made });
        }, null, stop);
        using var shown = made;
        await HttpAsync(stream, _ => (200, "own"), stop);
        await stream.ShutdownAsync();
    }

    /// <summary>Whether a probe of the kubelet succeeds.</summary>
    internal static async Task<bool> ProbeAsync(HttpClient http, IPAddress pod, Probe probe, CancellationToken stop)
    {
        if (probe.HttpGet is not { } get) return true;
        try
        {
            using var answer = await http.GetAsync(new Uri($"http://{pod}:{get.Port}{get.Path}"), stop);
            return answer.IsSuccessStatusCode;
        }
        catch (HttpRequestException)
        {
            return false;
        }
    }
}
