using System.Text;
using System.Text.Json.Nodes;
using Isthmus.ControlPlane.Ca;
using Isthmus.Core.Names;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Watch;
using Microsoft.Extensions.Logging;

namespace Isthmus.ControlPlane.Webhooks;

/// <summary>Keeps the CA bundle of this revision's webhooks in one cluster up to date, so that its API server trusts us.
/// Then validation may fail closed. The webhooks of the history never do: nobody may have to wait for them.</summary>
public sealed partial class CaBundlePatcher(KubeClient client, string revision, bool validating, CaState ca, TimeProvider time, ILogger<CaBundlePatcher> log)
{
    private const string Injector = "sidecar-injector.istio.io";
    private const string Validator = "validation.istio.io";

    private readonly WorkQueue<(ResourceKind Kind, string Name)> _queue = new(time);
    private IReadOnlyList<WatchedList<JsonObject>> _lists = [];
    private volatile Exception? _failed;
    private volatile IReadOnlyList<WatchedList<JsonObject>> _kept = [];

    /// <summary>The last error that has not been resolved; null when there is none.</summary>
    /// <remarks>A cluster whose history does without deletions misses nothing else.</remarks>
    public Exception? LastError => _lists.Where(list => validating || list.Informer.Kind == Kinds.MutatingWebhookConfiguration)
        .Select(list => list.Informer.LastError).FirstOrDefault(error => error is not null) ?? _failed;

    /// <summary>What API servers trust this revision's webhooks by, as base64, with the object that says so; nothing while another replica keeps
    /// them.</summary>
    public IEnumerable<(string Object, string Bundle)> Bundles =>
        from list in _kept
        from configuration in list.Items
        from webhook in configuration["webhooks"] as JsonArray ?? []
        where IsOurs(webhook)
        select ($"{list.Informer.Kind.Kind} {configuration["metadata"]!["name"]}", webhook?["clientConfig"]?["caBundle"]?.ToString() ?? "");

    public async Task RunAsync(CancellationToken stop)
    {
        var selector = new InformerSettings { LabelSelector = $"{Labels.Revision}={revision}" };
        List<WatchedList<JsonObject>> lists = [];
        foreach (var kind in (ResourceKind[])[Kinds.MutatingWebhookConfiguration, Kinds.ValidatingWebhookConfiguration])
        {
            lists.Add(new WatchedList<JsonObject>(client, kind, selector, time).Listen(change => { if (change.Object is not null)
                _queue.Add((kind, change.Key)); }));
        }
        _lists = _kept = lists;
        void Again(CaSnapshot _)
        {
            foreach (var list in lists)
            {
                foreach (var item in list.Items) _queue.Add((list.Informer.Kind, item["metadata"]!["name"]!.ToString()));
            }
        }
        ca.Changed += Again;
        try { await Task.WhenAll([.. lists.Select(list => list.RunAsync(stop)), WorkAsync(lists, stop)]); }
        finally
        {
            ca.Changed -= Again;
            _kept = [];
        }
    }

    private async Task WorkAsync(IReadOnlyList<WatchedList<JsonObject>> lists, CancellationToken stop)
    {
        await ca.Ready.WaitAsync(stop);
        await _queue.RunAsync(1, async (item, token) =>
        {
            if (lists.First(list => list.Informer.Kind == item.Kind).Find(item.Name) is not { } configuration || ca.Current is not { } current) return;
            var patch = Patch(configuration, Convert.ToBase64String(Encoding.UTF8.GetBytes(current.RootsPem)));
            if (patch.Count > 0)
            {
                await client.PatchAsync(item.Kind, null, item.Name, patch, PatchType.Json, token);
                Patched(log, item.Name, client.Access.Name);
            }
            _failed = null;
        }, (item, error) =>
        {
            if (_failed?.Message != error.Message) PatchFailed(log, item.Name, client.Access.Name, error.Message);
            _failed = error;
        }, stop);
    }

    private JsonArray Patch(JsonObject configuration, string bundle)
    {
        var patch = new JsonArray();
        var webhooks = configuration["webhooks"] as JsonArray ?? [];
        for (var i = 0; i < webhooks.Count; i++)
        {
            if (!IsOurs(webhooks[i])) continue;
            if (webhooks[i]?["clientConfig"]?["caBundle"]?.ToString() != bundle)
                patch.Add((JsonNode)new JsonObject { ["op"] = "add", ["path"] = $"/webhooks/{i}/clientConfig/caBundle", ["value"] = bundle });
            if (Has(webhooks[i], Validator) && webhooks[i]?["failurePolicy"]?.ToString() != "Fail")
                patch.Add((JsonNode)new JsonObject { ["op"] = "add", ["path"] = $"/webhooks/{i}/failurePolicy", ["value"] = "Fail" });
        }
        return patch;
    }

    private bool IsOurs(JsonNode? webhook) =>
        Has(webhook, Injector) || (validating && Has(webhook, Validator)) || Has(webhook, WellKnown.HistoryWebhook);

    private static bool Has(JsonNode? webhook, string suffix) => webhook?["name"]?.ToString().EndsWith(suffix, StringComparison.Ordinal) == true;

    [LoggerMessage(Level = LogLevel.Information, Message = "Webhook configuration {Name} of {Cluster} trusts our CA")]
    private static partial void Patched(ILogger log, string name, string cluster);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Webhook configuration {Name} of {Cluster} could not be patched: {Error}")]
    private static partial void PatchFailed(ILogger log, string name, string cluster, string error);
}
