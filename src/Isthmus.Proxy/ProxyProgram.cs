using System.Collections;
using System.Net;
using Isthmus.Core.Problems;
using Isthmus.Proxy.Admin;
using Isthmus.Proxy.Agent;
using Isthmus.Proxy.Snapshot;
using Isthmus.Proxy.Telemetry;
using Isthmus.Proxy.Tls;
using Microsoft.Extensions.Logging;

namespace Isthmus.Proxy;

/// <summary>The role <c>isthmus proxy</c>: a sidecar or a gateway.</summary>
public static class ProxyProgram
{
    /// <summary>Runs until <paramref name="stop"/>, then drains; returns the exit code.</summary>
    /// <exception cref="ProblemException">A wrong flag, an unusable file or a port in use.</exception>
    public static async Task<int> RunAsync(string[] args, CancellationToken stop)
    {
        var arguments = ProxyArguments.Parse(args);
        var time = TimeProvider.System;
        using var log = new ProcessLog(Console.Error, time);
        log.Level = ProcessLog.ParseLevel(arguments.LogLevel)!.Value;
        using var collector = QuietCollector.Start(time);
        var ports = new ProxyPorts(time, new ThreadRandom(), new ProcessSockets(), new SystemResolver());
        if (arguments.XdsDirectory.Length == 0)
        {
            var environment = Environment.GetEnvironmentVariables().Cast<DictionaryEntry>().ToDictionary(e => (string)e.Key, e => (string?)e.Value ?? "", StringComparer.Ordinal);
            return await AgentRun.RunAsync(AgentSettings.Read(arguments.Role, arguments.Domain, environment), environment, ports, AgentFiles.OfProcess, log, stop).ConfigureAwait(false);
        }
        return await RunFromFilesAsync(arguments, ports, log, stop).ConfigureAwait(false);
    }

    /// <summary>Serves the endpoints of a data plane until <paramref name="stop"/>, then drains it. The configuration
    /// source runs alongside.</summary>
    /// <param name="isPodEnding">Called when the drain begins (<see cref="DataPlane.DrainAsync"/>).</param>
    internal static async Task ServeAsync(DataPlane plane, ProcessLog log, IReadOnlyList<AdminHandler> statusHandlers, Func<bool> isPodEnding, CancellationToken stop)
    {
        // The endpoints stay open until the drain is over, so that you can watch it.
        using var end = new CancellationTokenSource();
        var routes = plane.Admin;
        routes.Log = log;
        var servers = new List<Task>();
        void Serve(IPEndPoint? address, params IReadOnlyList<AdminHandler> handlers)
        {
            if (address is not null) servers.Add(new AdminServer(address, plane.Ports.Sockets, plane.ReportFailure, handlers).RunAsync(end.Token));
        }
        Serve(plane.Settings.Admin, routes.HandleAsync);
        Serve(plane.Settings.Metrics, routes.HandleMetricsAsync);
        Serve(plane.Settings.Status, [.. statusHandlers, routes.HandleMetricsAsync, routes.HandleReadyAsync]);
        Serve(plane.Settings.Ready, routes.HandleReadyAsync);
        using var quit = CancellationTokenSource.CreateLinkedTokenSource(stop, routes.Quit);
        var stopped = Task.Delay(Timeout.Infinite, quit.Token);
        var first = await Task.WhenAny([stopped, .. servers]).ConfigureAwait(false);
        if (first != stopped) await first.ConfigureAwait(false);
        await plane.DrainAsync(plane.Settings.DrainTime, isPodEnding()).ConfigureAwait(false);
        await end.CancelAsync().ConfigureAwait(false);
        await Task.WhenAll(servers).ConfigureAwait(false);
    }

    private static async Task<int> RunFromFilesAsync(ProxyArguments arguments, ProxyPorts ports, ProcessLog log, CancellationToken stop)
    {
        var logger = log.CreateLogger("files");
        var secrets = new DirectorySecrets(arguments.CertificateDirectory, ports.Time);
        var settings = ProxySettings.Default(ProxyIdentity.Unknown with { NodeId = $"{arguments.Role}~files" }, arguments.Role);
        using var plane = DataPlane.Build(settings, ports, secrets, new ProcessLogFiles(), log);
        foreach (var update in DirectorySource.Read(arguments.XdsDirectory, note => FileMessages.Note(logger, note)))
            foreach (var rejection in plane.State.Apply(update)) FileMessages.Rejected(logger, rejection.TypeUrl, rejection.Name, rejection.Message);
        await ServeAsync(plane, log, [], () => false, stop).ConfigureAwait(false);
        return 0;
    }
}

internal static partial class FileMessages
{
    [LoggerMessage(Level = LogLevel.Warning, Message = "{Note}")]
    public static partial void Note(ILogger log, string note);

    [LoggerMessage(Level = LogLevel.Error, Message = "{TypeUrl} {Name} was rejected: {Reason}")]
    public static partial void Rejected(ILogger log, string typeUrl, string name, string reason);
}
