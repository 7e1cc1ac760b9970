using Isthmus.Core.Problems;
using Isthmus.Mesh.Model;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>VirtualServices that leave routes to another one, which is not there or is no delegate. Pure.</summary>
public static class RouteDelegates
{
    public static Analyzer Analyzer { get; } = new("virtualservice.DelegateAnalyzer", "Checks that the delegates of VirtualServices exist, and have no hosts",
        [OwnCodes.DelegateNotFound], ["VirtualService"], mesh => mesh.Clusters.SelectMany(Check));

    private static IEnumerable<Finding> Check(ConfigCluster config)
    {
        var all = config.Cluster.Written<VirtualService>().ToDictionary(service => new ObjectName(service.Namespace, service.Name));
        return from service in all.Values
               from route in service.Http.Index()
               where route.Item.Delegate is not null
               let name = route.Item.Delegate!.Value
               let wrong = Fault(config, all, name)
               where wrong is not null
               select OwnCodes.DelegateNotFound.At(config.Cluster, $"VirtualService {service.Namespace}/{service.Name}", $"spec.http[{route.Index}].delegate",
                   $"{wrong}, so that requests of this route go on to the next one, or get 404", Remedy(all, name));
    }

    private static string? Fault(ConfigCluster config, Dictionary<ObjectName, VirtualService> all, ObjectName name)
    {
        if (all.TryGetValue(name, out var found))
            return found.Hosts.IsEmpty ? null : $"VirtualService {name.Namespace}/{name.Name} has hosts of its own, and is no delegate";
        // One that is not valid is reported itself.
        return config.Cluster.Find($"VirtualService {name.Namespace}/{name.Name}") is null
            ? $"VirtualService {name.Namespace}/{name.Name} does not exist"
            : null;
    }

    private static string? Remedy(Dictionary<ObjectName, VirtualService> all, ObjectName name)
    {
        if (all.ContainsKey(name)) return "remove spec.hosts and spec.gateways from the delegate";
        var delegates = all.Where(pair => pair.Value.Hosts.IsEmpty).Select(pair => pair.Key).ToList();
        if (delegates.FindIndex(other => other.Name == name.Name) is >= 0 and var elsewhere)
            return $"set delegate.namespace to {delegates[elsewhere].Namespace}, or create the VirtualService";
        return delegates.FindIndex(other => other.Namespace == name.Namespace && Spelling.Distance(other.Name, name.Name) <= 2) is >= 0 and var near
            ? $"did you mean {delegates[near].Name}?" : null;
    }
}
