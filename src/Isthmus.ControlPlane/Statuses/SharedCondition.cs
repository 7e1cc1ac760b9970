using System.Globalization;
using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Microsoft.Extensions.Logging;

namespace Isthmus.ControlPlane.Statuses;

/// <summary>What a control plane wants a condition to say of an object.</summary>
/// <param name="Cause">Without what changes all the time: it decides when the message is written again. Empty: there is nothing to say.</param>
internal sealed record WantedCondition(string Cause, string Message)
{
    public static readonly WantedCondition None = new("", "");
}

/// <summary>
/// A condition about something that each control plane knows only of its own proxies. Whoever has written it renews it, and removes it when it
/// is no longer true; another one leaves it alone, unless nobody has renewed it for long. Not thread-safe.
/// </summary>
/// <param name="name">Type and reason of the condition.</param>
internal sealed class SharedCondition(KubeClient client, ResourceKind kind, (string Type, string Reason) name, TimeProvider time, ILogger log)
{
    /// <summary>How often it is renewed, and since when nobody does.</summary>
    internal static readonly TimeSpan Renewal = TimeSpan.FromMinutes(5), Abandoned = TimeSpan.FromMinutes(15);

    private const string TimeFormat = "yyyy-MM-dd'T'HH:mm:ss'Z'";

    /// <param name="Wanted">What was wanted when the object was last looked at.</param>
    /// <param name="Message">What it says because of this control plane; empty: nothing.</param>
    /// <param name="Next">When to look at it again; null: not before something else is wanted.</param>
    private sealed record Known(WantedCondition Wanted, string Message, DateTimeOffset? Next);

    private readonly StatusWriter _writer = new(client, log);
    private readonly Dictionary<string, Known> _known = new(StringComparer.Ordinal);

    /// <param name="objects">Namespace and name of those that exist, with what is wanted.</param>
    /// <param name="stop">Ends it.</param>
    public async Task<NextRound> UpdateAsync(IReadOnlyDictionary<string, WantedCondition> objects, CancellationToken stop)
    {
        foreach (var gone in _known.Keys.Where(item => !objects.ContainsKey(item)).ToList()) _known.Remove(gone);
        var next = NextRound.AtChange;
        foreach (var (item, wanted) in objects)
        {
            var known = _known.GetValueOrDefault(item);
            if (known?.Wanted.Cause == wanted.Cause && !(known.Next <= time.GetUtcNow())) continue;
            var (outcome, found) = await LookAsync(item, wanted, known?.Message ?? "", stop).ConfigureAwait(false);
            if (outcome == StatusOutcome.Later) next = NextRound.Soon;
            // Without permission, the debug pages and the analysis must do meanwhile. Rights may come later, and nobody tells.
            else _known[item] = outcome == StatusOutcome.Refused ? new(wanted, known?.Message ?? "", time.GetUtcNow() + Renewal) : found;
        }
        return _known.Values.Min(known => known.Next) is { } renewal ? next.Or(NextRound.At(renewal, time.GetUtcNow())) : next;
    }

    /// <param name="item">Namespace and name.</param>
    /// <param name="wanted">What the condition is to say.</param>
    /// <param name="mine">What this control plane has written; empty: nothing.</param>
    /// <param name="stop">Ends it.</param>
    private async Task<(StatusOutcome Outcome, Known Known)> LookAsync(string item, WantedCondition wanted, string mine, CancellationToken stop)
    {
        var known = new Known(wanted, "", null);
        if (item.Split('/') is not [var ns, var own]) return (StatusOutcome.Done, known);
        var outcome = await _writer.WriteAsync(kind, ns, own, found =>
        {
            (known, var changes) = Look(found, wanted, mine);
            return changes;
        }, stop).ConfigureAwait(false);
        return (outcome, known);
    }

    private (Known Known, JsonObject? Changes) Look(JsonObject found, WantedCondition wanted, string mine)
    {
        var all = (found["status"]?["conditions"] as JsonArray ?? []).OfType<JsonObject>().ToList();
        var known = all.Find(condition => (string?)condition["type"] == name.Type);
        var now = time.GetUtcNow();
        if (known is null && wanted.Cause.Length == 0) return (new(wanted, "", null), null);
        // Another control plane says so, or did.
        if (known is not null && (string?)known["message"] != mine && Renewed(known) + Abandoned > now)
            return (new(wanted, "", Renewed(known) + Abandoned), null);
        var conditions = new JsonArray([.. all.Where(condition => condition != known).Select(condition => condition.DeepClone())]);
        if (wanted.Cause.Length > 0)
        {
            var text = now.ToString(TimeFormat, CultureInfo.InvariantCulture);
            conditions.Add((JsonNode)new JsonObject
            {
                ["type"] = name.Type, ["status"] = "False", ["reason"] = name.Reason, ["message"] = wanted.Message,
                ["lastProbeTime"] = text, ["lastTransitionTime"] = (string?)known?["lastTransitionTime"] ?? text,
            });
        }
        return (new(wanted, wanted.Message, wanted.Cause.Length > 0 ? now + Renewal : null), new() { ["conditions"] = conditions });
    }

    private static DateTimeOffset Renewed(JsonObject condition) =>
        DateTimeOffset.TryParse((string?)condition["lastProbeTime"], CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var at)
            ? at
            : DateTimeOffset.MinValue;
}
