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
    private readonly Dictionary<(GroupResource Resource, string Key), (JsonObject Object, DateTimeOffset Until)> _admitted = [];

    public ValueTask MutateAsync(AdmissionRequest request, CancellationToken stop) => default;

    public ValueTask ValidateAsync(AdmissionRequest request, CancellationToken stop)
    {
        if (request is not { Operation: "CREATE" or "UPDATE", Subresource: "", Namespace.Length: > 0, Object: { } o }) return default;
        var quotas = Quotas(request.Namespace);
        if (quotas.Count == 0) return default;
        var resource = request.Kind.Storage;
        lock (_lock)
        {
            foreach (var quota in quotas) Check(request, quota, resource, o);
            if (request is { Operation: "CREATE", DryRun: false } && quotas.Exists(quota => quota.LimitsAny(resource)))
                _admitted[(resource, StoredObject.KeyOf(request.Namespace, request.Name))] = ((JsonObject)o.DeepClone(), time.GetUtcNow() + LongestWrite);
        }
        return default;
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
        foreach (var stored in store.List(Quota.Resource).Items)
        {
            var quota = new Quota(stored);
            Dictionary<string, BigInteger> used;
            lock (_lock) used = Used(quota);
            var status = new JsonObject
            {
                ["hard"] = Texts(quota.Hard.Keys.Select(name => KeyValuePair.Create(name, quota.LimitOf(name))), quota),
                ["used"] = Texts(used, quota),
            };
            var tree = stored.Parse();
            if (JsonNode.DeepEquals(tree["status"], status)) continue;
            tree["status"] = status;
            // One that somebody has changed has its turn in the next round.
            await store.UpdateAsync(Quota.Resource, tree, stored, stop);
        }
    }

    private static JsonObject Texts(IEnumerable<KeyValuePair<string, BigInteger>> amounts, Quota quota) =>
        new(amounts.OrderBy(item => item.Key, StringComparer.Ordinal)
            .Select(item => KeyValuePair.Create(item.Key, (JsonNode?)quota.TextOf(item.Key, item.Value))));

    private List<Quota> Quotas(string ns) => [.. store.List(Quota.Resource, ns).Items.Select(stored => new Quota(stored))];

    private void Check(AdmissionRequest request, Quota quota, GroupResource resource, JsonObject o)
    {
        if (!quota.LimitsAny(resource) || !quota.Counts(resource, o)) return;
        var names = quota.Hard.Keys.Where(name => QuotaUsage.ResourceOf(name) == resource).ToList();
        if (request.Operation == "CREATE" && resource == Resources.Pods && QuotaUsage.Unsaid(o, names) is { } unsaid)
            throw Forbidden(request, $"failed quota: {quota.Stored.Name}: must specify {unsaid}");
        var before = request.OldObject is { } old && quota.Counts(resource, old) ? QuotaUsage.Of(resource, old) : [];
        var now = QuotaUsage.Of(resource, o);
        var asked = names.Select(name => KeyValuePair.Create(name, now.GetValueOrDefault(name) - before.GetValueOrDefault(name)))
            .Where(item => item.Value > 0).ToList();
        if (asked.Count == 0) return;
        var used = Used(quota);
        var exceeded = asked.Where(item => used[item.Key] + item.Value > quota.LimitOf(item.Key)).OrderBy(item => item.Key, StringComparer.Ordinal).ToList();
        if (exceeded.Count == 0) return;
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
            var stored = store.List(resource, quota.Stored.Namespace).Items;
            var known = stored.Select(item => item.Key).ToHashSet(StringComparer.Ordinal);
            foreach (var key in known) _admitted.Remove((resource, key));
            var pending = _admitted.Where(item => item.Key.Resource == resource
                && item.Key.Key.StartsWith($"{quota.Stored.Namespace}/", StringComparison.Ordinal)).Select(item => item.Value.Object);
            foreach (var item in stored.Select(item => item.Parse()).Concat(pending).Where(item => quota.Counts(resource, item)))
                foreach (var (name, amount) in QuotaUsage.Of(resource, item))
                    if (used.TryGetValue(name, out var sum)) used[name] = sum + amount;
        }
        return used;
    }

    private static ApiException Forbidden(AdmissionRequest request, string why) =>
        ApiException.Forbidden(request.Kind.Group, request.Kind.Plural, request.Name, why);
}
