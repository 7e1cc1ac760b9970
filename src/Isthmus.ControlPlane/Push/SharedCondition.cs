using System.Globalization;
using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Microsoft.Extensions.Logging;

namespace Isthmus.ControlPlane.Push;

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
internal sealed partial class SharedCondition(KubeClient client, ResourceKind kind, (string Type, string Reason) name, TimeProvider time, ILogger log)
{
    /// <summary>How often it is renewed, and since when nobody does.</summary>
    internal static readonly TimeSpan Renewal = TimeSpan.FromMinutes(5), Abandoned = TimeSpan.FromMinutes(15);

    private const string TimeFormat = "yyyy-MM-dd'T'HH:mm:ss'Z'";

    /// <param name="Wanted">What was wanted when the object was last looked at.</param>
    /// <param name="Message">What it says because of this control plane; empty: nothing.</param>
    /// <param name="Next">When to look at it again; null: not before something else is wanted.</param>
    private sealed record Known(WantedCondition Wanted, string Message, DateTimeOffset? Next);

    private readonly Dictionary<string, Known> _known = new(StringComparer.Ordinal);

    /// <param name="objects">Namespace and name of those that exist, with what is wanted.</param>
    /// <param name="stop">Ends it.</param>
    /// <returns>Whether all of it is written.</returns>
    public async Task<bool> UpdateAsync(IReadOnlyDictionary<string, WantedCondition> objects, CancellationToken stop)
    {
        foreach (var gone in _known.Keys.Where(item => !objects.ContainsKey(item)).ToList()) _known.Remove(gone);
        var isComplete = true;
        foreach (var (item, wanted) in objects)
        {
            var known = _known.GetValueOrDefault(item);
            if (known?.Wanted.Cause == wanted.Cause && !(known.Next <= time.GetUtcNow())) continue;
            try
            {
                _known[item] = await LookAsync(item, wanted, known?.Message ?? "", stop).ConfigureAwait(false);
            }
            catch (KubeException e) when (e is { IsConflict: false, IsBusy: false })
            {
                // Without permission, the debug pages and the analysis must do.
                NotWritten(log, kind.Kind, item, e.Message);
                _known[item] = new(wanted, "", null);
            }
            catch (Exception e) when (ApiTrouble.Is(e, stop))
            {
                isComplete = false;
            }
        }
        return isComplete;
    }

    /// <param name="item">Namespace and name.</param>
    /// <param name="wanted">What it shall say.</param>
    /// <param name="mine">What this control plane has written; empty: nothing.</param>
    /// <param name="stop">Ends it.</param>
    private async Task<Known> LookAsync(string item, WantedCondition wanted, string mine, CancellationToken stop)
    {
        if (item.Split('/') is not [var ns, var own] || await client.FindAsync(kind, ns, own, stop).ConfigureAwait(false) is not { } found)
            return new(wanted, "", null);
        var all = (found["status"]?["conditions"] as JsonArray ?? []).OfType<JsonObject>().ToList();
        var known = all.Find(condition => (string?)condition["type"] == name.Type);
        var now = time.GetUtcNow();
        if (known is null && wanted.Cause.Length == 0) return new(wanted, "", null);
        // Another control plane says so, or did.
        if (known is not null && (string?)known["message"] != mine && Renewed(known) + Abandoned > now) return new(wanted, "", Renewed(known) + Abandoned);
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
        var patch = new JsonObject
        {
            ["metadata"] = new JsonObject { ["resourceVersion"] = found["metadata"]!["resourceVersion"]!.DeepClone() },
            ["status"] = new JsonObject { ["conditions"] = conditions },
        };
        await client.PatchAsync(kind, ns, own, patch, PatchType.Merge, stop, "status").ConfigureAwait(false);
        return new(wanted, wanted.Message, wanted.Cause.Length > 0 ? now + Renewal : null);
    }

    private static DateTimeOffset Renewed(JsonObject condition) =>
        DateTimeOffset.TryParse((string?)condition["lastProbeTime"], CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var at)
            ? at
            : DateTimeOffset.MinValue;

    [LoggerMessage(Level = LogLevel.Warning, Message = "The status of {Kind} {Name} is not written: {Reason}")]
    private static partial void NotWritten(ILogger log, string kind, string name, string reason);
}
