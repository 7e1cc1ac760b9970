using System.Text.Json.Nodes;
using Isthmus.ControlPlane.Push;
using Isthmus.Core.Collections;
using Isthmus.Core.Names;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Microsoft.Extensions.Logging;

namespace Isthmus.ControlPlane.Addresses;

/// <summary>
/// Keeps the allocator's table in ConfigMaps of the system namespace, so that a host keeps its address when the control plane
/// restarts: applications cache addresses. It takes several ConfigMaps, because one holds at most a mebibyte.
/// </summary>
public sealed partial class AddressTable(KubeClient client, string ns, PushEngine engine, TimeProvider time, ILogger<AddressTable> log)
{
    private const string Name = "isthmus-addresses";
    private const string Label = WellKnown.OwnDomain + "/addresses";
    private const int HostsPerMap = 4000;
    private static readonly TimeSpan WriteInterval = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan Retry = TimeSpan.FromSeconds(1);

    private readonly TaskCompletionSource _loaded = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private Dictionary<string, ValueMap<string>> _written = new(StringComparer.Ordinal);

    /// <summary>Completes when the table is loaded: from then on addresses are allocated.</summary>
    public Task Loaded => _loaded.Task;

    public async Task RunAsync(CancellationToken stop)
    {
        try
        {
            while (!await LoadAsync(stop).ConfigureAwait(false)) await Task.Delay(Retry, time, stop).ConfigureAwait(false);
            _loaded.TrySetResult();
            using var timer = new PeriodicTimer(WriteInterval, time);
            long? saved = null;
            while (await timer.WaitForNextTickAsync(stop).ConfigureAwait(false))
            {
                var (revision,
                    table) = await engine.AskAsync(writer => (writer.Allocator.Revision,
                        writer.Allocator.Revision == saved ? default : writer.Allocator.Export()),
                        stop)
                    .ConfigureAwait(false);
                if (revision != saved && await SaveAsync(table, stop).ConfigureAwait(false)) saved = revision;
            }
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
        }
    }

    /// <summary>The table split to fit into ConfigMaps: name → hosts and addresses.</summary>
    public static Dictionary<string, ValueMap<string>> Split(ValueMap<string> table) => table
        .Chunk(HostsPerMap)
        .Select((part, index) => KeyValuePair.Create(index == 0 ? Name : $"{Name}-{index}", part.ToValueMap()))
        .ToDictionary(StringComparer.Ordinal);

    private async Task<bool> LoadAsync(CancellationToken stop)
    {
        try
        {
            var maps = await client.ListAllAsync<ConfigMap>(Kinds.ConfigMap, ns, new ListOptions { LabelSelector = $"{Label}=true" }, stop)
                .ConfigureAwait(false);
            var table = maps.SelectMany(map => map.Data).DistinctBy(item => item.Key).ToDictionary(StringComparer.Ordinal);
            _written = maps.ToDictionary(map => map.Metadata.Name, map => map.Data.ToValueMap(), StringComparer.Ordinal);
            var refused = await engine.ChangeAsync(writer =>
            {
                var left = writer.Allocator.Import(table);
                writer.StartAllocating();
                return left;
            }, stop).ConfigureAwait(false);
            if (refused > 0) LogRefused(refused);
            return true;
        }
        catch (Exception e) when (ApiTrouble.Is(e, stop))
        {
            LogUnreadable(e.Message);
            return false;
        }
    }

    private async Task<bool> SaveAsync(ValueMap<string> table, CancellationToken stop)
    {
        try
        {
            var parts = Split(table);
            foreach (var (name, part) in parts.Where(part => !_written.TryGetValue(part.Key, out var last) || last != part.Value))
            {
                await client.ApplyAsync(Kinds.ConfigMap, Map(name, part, _written.GetValueOrDefault(name)), stop).ConfigureAwait(false);
                _written[name] = part;
            }
            foreach (var name in _written.Keys.Where(name => !parts.ContainsKey(name)).ToList())
            {
                await client.DeleteAsync(Kinds.ConfigMap, ns, name, stop).ConfigureAwait(false);
                _written.Remove(name);
            }
            return true;
        }
        catch (Exception e) when (ApiTrouble.Is(e, stop))
        {
            LogNotSaved(e.Message);
            return false;
        }
    }

    /// <summary>Entries that the part no longer has are removed by name, because an apply merges.</summary>
    private JsonObject Map(string name, ValueMap<string> part, ValueMap<string> last)
    {
        var data = new JsonObject(part.Select(item => KeyValuePair.Create(item.Key, (JsonNode?)JsonValue.Create(item.Value))));
        foreach (var gone in last.Keys.Where(host => !part.ContainsKey(host))) data[gone] = null;
        return new()
        {
            ["apiVersion"] = "v1",
            ["kind"] = "ConfigMap",
            ["metadata"] = new JsonObject
            {
                ["name"] = name, ["namespace"] = ns, ["labels"] = new JsonObject { [Label] = "true", [Labels.MadeBy] = Labels.Discovery }
            },
            ["data"] = data,
        };
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "The table of allocated addresses could not be read; retrying: {Error}")]
    private partial void LogUnreadable(string error);

    [LoggerMessage(Level = LogLevel.Warning, Message = "The table of allocated addresses has {Refused} invalid or duplicate entries; they were ignored")]
    private partial void LogRefused(int refused);

    [LoggerMessage(Level = LogLevel.Warning, Message = "The table of allocated addresses could not be saved; retrying: {Error}")]
    private partial void LogNotSaved(string error);
}
