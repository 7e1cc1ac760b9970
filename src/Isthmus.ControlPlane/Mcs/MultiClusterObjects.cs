using System.Text.Json.Nodes;
using Isthmus.ControlPlane.Derive;
using Isthmus.ControlPlane.Settings;
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

    /// <returns>The first thing that could not be done, which keeps nothing else from being done, and whether only a change can need another call.</returns>
    public async Task<(string Trouble, bool IsComplete)> WriteAsync(MultiClusterPlan plan, CancellationToken stop)
    {
        if (plan.IsEmpty) return ("", true);
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
            var (exports, imports) = (await KindAsync(MeshApi.ServiceExport, stop).ConfigureAwait(false),
                await KindAsync(MeshApi.ServiceImport, stop).ConfigureAwait(false));
            // Definitions may come later, and nobody tells.
            isDefined = exports is not null && imports is not null;
            if (exports is not null)
            {
                foreach (var key in plan.AutoExports) await TryAsync(() => client.ApplyAsync(exports, Named(exports, key), stop)).ConfigureAwait(false);
                foreach (var wanted in plan.Conditions) await TryAsync(() => WriteAsync(exports, wanted, stop)).ConfigureAwait(false);
            }
            if (imports is null) return;
            foreach (var import in plan.Imports) await TryAsync(() => WriteAsync(imports, import, stop)).ConfigureAwait(false);
            foreach (var key in plan.Obsolete) await TryAsync(() => client.DeleteAsync(imports, key.Namespace, key.Name, stop)).ConfigureAwait(false);
        }).ConfigureAwait(false);
        return (trouble, trouble.Length == 0 && isDefined);
    }

    /// <summary>The kind in the first version that is wanted and served; null while its definition is missing.</summary>
    private async Task<ResourceKind?> KindAsync(KindDescriptor kind, CancellationToken stop)
    {
        var described = MultiClusterFacts.Described(kind, settings);
        var definition = await client.FindAsync<CustomResourceDefinition>(Kinds.CustomResourceDefinition, null, described.CrdName, stop).ConfigureAwait(false);
        var served = definition?.Spec.Versions.Where(version => version.Served).Select(version => version.Name).ToList() ?? [];
        return described.Versions.FirstOrDefault(served.Contains) is { } found ? described.In(found) : null;
    }

    private async Task WriteAsync(ResourceKind imports, WantedImport import, CancellationToken stop)
    {
        var version = imports.Version;
        var spec = import.SpecIn(version);
        if (import.Known is null)
        {
            await client.CreateAsync(imports, Named(imports, new("", import.Namespace, import.Name), import.Metadata(), spec), stop).ConfigureAwait(false);
        }
        else
        {
            foreach (var field in Optional) spec.TryAdd(field, null);
            await client.PatchAsync(imports, import.Namespace, import.Name, new JsonObject { ["metadata"] = import.Metadata(), ["spec"] = spec },
                PatchType.Merge, stop)
                .ConfigureAwait(false);
        }
        var status = import.StatusIn(version, ApiTime.Seconds(time.GetUtcNow()));
        await StatusAsync(imports, import.Namespace, import.Name, _ => (JsonObject)status.DeepClone(), stop).ConfigureAwait(false);
    }

    private Task WriteAsync(ResourceKind exports, WantedConditions wanted, CancellationToken stop)
    {
        var now = ApiTime.Seconds(time.GetUtcNow());
        var conditions = wanted.Conditions.Select(condition => (JsonNode)new JsonObject
        {
            ["type"] = condition.Type,
            ["status"] = condition.Status ? "True" : "False",
            ["reason"] = condition.Reason,
            ["message"] = condition.Message,
            ["lastTransitionTime"] = wanted.SinceOf(condition, now),
        });
        var source = wanted.Export.Source;
        return StatusAsync(exports, source.Namespace, source.Name,
            _ => new() { ["conditions"] = new JsonArray([.. conditions]) }, stop);
    }

    private async Task StatusAsync(ResourceKind kind, string ns, string name, Func<JsonObject, JsonObject> status, CancellationToken stop)
    {
        if (await _writer.WriteAsync(kind, ns, name, status, stop).ConfigureAwait(false) == StatusOutcome.Later)
            throw new IOException($"the status of {kind.Kind} {ns}/{name} could not be written");
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
