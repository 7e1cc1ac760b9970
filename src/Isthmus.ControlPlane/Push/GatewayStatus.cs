using System.Globalization;
using System.Text.Json.Nodes;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Client;
using Microsoft.Extensions.Logging;

namespace Isthmus.ControlPlane.Push;

/// <summary>
/// Keeps a condition in the status of each Gateway whose certificate is missing. Several control planes can do so: each writes about
/// the Gateways that its own proxies serve. Not thread-safe.
/// </summary>
internal sealed partial class GatewayStatus(KubeClient client, TimeProvider time, ILogger log)
{
    /// <summary>As in Gateway API: whether everything that the object refers to was found.</summary>
    private const string Condition = "ResolvedRefs";

    /// <summary>What the status of a Gateway says; empty: nothing.</summary>
    private readonly Dictionary<string, string> _written = new(StringComparer.Ordinal);

    /// <param name="gateways">Namespace and name of those that connected proxies serve. The status of others stays as it is.</param>
    public async Task UpdateAsync(IReadOnlyCollection<string> gateways, IReadOnlyCollection<Problem> problems, CancellationToken stop)
    {
        foreach (var gone in _written.Keys.Where(name => !gateways.Contains(name)).ToList()) _written.Remove(gone);
        foreach (var name in gateways)
        {
            var message = string.Join("; ", problems.Where(problem => problem.Object == $"Gateway {name}")
                .Select(problem => $"{problem.Code} {problem.Path}: {problem.Message} ({problem.Remedy})").Order(StringComparer.Ordinal));
            if (_written.GetValueOrDefault(name) == message) continue;
            try
            {
                await WriteAsync(name, message, stop).ConfigureAwait(false);
                _written[name] = message;
            }
            catch (KubeException e) when (e is { IsConflict: false, IsBusy: false })
            {
                // Without permission, the Event and the log must do.
                NotWritten(log, name, e.Message);
                _written[name] = message;
            }
            catch (Exception e) when (ApiTrouble.Is(e, stop))
            {
                // The next round tries again.
            }
        }
    }

    private async Task WriteAsync(string gateway, string message, CancellationToken stop)
    {
        if (gateway.Split('/') is not [var ns, var name]) return;
        // An earlier control plane may have written the status, and others write other conditions.
        if (await client.FindAsync(GatewayEvents.Gateway, ns, name, stop).ConfigureAwait(false) is not { } found) return;
        var all = (found["status"]?["conditions"] as JsonArray ?? []).OfType<JsonObject>().ToList();
        var known = all.Find(condition => (string?)condition["type"] == Condition);
        if (message.Length == 0 ? known is null : (string?)known?["message"] == message) return;
        var conditions = new JsonArray([.. all.Where(condition => condition != known).Select(condition => condition.DeepClone())]);
        if (message.Length > 0)
        {
            conditions.Add((JsonNode)new JsonObject
            {
                ["type"] = Condition, ["status"] = "False", ["reason"] = "InvalidCertificateRef", ["message"] = message,
                ["lastTransitionTime"] = (string?)known?["lastTransitionTime"] ?? time.GetUtcNow().ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture),
            });
        }
        var patch = new JsonObject
        {
            ["metadata"] = new JsonObject { ["resourceVersion"] = found["metadata"]!["resourceVersion"]!.DeepClone() },
            ["status"] = new JsonObject { ["conditions"] = conditions },
        };
        await client.PatchAsync(GatewayEvents.Gateway, ns, name, patch, PatchType.Merge, stop, "status").ConfigureAwait(false);
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "The status of Gateway {Gateway} is not written: {Reason}")]
    private static partial void NotWritten(ILogger log, string gateway, string reason);
}
