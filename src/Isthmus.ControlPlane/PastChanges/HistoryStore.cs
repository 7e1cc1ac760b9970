using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Core.Names;
using Isthmus.Graph.History;
using Isthmus.Graph.Settings;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Config;
using Isthmus.Reports;
using Microsoft.Extensions.Logging;

namespace Isthmus.ControlPlane.PastChanges;

/// <summary>
/// Keeps the newest changes in a ConfigMap of the system namespace, so that a control plane knows what happened before it started. Each replica has a part of
/// its own there: they see the same mesh, but each knows only its own proxies, and the users of writes that its own webhook admitted.
/// </summary>
public sealed partial class HistoryStore(KubeClient client, DiscoverySettings settings, ChangeHistory history, TimeProvider time, ILoggerFactory logs)
{
    private const string Suffix = ".json";

    /// <summary>As many of objects as of endpoints.</summary>
    private const int MostChanges = 500;

    /// <summary>Writes of workloads, which an autoscaler may do all the time.</summary>
    private const int MostWorkloads = 200;

    /// <summary>Of all parts together, and of one. A ConfigMap holds at most a mebibyte.</summary>
    private const int MostBytes = 768 << 10;

    /// <summary>Those of Pods that are gone are among them.</summary>
    private const int MostParts = 8;

    /// <summary>After this many attempts, it goes on without what was kept: the mesh matters more than its history. So it does when others keep
    /// writing.</summary>
    private const int MostTries = 5;

    private static readonly TimeSpan Retry = TimeSpan.FromSeconds(1), LastWrite = TimeSpan.FromSeconds(2);

    private readonly ILogger _log = logs.CreateLogger<HistoryStore>();
    private readonly string _name = WellKnown.History(settings.Revision);
    private readonly string _own = (settings.PodName.Length > 0 ? settings.PodName : "history") + Suffix;

    // What a Pod of this name kept before: its container was restarted. Null: not read yet, or there is none.
    private HistoryReport? _before;
    private bool _isRead;
    private long _saved;
    private string _trouble = "";

    /// <summary>The time between two writes.</summary>
    public static readonly TimeSpan Interval = TimeSpan.FromSeconds(30);

    /// <summary>Whether it has read what is kept, and writes its own part from now on.</summary>
    internal bool IsWriting { get; private set; }

    public async Task RunAsync(CancellationToken stop)
    {
        await ReadAsync(stop).ConfigureAwait(false);
        IsWriting = true;
        try
        {
            using var timer = new PeriodicTimer(Interval, time);
            while (await timer.WaitForNextTickAsync(stop).ConfigureAwait(false)) await TryAsync(SaveAsync, stop).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            // What changed since the last write.
            using var patience = new CancellationTokenSource(LastWrite, time);
            await TryAsync(SaveAsync, patience.Token).ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>What there is room for: the newest changes of objects and of endpoints. What is dropped counts as forgotten, so that the report does not
    /// promise more than it has.</summary>
    internal static HistoryReport Newest(HistoryReport report, int mostBytes = MostBytes)
    {
        var all = (report.Changes ?? []).Where(change => change.Endpoints is not { ConcernCallers: false }).ToList();
        var kept = all.GroupBy(GroupOf).SelectMany(group => group.Key switch
        {
            ChangeGroup.Workloads => Fitting(group, MostWorkloads, mostBytes / 12),
            ChangeGroup.Endpoints => Fitting(group, MostChanges, mostBytes / 12 * 5),
            _ => Fitting(group, MostChanges, mostBytes / 2),
        }).ToHashSet(ReferenceEqualityComparer.Instance);
        var dropped = all.Where(change => !kept.Contains(change)).ToList();
        return report with
        {
            Since = dropped.Select(change => change.Last).Append(report.Since).Max(),
            Forgotten = (report.Forgotten ?? 0) + dropped.Sum(change => change.Count ?? 1),
            Changes = [.. all.Where(kept.Contains)],
        };
    }

    private enum ChangeGroup
    {
        Objects,
        Endpoints,
        Workloads,
    }

    private static ChangeGroup GroupOf(ChangeReport change) => change.Endpoints is not null ? ChangeGroup.Endpoints
        : MeshApi.All.Any(kind => kind.IsWorkload && kind.Name == change.Kind) ? ChangeGroup.Workloads : ChangeGroup.Objects;

    private static IEnumerable<ChangeReport> Fitting(IEnumerable<ChangeReport> oldestFirst, int most, int mostBytes)
    {
        var bytes = 0;
        return oldestFirst.Reverse().Take(most)
            .TakeWhile(change => (bytes += JsonSerializer.SerializeToUtf8Bytes(change, ControlPlaneReports.Default.ChangeReport).Length) <= mostBytes);
    }

    /// <summary>Reads what is kept, if that is possible soon.</summary>
    private async Task ReadAsync(CancellationToken stop)
    {
        var wait = Retry;
        for (var tries = 1; !await TryAsync(RestoreAsync, stop).ConfigureAwait(false); tries++, wait *= 2)
        {
            if (tries == MostTries)
            {
                LogWithout(_log, settings.Namespace, _name);
                return;
            }
            await Task.Delay(wait, time, stop).ConfigureAwait(false);
        }
        stop.ThrowIfCancellationRequested();
    }

    /// <summary>Takes over what others kept. Returns all parts by their keys, and the version of the ConfigMap; null: there is none.</summary>
    private async Task<(Dictionary<string, HistoryReport> Parts, string? Version)> RestoreAsync(CancellationToken stop)
    {
        var map = await client.FindAsync<ConfigMap>(Kinds.ConfigMap, settings.Namespace, _name, stop).ConfigureAwait(false);
        var parts = Parts(map);
        if (!_isRead) (_before, _isRead) = (parts.GetValueOrDefault(_own), true);
        // This control plane knows what it has written itself since then.
        parts.Remove(_own);
        if (_before is not null) parts[_own] = _before;
        Restore(parts.Values);
        return (parts, map?.Metadata.ResourceVersion);
    }

    private Dictionary<string, HistoryReport> Parts(ConfigMap? map)
    {
        var parts = new Dictionary<string, HistoryReport>(StringComparer.Ordinal);
        foreach (var (key, text) in map?.Data ?? [])
        {
            if (!key.EndsWith(Suffix, StringComparison.Ordinal)) continue;
            try
            {
                if (JsonSerializer.Deserialize(text, ControlPlaneReports.Default.HistoryReport) is not { Since: not null, Changes: not null } report)
                    throw new JsonException("it has no 'since', or no 'changes'");
                parts[key] = report;
            }
            catch (JsonException e)
            {
                LogIgnored(_log, settings.Namespace, _name, key, e.Message);
            }
        }
        return parts;
    }

    private void Restore(IReadOnlyCollection<HistoryReport> parts)
    {
        if (parts.Count == 0) return;
        // Before the end of what one has forgotten, not all changes are known.
        var since = parts.Where(part => part.Forgotten > 0).Max(part => part.Since) ?? parts.Min(part => part.Since!.Value);
        history.Restore(since,
            [.. parts.SelectMany(part => part.Changes!.OfType<ChangeReport>().Select(change => ChangeReports.Read(change, part.Istiod)))
                .OfType<RememberedChange>().OrderBy(change => change.Last)],
            parts.Max(part => part.Forgotten ?? 0));
    }

    private async Task SaveAsync(CancellationToken stop)
    {
        var version = history.Version;
        if (version == _saved || history.Since is not { } since) return;
        for (var tries = 1; ; tries++)
        {
            try
            {
                await WriteAsync(since, stop).ConfigureAwait(false);
                break;
            }
            catch (KubeException e) when (e.IsConflict && tries < MostTries)
            {
                // Another one has written since the parts were read.
            }
        }
        _saved = version;
    }

    private async Task WriteAsync(DateTimeOffset since, CancellationToken stop)
    {
        // What others have written meanwhile is known from now on.
        var (parts, readVersion) = await RestoreAsync(stop).ConfigureAwait(false);
        parts[_own] = new(settings.ClusterId, settings.PodName)
        {
            Now = time.GetUtcNow(), Since = _before?.Since < since ? _before.Since : since, Forgotten = (_before?.Forgotten ?? 0) + history.ForgottenHere,
            Changes = [.. history.After(DateTimeOffset.MinValue).Where(change => change.Istiod.Length == 0 || change.Istiod == settings.PodName)
                .Select(ChangeReports.Of)],
        };
        var written = Written(parts, _own).ToList();
        var metadata = new JsonObject
        {
            ["name"] = _name, ["namespace"] = settings.Namespace, ["labels"] = new JsonObject { [Labels.MadeBy] = Labels.Discovery },
        };
        // Who writes parts of others must not take back what they have written meanwhile.
        if (readVersion is not null && written.Exists(part => part.Key != _own)) metadata["resourceVersion"] = readVersion;
        await client.ApplyAsync(Kinds.ConfigMap, new JsonObject
        {
            ["apiVersion"] = "v1", ["kind"] = "ConfigMap", ["metadata"] = metadata,
            ["data"] = new JsonObject([.. written.Select(part => KeyValuePair.Create(part.Key, (JsonNode?)part.Text))]),
        }, stop).ConfigureAwait(false);
    }

    /// <summary>What to write: the own part, and those of others that are too large now. The oldest of too many go (null).</summary>
    internal static IEnumerable<(string Key, string? Text)> Written(IReadOnlyDictionary<string, HistoryReport> parts, string own)
    {
        var byAge = parts.OrderByDescending(part => part.Key == own).ThenByDescending(part => part.Value.Now ?? part.Value.Since).ToList();
        foreach (var (key, _) in byAge.Skip(MostParts)) yield return (key, null);
        var kept = byAge.Take(MostParts).Select(part => (part.Key, Text: Text(Newest(part.Value)))).OrderBy(part => part.Text.Length).ToList();
        var room = MostBytes;
        foreach (var (i, (key, text)) in kept.Index())
        {
            // Larger parts get the room that smaller ones leave.
            var share = room / (kept.Count - i);
            var fitting = text.Length <= share ? text : Text(Newest(parts[key], share));
            room -= fitting.Length;
            if (key == own || fitting.Length < Text(parts[key]).Length) yield return (key, fitting);
        }
    }

    private static string Text(HistoryReport report) => JsonSerializer.Serialize(report, ControlPlaneReports.Default.HistoryReport);

    private async Task<bool> TryAsync(Func<CancellationToken, Task> step, CancellationToken stop)
    {
        try
        {
            await step(stop).ConfigureAwait(false);
            _trouble = "";
            return true;
        }
        catch (Exception e) when (ApiTrouble.Is(e, stop) || (e is OperationCanceledException && stop.IsCancellationRequested))
        {
            if (_trouble != e.Message) LogTrouble(_log, settings.Namespace, _name, e.Message);
            _trouble = e.Message;
            return stop.IsCancellationRequested;
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "ConfigMap {Namespace}/{Name}: the history of changes could not be read or written; retrying: {Error}")]
    private static partial void LogTrouble(ILogger log, string @namespace, string name, string error);

    [LoggerMessage(Level = LogLevel.Warning,
        Message = "ConfigMap {Namespace}/{Name}: the history of changes cannot be read; going on without it")]
    private static partial void LogWithout(ILogger log, string @namespace, string name);

    [LoggerMessage(Level = LogLevel.Warning, Message = "ConfigMap {Namespace}/{Name}: {Key} is not a history of changes, and is left out: {Error}")]
    private static partial void LogIgnored(ILogger log, string @namespace, string name, string key, string error);
}
