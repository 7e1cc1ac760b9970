using System.Text.Json.Nodes;
using Isthmus.Core.Collections;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Model.GatewayApi;

namespace Isthmus.Mesh.Config.GatewayApi;

/// <summary>Reads XBackendTrafficPolicies.</summary>
public static class BackendTrafficPolicyReader
{
    /// <summary>As the definition says.</summary>
    private const int Percent = 20, LeastRetries = 10;

    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(10);

    public static BackendTrafficPolicy Read(string cluster, JsonObject policy)
    {
        var item = ApiItem.Of(MeshApi.BackendTrafficPolicy, cluster, policy);
        var (retry, targets) = (item.Spec["retryConstraint"], item.Spec["targetRefs"]);
        var findings = new Findings("");
        var session = SessionReader.Read(
            item.Spec["sessionPersistence"] with { Findings = findings }, $"{item.Source.Kind}/{item.Namespace}/{item.Source.Name}");
        // Half of what somebody asks for would look like all of it.
        var fault = ApiFilterReader.FaultsOf(findings).FirstOrDefault();
        return new(item.Source, targets.Items.Select(target => References.Read(target, "", "", item.Namespace)).ToValueList(),
            retry.Exists && fault is null ? Budget(retry) : null, item.Generation, item.CreatedAt)
        {
            Session = fault is null ? session : null,
            Fault = fault is null ? null : new("Invalid", $"{fault.Message}; nothing of the policy applies"),
        };
    }

    private static RetryBudget Budget(Field retry)
    {
        var (budget, least) = (retry["budget"], retry["minRetryRate"]);
        var seconds = least["interval"].Duration() is { Ticks: > 0 } given ? given.TotalSeconds : 1;
        return new(Math.Clamp(budget["percent"].Int ?? Percent, 0, 100), (uint)Math.Max(1, Math.Ceiling((least["count"].Int ?? LeastRetries) / seconds)))
        {
            Interval = budget["interval"].Duration() ?? Interval,
        };
    }
}
