using System.Globalization;
using System.Text.Json.Nodes;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Microsoft.Extensions.Logging;

namespace Isthmus.ControlPlane.Statuses;

/// <summary>
/// Keeps a condition in the status of each object that has a problem. Several control planes can do so: each writes about the objects that
/// it knows. Not thread-safe.
/// </summary>
/// <param name="name">Type and reason of the condition.</param>
internal sealed class ObjectCondition(KubeClient client, ResourceKind kind, (string Type, string Reason) name, TimeProvider time, ILogger log)
{
    /// <summary>As in Gateway API: whether everything that the object refers to was found.</summary>
    internal const string ResolvedRefs = "ResolvedRefs";

    /// <summary>Messages quote what is wrong, which may be long.</summary>
    private const int Longest = 4096;

    private readonly StatusWriter _writer = new(client, log);

    /// <summary>What the API server refused to say of objects.</summary>
    private readonly Refusals<(string Item, string Message)> _refused = new(time);

    /// <summary>What the status of an object says; empty: nothing.</summary>
    private readonly Dictionary<string, string> _written = new(StringComparer.Ordinal);

    /// <summary>The objects whose status says something because of this control plane.</summary>
    public IReadOnlyCollection<string> Told => [.. _written.Where(item => item.Value.Length > 0).Select(item => item.Key)];

    /// <param name="objects">Namespace and name of those that are known. The status of others stays as it is.</param>
    public async Task<NextRound> UpdateAsync(IReadOnlyCollection<string> objects, IReadOnlyCollection<Problem> problems, CancellationToken stop)
    {
        foreach (var gone in _written.Keys.Where(known => !objects.Contains(known)).ToList()) _written.Remove(gone);
        var wanted = objects.Select(item => (Item: item, Message: MessageOf(item, problems)))
            .Where(wanted => _written.GetValueOrDefault(wanted.Item) != wanted.Message).ToHashSet();
        _refused.Keep(wanted.Contains);
        var next = NextRound.AtChange;
        foreach (var (item, message) in wanted.Where(wanted => !_refused.Has(wanted)))
        {
            switch (await WriteAsync(item, message, stop).ConfigureAwait(false))
            {
                case StatusOutcome.Done:
                    _written[item] = message;
                    break;
                case StatusOutcome.Refused:
                    // Without permission, the Event and the log must do meanwhile.
                    _refused.Add((item, message));
                    break;
                default:
                    next = NextRound.Soon;
                    break;
            }
        }
        return next.Or(_refused.Next);
    }

    private string MessageOf(string item, IReadOnlyCollection<Problem> problems)
    {
        var message = string.Join("; ", problems.Where(problem => problem.Object == $"{kind.Kind} {item}")
            .Select(problem => $"{problem.Code} {problem.Path}: {problem.Message}{(problem.Remedy.Length > 0 ? $" ({problem.Remedy})" : "")}")
            .Order(StringComparer.Ordinal));
        return message.Length > Longest ? message[..Longest] + "…" : message;
    }

    private async Task<StatusOutcome> WriteAsync(string item, string message, CancellationToken stop) => item.Split('/') is not [var ns, var own]
        ? StatusOutcome.Done : await _writer.WriteAsync(kind, ns, own, found => Changes(found, message), stop).ConfigureAwait(false);

    /// <summary>An earlier control plane may have written the status, and others write other conditions.</summary>
    private JsonObject? Changes(JsonObject found, string message)
    {
        var all = (found["status"]?["conditions"] as JsonArray ?? []).OfType<JsonObject>().ToList();
        var known = all.Find(condition => (string?)condition["type"] == name.Type);
        if (message.Length == 0 ? known is null : (string?)known?["message"] == message) return null;
        var conditions = new JsonArray([.. all.Where(condition => condition != known).Select(condition => condition.DeepClone())]);
        if (message.Length > 0)
        {
            conditions.Add((JsonNode)new JsonObject
            {
                ["type"] = name.Type, ["status"] = "False", ["reason"] = name.Reason, ["message"] = message,
                ["lastTransitionTime"] = (string?)known?["lastTransitionTime"]
                    ?? time.GetUtcNow().ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture),
            });
        }
        return new() { ["conditions"] = conditions };
    }
}
