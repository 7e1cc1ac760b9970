using System.Text.Json.Nodes;
using Isthmus.Graph.Derive;
using Isthmus.Graph.Settings;
using Isthmus.ControlPlane.Statuses;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model;
using Microsoft.Extensions.Logging;

namespace Isthmus.ControlPlane.Mcs;

/// <summary>Writes what a plan wants, in the version of the API that the cluster serves.</summary>
public sealed class MultiClusterObjects(KubeClient client, MultiClusterSettings settings, TimeProvider time, ILogger log)
{
    /// <summary>The optional fields of an import's spec: a merge leaves what it does not name.</summary>
    private static readonly string[] Optional = ["ips", "ipFamilies", "sessionAffinity", "sessionAffinityConfig", "internalTrafficPolicy",
        "trafficDistribution"];

    private static readonly TimeSpan RefusalLife = TimeSpan.FromMinutes(5);

    private readonly StatusWriter _writer = new(client, log);
    // What the API server refused of an object, or to say of it: only another state of the object, or other words, are worth another try at once.
    private readonly Dictionary<string, Refusal> _refused = new(StringComparer.Ordinal);

    /// <param name="Why">Empty where the log says so already.</param>
    private sealed record Refusal(object State, DateTimeOffset At, string Why);

    /// <summary>A kind as the cluster defines it.</summary>
    /// <param name="MostIps">How many addresses an import may have.</param>
    private sealed record DefinedKind(ResourceKind Resource, int MostIps);

    /// <returns>The first thing that could not be done, which keeps nothing else from being done, and whether only a change can need another call: not
    /// while something is refused, which is to be tried again.</returns>
    public async Task<(string Trouble, bool IsComplete)> WriteAsync(MultiClusterPlan plan, CancellationToken stop)
    {
        plan = NotRefused(plan);
        if (plan.IsEmpty) return (Refused, _refused.Count == 0);
        var (trouble, isDefined) = ("", true);
        async Task TryAsync(Func<Task> write)
        {
            try { await write().ConfigureAwait(false); }
            catch (Exception e) when (!stop.IsCancellationRequested && e is KubeException or HttpRequestException or IOException or OperationCanceledException)
            {
                if (trouble.Length == 0) trouble = e.Message;
            }
        }

        await TryAsync(async () =>
        {
            var exports = (await KindAsync(MeshApi.ServiceExport, stop).ConfigureAwait(false))?.Resource;
            var imports = await KindAsync(MeshApi.ServiceImport, stop).ConfigureAwait(false);
            // Definitions may come later, and nobody tells.
            isDefined = exports is not null && imports is not null;
            if (exports is not null)
            {
                foreach (var key in plan.AutoExports) await TryAsync(() => client.ApplyAsync(exports, Named(exports, key), stop)).ConfigureAwait(false);
                foreach (var wanted in plan.Conditions) await TryAsync(() => WriteAsync(exports, wanted, stop)).ConfigureAwait(false);
            }
            if (imports is null) return;
            foreach (var import in plan.Imports) await TryAsync(() => WriteAsync(imports, import, stop)).ConfigureAwait(false);
            foreach (var key in plan.Obsolete) await TryAsync(() => client.DeleteAsync(imports.Resource, key.Namespace, key.Name, stop)).ConfigureAwait(false);
        }).ConfigureAwait(false);
        return (trouble.Length > 0 ? trouble : Refused, trouble.Length == 0 && isDefined && _refused.Count == 0);
    }

    /// <summary>What is still refused, and not tried again yet.</summary>
    private string Refused => _refused.Values.Select(refusal => refusal.Why).FirstOrDefault(why => why.Length > 0) ?? "";

    private MultiClusterPlan NotRefused(MultiClusterPlan plan)
    {
        if (_refused.Count == 0) return plan;
        var wanted = plan.Imports.Select(KeyOf).Concat(plan.Conditions.Select(KeyOf)).ToHashSet(StringComparer.Ordinal);
        foreach (var gone in _refused.Keys.Where(key => !wanted.Contains(key)).ToList()) _refused.Remove(gone);
        return plan with
        {
            Imports = [.. plan.Imports.Where(import => !IsRefused(KeyOf(import), StateOf(import)))],
            Conditions = [.. plan.Conditions.Where(wanted => !IsRefused(KeyOf(wanted), wanted))],
        };
    }

    /// <summary>Rights may come later, and nobody tells: what was refused is tried again some minutes later.</summary>
    private bool IsRefused(string key, object state) =>
        _refused.TryGetValue(key, out var known) && Equals(known.State, state) && time.GetUtcNow() - known.At < RefusalLife;

    private static string KeyOf(WantedImport import) => $"{MultiClusterFacts.Import} {import.Namespace}/{import.Name}";

    private static string KeyOf(WantedConditions wanted) => $"{MultiClusterFacts.Export} {wanted.Export.Source.Namespace}/{wanted.Export.Source.Name}";

    private static (string? Known, string Wanted) StateOf(WantedImport import) => (import.Known?.Content, import.Content(MultiClusterFacts.Newest));

    /// <summary>The kind in the first version that is wanted and served; null while its definition is missing.</summary>
    private async Task<DefinedKind?> KindAsync(KindDescriptor kind, CancellationToken stop)
    {
        var described = MultiClusterFacts.Described(kind, settings);
        var definition = await client.FindAsync(Kinds.CustomResourceDefinition, null, described.CrdName, stop).ConfigureAwait(false);
        var served = (definition?["spec"]?["versions"] as JsonArray ?? []).Where(version => (bool?)version?["served"] == true).ToList();
        foreach (var version in described.Versions)
            if (served.Find(one => (string?)one!["name"] == version) is { } found) return new(described.In(version), MostIps(found));
        return null;
    }

    private static int MostIps(JsonNode version) =>
        version["schema"]?["openAPIV3Schema"]?["properties"]?["spec"]?["properties"]?["ips"]?["maxItems"] is JsonValue most
            && most.TryGetValue<int>(out var count) ? count : int.MaxValue;

    private async Task WriteAsync(DefinedKind defined, WantedImport import, CancellationToken stop)
    {
        if (import.IsKnownWith(defined.MostIps)) return;
        var (imports, version) = (defined.Resource, defined.Resource.Version);
        try
        {
            await SpecAsync(defined, import, stop).ConfigureAwait(false);
        }
        catch (KubeException e) when (e.IsRefusal)
        {
            _refused[KeyOf(import)] = new(StateOf(import), time.GetUtcNow(), e.Message);
            throw;
        }
        var now = ApiTime.Seconds(time.GetUtcNow());
        await StatusAsync(imports, import.Namespace, import.Name, found => import.StatusIn(version, now, found), KeyOf(import), StateOf(import), stop)
            .ConfigureAwait(false);
    }

    private Task SpecAsync(DefinedKind defined, WantedImport import, CancellationToken stop)
    {
        var imports = defined.Resource;
        var spec = import.SpecIn(imports.Version, defined.MostIps);
        if (import.Known is null) return client.CreateAsync(imports, Named(imports, new("", import.Namespace, import.Name), import.Metadata(), spec), stop);
        foreach (var field in Optional) spec.TryAdd(field, null);
        return client.PatchAsync(imports, import.Namespace, import.Name, new JsonObject { ["metadata"] = import.Metadata(), ["spec"] = spec },
            PatchType.Merge, stop);
    }

    private Task WriteAsync(ResourceKind exports, WantedConditions wanted, CancellationToken stop)
    {
        var (source, now) = (wanted.Export.Source, ApiTime.Seconds(time.GetUtcNow()));
        return StatusAsync(exports, source.Namespace, source.Name,
            found => OwnConditions.OfExports.Changed(found, wanted.Conditions, now) is { } conditions ? new() { ["conditions"] = conditions } : null,
            KeyOf(wanted), wanted, stop);
    }

    /// <param name="key">Of what is refused.</param>
    /// <param name="state">What is to be refused again.</param>
    private async Task StatusAsync(
        ResourceKind kind, string ns, string name, Func<JsonObject, JsonObject?> status, string key, object state, CancellationToken stop)
    {
        var outcome = await _writer.WriteAsync(kind, ns, name, status, stop).ConfigureAwait(false);
        if (outcome == StatusOutcome.Later) throw new IOException($"the status of {kind.Kind} {ns}/{name} could not be written");
        if (outcome == StatusOutcome.Refused) _refused[key] = new(state, time.GetUtcNow(), "");
        else _refused.Remove(key);
    }

    private static JsonObject Named(ResourceKind kind, ObjectKey key, JsonObject? metadata = null, JsonObject? spec = null)
    {
        var named = new JsonObject
        {
            ["apiVersion"] = kind.ApiVersion, ["kind"] = kind.Kind,
            ["metadata"] = metadata ?? new JsonObject { ["name"] = key.Name, ["namespace"] = key.Namespace }
        };
        if (spec is not null) named["spec"] = spec;
        return named;
    }
}
