using System.Globalization;
using System.Net.WebSockets;
using System.Text;
using Isthmus.Kubernetes.Streaming;
using Isthmus.Lab.Nodes.Containers;
using Isthmus.Lab.Nodes.Logs;
using Isthmus.Lab.Nodes.Pods;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Logging;

namespace Isthmus.Lab.Nodes.Server;

/// <summary>Serves the requests of the API server: logs, commands in containers, and tunnels to ports. HTTP over a Unix
/// socket that only its owner can open.</summary>
internal sealed class NodeServer(NodeContext node, PodSet pods, string socketPath)
{
    private readonly LeftPrograms _left = new();

    internal async Task RunAsync(CancellationToken stop)
    {
        using var _ = _left;
        File.Delete(socketPath);
        var builder = WebApplication.CreateEmptyBuilder(new());
        builder.Logging.ClearProviders();
        builder.WebHost.UseKestrelCore().ConfigureKestrel(options =>
        {
            options.ListenUnixSocket(socketPath, listen => listen.Protocols = HttpProtocols.Http1);
            // A client that follows a log may stop reading for any length of time.
            options.Limits.MinResponseDataRate = null;
        });
        await using var app = builder.Build();
        app.UseWebSockets();
        app.Run(http => HandleAsync(http, stop));
        await app.StartAsync(stop);
        File.SetUnixFileMode(socketPath, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        try
        {
            await Task.Delay(Timeout.Infinite, stop);
        }
        catch (OperationCanceledException)
        {
            using var soon = new CancellationTokenSource(TimeSpan.FromSeconds(1));
            await app.StopAsync(soon.Token);
            await _left.CloseAsync();
        }
    }

    private async Task HandleAsync(HttpContext http, CancellationToken stop)
    {
        using var both = CancellationTokenSource.CreateLinkedTokenSource(stop, http.RequestAborted);
        var words = (http.Request.Path.Value ?? "").Split('/', StringSplitOptions.RemoveEmptyEntries);
        try
        {
            await (words switch
            {
                ["containerLogs", var ns, var pod, var container] => LogsAsync(http, ns, pod, container, both.Token),
                ["exec", var ns, var pod, var container] => ExecAsync(http, ns, pod, container, both.Token),
                ["attach", var ns, var pod, var container] => AttachAsync(http, ns, pod, container, both.Token),
                ["portForward", var ns, var pod] => PortForward.ServeAsync(http, Worker(ns, pod), both.Token),
                ["healthz"] => http.Response.WriteAsync("ok", both.Token),
                _ => FailAsync(http, 404, "no such path"),
            });
        }
        catch (NotThereException e)
        {
            await FailAsync(http, 404, e.Message);
        }
        catch (Exception e) when (e is OperationCanceledException or WebSocketException or IOException && http.Response.HasStarted)
        {
            // The client disconnected.
        }
    }

    private PodWorker Worker(string ns, string pod) => pods.Find(ns, pod) ?? throw new NotThereException($"pod {ns}/{pod} is not on this node");

    private async Task LogsAsync(HttpContext http, string ns, string podName, string container, CancellationToken stop)
    {
        var worker = Worker(ns, podName);
        var previous = Flag(http, "previous");
        var found = await worker.FindAsync(container) ?? throw new NotThereException($"container {container} is not in pod {podName}");
        if (found.Record is null)
        {
            await FailAsync(http, 400, $"container \"{container}\" in pod \"{podName}\" is waiting to start: {found.WaitingReason}");
            return;
        }
        var attempt = found.Record.Attempt - (previous ? 1 : 0);
        var path = found.Files.Run(attempt).Log;
        if (attempt < 0 || (previous && !File.Exists(path)))
        {
            await FailAsync(http, 400, $"previous terminated container \"{container}\" in pod \"{podName}\" not found");
            return;
        }
        http.Response.ContentType = "text/plain";
        // Send the headers at once, so that a follower of a silent log sees that it is connected.
        await http.Response.StartAsync(stop);
        await LogReader.CopyAsync(path, previous ? null : found.Running?.Pump.Log, Query(http), http.Response.Body, stop);
    }

    private LogQuery Query(HttpContext http)
    {
        DateTimeOffset? since = Number(http, "sinceSeconds") is { } seconds ? node.Time.GetUtcNow() - TimeSpan.FromSeconds(seconds)
            : DateTimeOffset.TryParse(http.Request.Query["sinceTime"], CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var time)
            ? time
            : null;
        return new(Flag(http, "follow"), Number(http, "tailLines"), since, Flag(http, "timestamps"), Number(http, "limitBytes"));
    }

    private async Task ExecAsync(HttpContext http, string ns, string podName, string container, CancellationToken stop)
    {
        var worker = Worker(ns, podName);
        var running = (await worker.FindAsync(container))?.Running;
        using var socket = new ChannelSocket(await http.WebSockets.AcceptWebSocketAsync(ChannelProtocol.V5));
        var command = http.Request.Query["command"].OfType<string>().ToList();
        ContainerExec exec;
        try
        {
            if (running is null) throw new LaunchException($"container {container} is not running");
            if (command.Count == 0) throw new LaunchException("no command given");
            exec = await ContainerExec.StartAsync(running.Process, running.Identity, node.CanSetGroups, command, Flag(http, "input"), Flag(http, "tty"),
                node.Time);
        }
        catch (LaunchException e)
        {
            await socket.FinishAsync(ChannelProtocol.Failed($"error executing command in container: {e.Message}"), stop);
            return;
        }
        var exited = exec.WaitAsync(node.Reactor, _left.Stop);
        try
        {
            await new ExecSession(node.Reactor, exec, exited, socket).RunAsync(stop);
        }
        finally
        {
            // A client that leaves hangs up a terminal. A program on pipes continues until it notices.
            exec.CloseStreams();
            _left.Add(exec, exited);
        }
    }

    private async Task AttachAsync(HttpContext http, string ns, string podName, string container, CancellationToken stop)
    {
        var worker = Worker(ns, podName);
        var found = await worker.FindAsync(container);
        using var socket = new ChannelSocket(await http.WebSockets.AcceptWebSocketAsync(ChannelProtocol.V5));
        if (found?.Running is not { } running)
        {
            await socket.FinishAsync(ChannelProtocol.Failed($"container {container} is not running"), stop);
            return;
        }
        await new AttachSession(node.Reactor, running, Flag(http, "input") && found.Spec.StdinOnce, socket).RunAsync(stop);
    }

    private static bool Flag(HttpContext http, string name) => http.Request.Query[name].ToString() is "true" or "1";

    private static long? Number(HttpContext http, string name) =>
        long.TryParse(http.Request.Query[name], NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : null;

    internal static async Task FailAsync(HttpContext http, int code, string message)
    {
        http.Response.StatusCode = code;
        http.Response.ContentType = "text/plain";
        await http.Response.Body.WriteAsync(Encoding.UTF8.GetBytes(message));
    }

    private sealed class NotThereException(string message) : Exception(message);
}
