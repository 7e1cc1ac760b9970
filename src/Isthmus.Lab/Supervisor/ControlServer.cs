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
            if (await ControlRequest.ReadAsync(client, stop) is not { } request) return;
            using (request)
            {
                await SendAsync(new JsonObject
                {
                    ["result"] = await HandleAsync(request, step => SendAsync(new JsonObject { ["step"] = step.ToJson() }), stop)
                });
                if (request.Operation == "stop") onStop();
            }
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

    private async Task<JsonNode> HandleAsync(ControlRequest request, Func<LabStep, Task> report, CancellationToken stop)
    {
        var body = request.Body;
        switch (request.Operation)
        {
            case "status":
                return await lab.StatusAsync(stop);
            case "create":
                var wanted = (body["clusters"] as JsonArray ?? []).Select(ClusterRequest.FromJson).ToList();
                await lab.CreateAsync(wanted, (bool?)body["mustBeNew"] ?? false, report, stop);
                return new JsonObject();
            case "wait":
                await lab.WaitAsync((body["names"] as JsonArray ?? []).Select(name => (string?)name ?? ""), report, stop);
                return new JsonObject();
            case "delete":
                await lab.DeleteAsync(request.Cluster, stop);
                return new JsonObject();
            case "expose":
                return new JsonObject { ["port"] = await lab.ExposeAsync(request.Cluster, request.TakeListener, stop) };
            case "break":
                await lab.BreakAsync(request.Cluster, PartOf(body), stop);
                return new JsonObject();
            case "mend":
                await lab.MendAsync(request.Cluster, PartOf(body), report, stop);
                return new JsonObject();
            case "stop":
                await lab.StopAsync();
                return new JsonObject();
            case var other:
                throw new ProblemException("lab", $"the supervisor does not know the operation '{other}'",
                    "it may be of another version: run isthmus lab down, then isthmus lab up");
        }
    }

    private static LabPart PartOf(JsonNode request) => (string?)request["part"] == nameof(LabPart.Cluster) ? LabPart.Cluster : LabPart.ApiServer;

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
