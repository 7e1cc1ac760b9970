using System.Text.Json;
using Microsoft.Extensions.Logging;

namespace Isthmus.Cni.Chain;

/// <summary>Keeps the plug-in in the node's chain while the agent runs.</summary>
/// <param name="entry">Our entry of the chain, as JSON.</param>
internal sealed partial class ChainKeeper(ChainDirectory chain, PluginBinary binary, string entry, TimeProvider time, ILogger log)
{
    /// <summary>Mounted files are polled: a bind mount has no events of renames on every file system.</summary>
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    private volatile string _waiting = "not yet in the chain";

    /// <summary>Why the plug-in is not in the chain; empty if it is.</summary>
    internal string Waiting => _waiting;

    internal async Task RunAsync(CancellationToken stop)
    {
        using var timer = new PeriodicTimer(Interval, time);
        try
        {
            do Keep();
            while (await timer.WaitForNextTickAsync(stop));
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
        }
    }

    internal void Keep()
    {
        try
        {
            // Before the entry: a chain that names a missing executable would fail.
            binary.Install();
            if (chain.Install(entry) is not { } installed) Wait("the node has no network configuration yet");
            else
            {
                if (installed.Changed) Added(log, installed.File);
                _waiting = "";
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            Wait(e.Message);
        }
    }

    internal void Remove()
    {
        try
        {
            foreach (var file in chain.Remove()) Removed(log, file);
            binary.Remove();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            NotRemoved(log, e.Message);
        }
    }

    /// <param name="excludedNamespaces">The plug-in does not ask about their Pods.</param>
    internal static string Entry(string socket, IEnumerable<string> excludedNamespaces)
    {
        using var text = new MemoryStream();
        using (var json = new Utf8JsonWriter(text))
        {
            json.WriteStartObject();
            json.WriteString("type", ChainText.PluginType);
            json.WriteString("agent_socket", socket);
            json.WriteStartArray("exclude_namespaces");
            foreach (var name in excludedNamespaces) json.WriteStringValue(name);
            json.WriteEndArray();
            json.WriteEndObject();
        }
        return System.Text.Encoding.UTF8.GetString(text.ToArray());
    }

    private void Wait(string reason)
    {
        if (_waiting != reason) NotAdded(log, reason);
        _waiting = reason;
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "The plug-in is in the chain of {File}")]
    private static partial void Added(ILogger log, string file);

    [LoggerMessage(Level = LogLevel.Information, Message = "Removed the plug-in from the chain of {File}")]
    private static partial void Removed(ILogger log, string file);

    [LoggerMessage(Level = LogLevel.Warning, Message = "The plug-in is not in the chain: {Reason}; retrying")]
    private static partial void NotAdded(ILogger log, string reason);

    [LoggerMessage(Level = LogLevel.Error, Message = "The plug-in could not be removed: {Reason}")]
    private static partial void NotRemoved(ILogger log, string reason);
}
