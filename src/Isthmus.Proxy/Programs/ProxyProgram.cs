using System.Collections;
using Isthmus.Core.Problems;
using Isthmus.Proxy.Admin;
using Isthmus.Proxy.Agent;
using Isthmus.Proxy.Snapshot;
using Isthmus.Proxy.Telemetry;
using Isthmus.Proxy.Tls;
using Isthmus.Proxy.Transports;
using Microsoft.Extensions.Logging;

namespace Isthmus.Proxy.Programs;

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
            var environment = Environment.GetEnvironmentVariables().Cast<DictionaryEntry>()
                .ToDictionary(e => (string)e.Key, e => (string?)e.Value ?? "", StringComparer.Ordinal);
            var settings = AgentSettings.Read(arguments.Role, arguments.Domain,
                environment) with { ProxyLogLevel = arguments.LogLevel, ComponentLogLevels = arguments.ComponentLogLevels };
            return await AgentRun.RunAsync(settings, environment, ports, AgentFiles.OfProcess, log, AgentPlanes.Of, stop).ConfigureAwait(false);
        }
        return await RunFromFilesAsync(arguments, ports, log, stop).ConfigureAwait(false);
    }

    private static async Task<int> RunFromFilesAsync(ProxyArguments arguments, ProxyPorts ports, ProcessLog log, CancellationToken stop)
    {
        var logger = log.CreateLogger("files");
        var secrets = new DirectorySecrets(arguments.CertificateDirectory, ports.Time);
        var settings = ProxySettings.Default(ProxyIdentity.Unknown with { NodeId = $"{arguments.Role}~files" }, arguments.Role);
        var plane = DataPlane.Build(settings, ports, secrets, new ProcessLogFiles(), log);
        foreach (var update in DirectorySource.Read(arguments.XdsDirectory, note => FileMessages.Note(logger, note)))
            foreach (var rejection in plane.State.Apply(update)) FileMessages.Rejected(logger, rejection.TypeUrl, rejection.Name, rejection.Message);
        using var served = new OwnPlane(plane, new(plane) { Log = log }, run: token => Task.Delay(Timeout.Infinite, token));
        await ProxyEndpoints.ServeAsync(served, [], [], () => false, stop).ConfigureAwait(false);
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
