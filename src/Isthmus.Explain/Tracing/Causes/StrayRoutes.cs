using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Generate;
using Isthmus.Mesh.Model.GatewayApi;

namespace Isthmus.Explain.Tracing.Causes;

/// <summary>Routes of the Gateway API that were most likely meant for a call at a listener, and miss its Gateway or the host.</summary>
internal sealed class StrayRoutes(TraceFacts facts, CallerConfig config, EntryListener at, string host)
{
    private const string Code = "ISM2085";

    private string Owner => at.OwnerName;

    /// <summary>Null when none is near.</summary>
    public Problem? Find() => MissesOwner() ?? InOtherCluster() ?? MissesHost();

    /// <summary>A parentRef without a namespace means that of the route; a name may be mistyped.</summary>
    private Problem? MissesOwner()
    {
        foreach (var route in config.At.ApiRoutes.Where(Routes))
            foreach (var (index, parent) in route.Parents.Index())
            {
                if (!at.IsOfKind(parent) || Exists(parent)) continue;
                var path = $"spec.parentRefs[{index}]";
                if (parent.Name == at.Owner.Name)
                    return Faults.Of(Code, NameOf(route), $"{path}.namespace",
                        $"leads to namespace {parent.Namespace}{(parent.Namespace == route.Namespace ? ", that of the route," : "")} which has no {at.Kind} "
                            + $"{parent.Name}, and the call for {host} arrives at {Owner}: {at.Then}",
                        $"set {path}.namespace to {at.Owner.Namespace}{Allowing(route)}");
                if (parent.Namespace == at.Owner.Namespace && Spelling.IsMistyped(parent.Name, at.Owner.Name))
                    return Faults.Of(Code, NameOf(route), $"{path}.name",
                        $"is {parent.Name}, and no such {at.Kind} exists: the call for {host} arrives at {Owner}, and {at.Then}", $"write {at.Owner.Name}");
            }
        return null;
    }

    /// <summary>Control planes read routes of the clusters of their configuration only.</summary>
    private Problem? InOtherCluster()
    {
        foreach (var cluster in facts.Clusters.Where(other => other != config.At))
            if (cluster.ApiRoutes.FirstOrDefault(route => Routes(route) && route.Parents.Any(at.IsNamedBy)) is { } route
                && !cluster.ApiGateways.Any(other => other.Namespace == at.Gateway.Namespace && other.Name == at.Gateway.Name))
                return Faults.Of(Code, $"{route.Source.Kind} {route.Namespace}/{route.Name} in {cluster.Context}", "",
                    $"is in {cluster.Context}, and {Owner}, which it names, is not: routes count in the cluster of their Gateway, so that {at.Then}",
                    $"apply its manifest with --context={config.At.Context}, and delete it in {cluster.Context}: kubectl --context={cluster.Context} -n "
                        + $"{route.Namespace} delete {route.Source.Kind.ToLowerInvariant()} {route.Name}");
        return null;
    }

    /// <summary>The only route of the owner, or one with a host that is nearly the same, is for other hosts.</summary>
    private Problem? MissesHost()
    {
        var own = config.At.ApiRoutes.Where(route => at.Fits(route.Source.Kind) && route.Parents.Any(at.IsNamedBy) && !route.Hostnames.IsEmpty).ToList();
        var near = own.Find(route => route.Hostnames.Any(name => Spelling.IsMistyped(name, host))) ?? (own.Count == 1 ? own[0] : null);
        return near is null ? null : Faults.Of(Code, NameOf(near), "spec.hostnames",
            $"has {string.Join(", ", near.Hostnames)}, and not {host}, for which {Owner} takes the call: {at.Then}", $"add {host}, or call a host that it has");
    }

    private bool Routes(ApiRoute route) => at.Fits(route.Source.Kind)
        && (route.Hostnames.IsEmpty || route.Hostnames.Any(name => Hosts.Covers(name, host)));

    private bool Exists(ApiReference parent) => parent.Kind == MeshApi.ListenerSet.Kind
        ? config.At.ListenerSets.Any(other => other.Namespace == parent.Namespace && other.Name == parent.Name)
        : config.At.ApiGateways.Any(other => other.Namespace == parent.Namespace && other.Name == parent.Name);

    /// <summary>The listener may take routes of its own namespace only.</summary>
    private string Allowing(ApiRoute route) => route.Namespace == at.Owner.Namespace
        || at.Listener.Routes.Namespaces.From is NamespacesFrom.All or NamespacesFrom.Selector ? ""
        : $", and let a listener of the {at.Kind} take routes of namespace {route.Namespace}: allowedRoutes.namespaces.from: All";

    private string NameOf(ApiRoute route) => $"{route.Source.Kind} {route.Namespace}/{route.Name} in {config.At.Context}";
}
