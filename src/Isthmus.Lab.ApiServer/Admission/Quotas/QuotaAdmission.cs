using System.Numerics;
using System.Text.Json.Nodes;
using Isthmus.Lab.ApiServer.Errors;
using Isthmus.Lab.ApiServer.Hosting;
using Isthmus.Lab.ApiServer.Objects;
using Isthmus.Lab.ApiServer.Storage;
using Isthmus.Lab.ApiServer.Values;

namespace Isthmus.Lab.ApiServer.Admission.Quotas;

/// <summary>
/// Refuses what would use more than a ResourceQuota allows, and writes into the status of quotas what is used. All is counted from the store; what was
/// admitted and is not stored yet counts, too.
/// </summary>
internal sealed class QuotaAdmission(IObjectStore store, TimeProvider time) : IAdmissionPlugin, IServerTask
{
    /// <summary>A write that has not been stored by then has failed.</summary>
    private static readonly TimeSpan LongestWrite = TimeSpan.FromSeconds(10);

    private static readonly TimeSpan Period = TimeSpan.FromSeconds(1);

    private readonly Lock _lock = new(); // guards _admitted, and the step from counting to admitting
    private readonly Dictionary<(GroupResource Resource, string Key), Admitted> _admitted = [];

    /// <summary>An object that was admitted.</summary>
    /// <param name="Before">The version that it replaces; empty for a new object.</param>
    private readonly record struct Admitted(JsonObject Object, string Before, DateTimeOffset Until);

    public ValueTask MutateAsync(AdmissionRequest request, CancellationToken stop) => default;

    public async ValueTask ValidateAsync(AdmissionRequest request, CancellationToken stop)
    {
        if (request is not { Operation: "CREATE" or "UPDATE", Subresource: "", Namespace.Length: > 0, Object: { } o }) return;
        var quotas = Quotas(request.Namespace);
        var resource = request.Kind.Storage;
        quotas.RemoveAll(quota => !quota.LimitsAny(resource));
        if (quotas.Count == 0) return;
        List<Quota> taken;
        lock (_lock)
        {
            taken = quotas.FindAll(quota => Takes(request, quota, resource, o));
            if (taken.Count == 0 || request.DryRun) return;
            _admitted[(resource, StoredObject.KeyOf(request.Namespace, request.Name))] =
                new((JsonObject)o.DeepClone(), request.OldObject.TextAt("metadata", "resourceVersion"), time.GetUtcNow() + LongestWrite);
        }
        foreach (var quota in taken) await UpdateAsync(quota, stop);
    }

    public async Task RunAsync(CancellationToken stop)
    {
        using var timer = new PeriodicTimer(Period, time);
        var seen = -1L;
        while (await timer.WaitForNextTickAsync(stop))
        {
            if (store.Revision == seen) continue;
            seen = store.Revision;
            await UpdateAsync(stop);
        }
    }

    /// <summary>Writes the statuses of all quotas that do not say what is used.</summary>
    internal async Task UpdateAsync(CancellationToken stop)
    {
        foreach (var stored in store.List(Quota.Resource).Items) await UpdateAsync(new Quota(stored), stop);
    }

    private async Task UpdateAsync(Quota quota, CancellationToken stop)
    {
        Dictionary<string, BigInteger> used;
        lock (_lock) used = Used(quota);
        var status = new JsonObject
        {
            ["hard"] = Texts(quota.Hard.Keys.Select(name => KeyValuePair.Create(name, quota.LimitOf(name))), quota),
            ["used"] = Texts(used, quota),
        };
        var tree = quota.Stored.Parse();
        if (JsonNode.DeepEquals(tree["status"], status)) return;
        tree["status"] = status;
        // If somebody has changed it meanwhile, the next round takes it.
        await store.UpdateAsync(Quota.Resource, tree, quota.Stored, stop);
    }

    private static JsonObject Texts(IEnumerable<KeyValuePair<string, BigInteger>> amounts, Quota quota) =>
        new(amounts.OrderBy(item => item.Key, StringComparer.Ordinal)
            .Select(item => KeyValuePair.Create(item.Key, (JsonNode?)quota.TextOf(item.Key, item.Value))));

    private List<Quota> Quotas(string ns) => [.. store.List(Quota.Resource, ns).Items.Select(stored => new Quota(stored))];

    /// <summary>Whether the object takes more of a quota than before.</summary>
    /// <exception cref="ApiException">It is more than is left.</exception>
    private bool Takes(AdmissionRequest request, Quota quota, GroupResource resource, JsonObject o)
    {
        if (!quota.Counts(resource, o)) return false;
        var names = quota.Hard.Keys.Where(name => QuotaUsage.ResourceOf(name) == resource).ToList();
        if (request.Operation == "CREATE" && resource == Resources.Pods && QuotaUsage.Unsaid(o, names) is { } unsaid)
            throw Forbidden(request, $"failed quota: {quota.Stored.Name}: must specify {unsaid}");
        var before = request.OldObject is { } old && quota.Counts(resource, old) ? QuotaUsage.Of(resource, old) : [];
        var now = QuotaUsage.Of(resource, o);
        var asked = names.Select(name => KeyValuePair.Create(name, now.GetValueOrDefault(name) - before.GetValueOrDefault(name)))
            .Where(item => item.Value > 0).ToList();
        if (asked.Count == 0) return false;
        var used = Used(quota);
        var exceeded = asked.Where(item => used[item.Key] + item.Value > quota.LimitOf(item.Key)).OrderBy(item => item.Key, StringComparer.Ordinal).ToList();
        if (exceeded.Count == 0) return true;
        throw Forbidden(request, $"exceeded quota: {quota.Stored.Name}, requested: {List(exceeded)}, "
            + $"used: {List(exceeded.Select(item => KeyValuePair.Create(item.Key, used[item.Key])))}, "
            + $"limited: {List(exceeded.Select(item => KeyValuePair.Create(item.Key, quota.LimitOf(item.Key))))}");

        string List(IEnumerable<KeyValuePair<string, BigInteger>> amounts) =>
            string.Join(',', amounts.Select(item => $"{item.Key}={quota.TextOf(item.Key, item.Value)}"));
    }

    /// <summary>What the objects of a namespace use of what a quota limits.</summary>
    private Dictionary<string, BigInteger> Used(Quota quota)
    {
        var used = quota.Hard.Keys.ToDictionary(name => name, _ => BigInteger.Zero, StringComparer.Ordinal);
        var now = time.GetUtcNow();
        foreach (var (key, admitted) in _admitted.ToList())
            if (admitted.Until < now) _admitted.Remove(key);
        foreach (var resource in used.Keys.Select(QuotaUsage.ResourceOf).Distinct().ToList())
        {
            var stored = store.List(resource, quota.Stored.Namespace).Items.ToDictionary(item => item.Key, item => item.Parse(), StringComparer.Ordinal);
            var pending = new Dictionary<string, JsonObject>(StringComparer.Ordinal);
            foreach (var (key, admitted) in _admitted.Where(item => item.Key.Resource == resource
                && item.Key.Key.StartsWith($"{quota.Stored.Namespace}/", StringComparison.Ordinal)).ToList())
            {
                // The version that it replaces is gone: either it is stored itself now, or another write came first.
                if (stored.GetValueOrDefault(key.Key).TextAt("metadata", "resourceVersion") != admitted.Before) _admitted.Remove(key);
                else pending[key.Key] = admitted.Object;
            }
            foreach (var key in stored.Keys.Union(pending.Keys))
                foreach (var (name, amount) in Greater(Of(stored.GetValueOrDefault(key)), Of(pending.GetValueOrDefault(key))))
                    if (used.TryGetValue(name, out var sum)) used[name] = sum + amount;

            Dictionary<string, BigInteger> Of(JsonObject? o) => o is not null && quota.Counts(resource, o) ? QuotaUsage.Of(resource, o) : [];
        }
        return used;
    }

    /// <summary>An update may fail, so that what is stored counts until it is replaced.</summary>
    private static Dictionary<string, BigInteger> Greater(Dictionary<string, BigInteger> stored, Dictionary<string, BigInteger> pending)
    {
        foreach (var (name, amount) in pending) stored[name] = BigInteger.Max(stored.GetValueOrDefault(name), amount);
        return stored;
    }

    private static ApiException Forbidden(AdmissionRequest request, string why) =>
        ApiException.Forbidden(request.Kind.Group, request.Kind.Plural, request.Name, why);
}
