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

    private readonly StatusWriter _writer = new(client, log);
    // What the API server refused of an object, or to say of it: only another state of the object, or other words, are worth another try at once.
    private readonly Refusals<(string Key, object State)> _refused = new(time);

    /// <summary>A kind as the cluster defines it.</summary>
    /// <param name="MostIps">How many addresses an import may have.</param>
    private sealed record DefinedKind(ResourceKind Resource, int MostIps);

    /// <returns>The first failure. Everything else was done all the same.</returns>
    internal async Task<(string Trouble, NextRound Next)> WriteAsync(MultiClusterPlan plan, CancellationToken stop)
    {
        plan = NotRefused(plan);
        if (plan.IsEmpty) return (_refused.Why, _refused.Next);
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
        return (trouble.Length > 0 ? trouble : _refused.Why, (trouble.Length > 0 || !isDefined ? NextRound.Soon : NextRound.AtChange).Or(_refused.Next));
    }

    private MultiClusterPlan NotRefused(MultiClusterPlan plan)
    {
        var wanted = plan.Imports.Select(Wanted).Concat(plan.Conditions.Select(Wanted)).ToHashSet();
        _refused.Keep(wanted.Contains);
        return plan with
        {
            Imports = [.. plan.Imports.Where(import => !_refused.Has(Wanted(import)))],
            Conditions = [.. plan.Conditions.Where(conditions => !_refused.Has(Wanted(conditions)))],
        };
    }

    private static (string Key, object State) Wanted(WantedImport import) =>
        ($"{MultiClusterFacts.Import} {import.Namespace}/{import.Name}", (import.Known?.Content, import.Content(MultiClusterFacts.Newest)));

    private static (string Key, object State) Wanted(WantedConditions wanted) =>
        ($"{MultiClusterFacts.Export} {wanted.Export.Source.Namespace}/{wanted.Export.Source.Name}", wanted);

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
            _refused.Add(Wanted(import), e.Message);
            return;
        }
        var now = ApiTime.Seconds(time.GetUtcNow());
        await StatusAsync(imports, import.Namespace, import.Name, found => import.StatusIn(version, now, found), Wanted(import), stop)
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
            Wanted(wanted), stop);
    }

    /// <param name="wanted">What may be refused.</param>
    private async Task StatusAsync(
        ResourceKind kind, string ns, string name, Func<JsonObject, JsonObject?> status, (string Key, object State) wanted, CancellationToken stop)
    {
        var outcome = await _writer.WriteAsync(kind, ns, name, status, stop).ConfigureAwait(false);
        if (outcome == StatusOutcome.Later) throw new IOException($"the status of {kind.Kind} {ns}/{name} could not be written");
        if (outcome == StatusOutcome.Refused) _refused.Add(wanted);
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
