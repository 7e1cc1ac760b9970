using Isthmus.Cni.Chain;
using Isthmus.Cni.Pods;
using Isthmus.Cni.Repair;
using Isthmus.Cni.Requests;
using Isthmus.Core.Problems;
using Isthmus.Core.Tasks;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Microsoft.Extensions.Logging;

namespace Isthmus.Cni;

/// <summary>The agent of one node: keeps the plug-in in the chain, answers it, and repairs Pods that started without it.</summary>
internal sealed partial class NodeAgent
{
    internal const string DaemonSet = "istio-cni-node";

    private static readonly TimeSpan LastQuestion = TimeSpan.FromSeconds(5);

    private readonly CniSettings _settings;
    private readonly KubeClient _client;
    private readonly ILogger _log;
    private readonly PluginBinary _binary;
    private readonly ChainKeeper _chain;
    private readonly AgentSocket _socket;
    private readonly PodRepair? _repair;
    private readonly BackgroundTasks _requests;

    internal NodeAgent(CniSettings settings, KubeClient client, TimeProvider time, ILogger log)
    {
        (_settings, _client, _log) = (settings, client, log);
        _binary = new(settings.Binary, settings.BinaryDirectory);
        _chain = new(new(settings.ConfigurationDirectory, settings.ConfigurationFile), _binary, ChainKeeper.Entry(settings.Socket, settings.ExcludedNamespaces),
            time, log);
        var captures = new PodCaptures(client, new(settings.NodeRoot), settings.ExcludedNamespaces, time, log);
        _requests = new((name, e) => Unexpected(log, name, e));
        _socket = new(settings.Socket, time, _requests, captures.AnswerAsync);
        _repair = settings.Repair is { } repair ? new(client, settings.NodeName, repair, captures, time, log) : null;
    }

    /// <summary>Why the agent is not ready; empty if it is.</summary>
    internal string Waiting => _chain.Waiting;

    /// <summary>Runs until stopped. Then removes the plug-in, if the agent is being uninstalled and not only replaced.</summary>
    /// <exception cref="ProblemException">The image has no plug-in.</exception>
    internal async Task RunAsync(CancellationToken stop)
    {
        if (!_binary.IsInImage)
            throw new ProblemException(_binary.Source, "this image has no CNI plug-in",
                "build the image with 'isthmus image build' on a machine with gcc and libc6-dev");
        using var running = CancellationTokenSource.CreateLinkedTokenSource(stop);
        var listening = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        List<Task> parts = [_socket.RunAsync(listening.SetResult, running.Token)];
        if (await Task.WhenAny(listening.Task, parts[0]) == listening.Task)
        {
            parts.Add(_chain.RunAsync(running.Token));
            if (_repair is not null) parts.Add(_repair.RunAsync(running.Token));
        }
        // One that ends early has failed, and ends the others.
        await Task.WhenAny(parts);
        await running.CancelAsync();
        await Task.WhenAll(parts);
        await _requests.WhenEndedAsync();
        if (await IsUninstalledAsync()) _chain.Remove();
        else Stays(_log);
    }

    /// <summary>During an upgrade the plug-in stays: Pods that start before the next agent does are repaired by it.</summary>
    private async Task<bool> IsUninstalledAsync()
    {
        using var limit = new CancellationTokenSource(LastQuestion);
        try
        {
            return await _client.FindAsync<DaemonSet>(Kinds.DaemonSet, _settings.Namespace, DaemonSet, limit.Token) is not { Metadata.DeletionTimestamp: null };
        }
        catch (KubeException e) when (e.Code is 401 or 403)
        {
            // The account or its rights are gone.
            return true;
        }
        catch (Exception e) when (e is KubeException or HttpRequestException or OperationCanceledException)
        {
            NotAsked(_log, e.Message);
            return false;
        }
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "The DaemonSet still exists: the plug-in stays in the chain for the next agent")]
    private static partial void Stays(ILogger log);

    [LoggerMessage(Level = LogLevel.Warning, Message = "The API server could not be asked whether the DaemonSet still exists: {Error}")]
    private static partial void NotAsked(ILogger log, string error);

    [LoggerMessage(Level = LogLevel.Error, Message = "Internal error in a {Task}")]
    private static partial void Unexpected(ILogger log, string task, Exception e);
}
