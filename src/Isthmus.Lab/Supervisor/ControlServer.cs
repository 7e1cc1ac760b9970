using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Core.Problems;
using Isthmus.Core.Tasks;
using Isthmus.Kubernetes.Client;
using Microsoft.Extensions.Logging;

namespace Isthmus.Lab.Supervisor;

/// <summary>
/// Answers commands at the supervisor's socket. The request is one line of JSON. The response is one line for each step,
/// then one line with the result or the error. Everyone who can open the socket can control the lab, so its directory is
/// 0700.
/// </summary>
internal sealed partial class ControlServer(LabSupervisor lab, string path, Action onStop, ILogger log)
{
    private const int LongestRequest = 1 << 20;

    private readonly Socket _listener = Listen(path);

    internal async Task RunAsync(CancellationToken stop)
    {
        var commands = new BackgroundTasks((_, e) => LogBug(e));
        try
        {
            while (true)
            {
                var client = await _listener.AcceptAsync(stop);
                commands.Start("command", () => ServeAsync(client, stop));
            }
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
        }
        finally
        {
            _listener.Dispose();
        }
        await commands.WhenEndedAsync();
    }

    private static Socket Listen(string path)
    {
        // A killed supervisor left this file: a live supervisor would have been found before this one started.
        File.Delete(path);
        var listener = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        listener.Bind(new UnixDomainSocketEndPoint(path));
        File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        listener.Listen();
        return listener;
    }

    private async Task ServeAsync(Socket client, CancellationToken stop)
    {
        await using var stream = new NetworkStream(client, ownsSocket: true);
        using var one = new SemaphoreSlim(1);
        async Task SendAsync(JsonObject answer)
        {
            // Clusters report their steps concurrently.
            await one.WaitAsync(stop);
            try
            {
                await stream.WriteAsync(Encoding.UTF8.GetBytes(answer.ToJsonString() + "\n"), stop);
            }
            finally
            {
                one.Release();
            }
        }
        try
        {
            // A client that only checks whether the supervisor runs connects and leaves.
            if (await ReadAsync(stream, stop) is not { } request) return;
            await SendAsync(new JsonObject { ["result"] = await HandleAsync(request, step => SendAsync(new JsonObject { ["step"] = step.ToJson() }), stop) });
            if ((string?)request["operation"] == "stop") onStop();
        }
        catch (ProblemException e)
        {
            await TrySendAsync(SendAsync, ErrorOf(e.Problem));
        }
        catch (Exception e) when (e is KubeException or HttpRequestException or JsonException or InvalidDataException or InvalidOperationException)
        {
            LogFailed(e.Message);
            await TrySendAsync(SendAsync, ErrorOf(new Problem("", "lab", "", e.Message)));
        }
        catch (Exception e) when (e is IOException or OperationCanceledException)
        {
            // Either the client disconnected and does not see the response, or a system operation failed.
            LogFailed(e.Message);
            await TrySendAsync(SendAsync, ErrorOf(new Problem("", "lab", "", e.Message)));
        }
    }

    private async Task<JsonNode> HandleAsync(JsonNode request, Func<LabStep, Task> report, CancellationToken stop)
    {
        switch ((string?)request["operation"])
        {
            case "status":
                return await lab.StatusAsync(stop);
            case "create":
                var wanted = (request["clusters"] as JsonArray ?? []).Select(ClusterRequest.FromJson).ToList();
                await lab.CreateAsync(wanted, (bool?)request["mustBeNew"] ?? false, report, stop);
                return new JsonObject();
            case "wait":
                await lab.WaitAsync((request["names"] as JsonArray ?? []).Select(name => (string?)name ?? ""), report, stop);
                return new JsonObject();
            case "delete":
                await lab.DeleteAsync((string?)request["name"] ?? "", stop);
                return new JsonObject();
            case "break":
                await lab.BreakAsync((string?)request["name"] ?? "", PartOf(request), stop);
                return new JsonObject();
            case "mend":
                await lab.MendAsync((string?)request["name"] ?? "", PartOf(request), report, stop);
                return new JsonObject();
            case "stop":
                await lab.StopAsync();
                return new JsonObject();
            case var other:
                throw new ProblemException("lab", $"the supervisor does not know the operation '{other}'", "it may be of another version: run isthmus lab down, then isthmus lab up");
        }
    }

    private static LabPart PartOf(JsonNode request) => (string?)request["part"] == nameof(LabPart.Cluster) ? LabPart.Cluster : LabPart.ApiServer;

    private static async Task<JsonNode?> ReadAsync(NetworkStream stream, CancellationToken stop)
    {
        var buffer = new byte[4096];
        var length = 0;
        while (true)
        {
            var read = await stream.ReadAsync(buffer.AsMemory(length), stop);
            if (read == 0) return length == 0 ? null : throw new IOException("the client closed the connection before it sent a request");
            var end = buffer.AsSpan(length, read).IndexOf((byte)'\n');
            if (end >= 0) return JsonNode.Parse(buffer.AsSpan(0, length + end)) ?? throw new JsonException("the request is null");
            length += read;
            if (length > LongestRequest) throw new InvalidDataException($"the request is longer than {LongestRequest} bytes");
            if (length == buffer.Length) Array.Resize(ref buffer, buffer.Length * 2);
        }
    }

    private async Task TrySendAsync(Func<JsonObject, Task> send, JsonObject answer)
    {
        try
        {
            await send(answer);
        }
        catch (Exception e) when (e is IOException or OperationCanceledException)
        {
            LogFailed(e.Message);
        }
    }

    private static JsonObject ErrorOf(Problem problem) => new()
    {
        ["error"] = new JsonObject { ["object"] = problem.Object, ["message"] = problem.Message, ["remedy"] = problem.Remedy },
    };

    [LoggerMessage(Level = LogLevel.Warning, Message = "A command failed: {Error}")]
    private partial void LogFailed(string error);

    [LoggerMessage(Level = LogLevel.Error, Message = "A command failed: internal error")]
    private partial void LogBug(Exception bug);
}
