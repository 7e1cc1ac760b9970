using System.Text.Json.Nodes;
using Isthmus.Core.Collections;
using Isthmus.Kubernetes.Objects;
using Isthmus.Lab.ApiServer.Hosting;
using Isthmus.Lab.ApiServer.Objects;
using Isthmus.Lab.ApiServer.Storage;
using Isthmus.Lab.ApiServer.Values;

namespace Isthmus.Lab.ApiServer.Auth;

/// <summary>Keeps the rules of ClusterRoles that have an <c>aggregationRule</c> equal to the union of the roles that it selects.</summary>
internal sealed class RoleAggregation(IObjectStore store) : IServerTask
{
    public async Task RunAsync(CancellationToken stop)
    {
        while (!stop.IsCancellationRequested)
        {
            try
            {
                await FollowAsync(stop);
            }
            catch (CompactedException)
            {
                // Fell behind the kept changes: begin again from the current list.
            }
        }
    }

    /// <summary>Passes over all roles until nothing changes: aggregated roles may be parts of others.</summary>
    public async Task ReconcileAsync(CancellationToken stop)
    {
        while (await PassAsync(stop))
        {
            // What was written may be part of what was looked at before.
        }
    }

    private async Task<bool> PassAsync(CancellationToken stop)
    {
        var changed = false;
        var all = store.List(Resources.ClusterRoles).Items.Select(stored => (stored.Name, stored.Labels, Tree: stored.Parse())).ToList();
        foreach (var role in all.Where(role => role.Tree["aggregationRule"] is JsonObject))
        {
            var selectors = Json.Objects(role.Tree.At("aggregationRule", "clusterRoleSelectors")).Select(LabelSelector.Read).ToList();
            var rules = all
                .Where(part => part.Name != role.Name && selectors.Any(selector => selector!.Matches(part.Labels)))
                .OrderBy(part => part.Name, StringComparer.Ordinal)
                .SelectMany(part => PolicyRule.ListFromJson(part.Tree["rules"]))
                .Distinct()
                .ToValueList();
            if (rules == PolicyRule.ListFromJson(role.Tree["rules"])) continue;
            await store.ChangeAsync(Resources.ClusterRoles, "", role.Name, tree => SetRules(tree, rules), stop);
            changed = true;
        }
        return changed;
    }

    private async Task FollowAsync(CancellationToken stop)
    {
        var watch = store.Watch(Resources.ClusterRoles, store.Revision);
        while (true)
        {
            await ReconcileAsync(stop);
            await watch.WaitAsync(stop);
            while (watch.TryRead(out _))
            {
                // Each pass looks at everything: changes only say that another is due.
            }
        }
    }

    private static bool SetRules(JsonObject role, ValueList<PolicyRule> rules)
    {
        role["rules"] = new JsonArray([.. rules.Select(rule => rule.ToJson())]);
        return true;
    }
}
