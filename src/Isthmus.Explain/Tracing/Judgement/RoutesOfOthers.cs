using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Explain.Tracing.Reading;
using Isthmus.Mesh.Generate;
using Isthmus.Mesh.Model;

namespace Isthmus.Explain.Tracing.Judgement;

/// <summary>The application does not know the path, and a route for its host, which may have been meant to change it, is for callers of other namespaces, or
/// of another cluster, or does not have the whole name of the host.</summary>
internal static class RoutesOfOthers
{
    public const string Code = "ISM2120";

    public static CallTrace Tell(CallTrace trace, MadeCall call, TraceFacts facts) => facts.Entry is not null ? trace
        : UnknownPath.Tell(trace, call, hop => UnknownPath.IsDefault(hop) && facts.Host(facts.Target.Host, facts.Client.Namespace) is { } host
            ? Exported(facts, host) ?? OfConsumers(facts, host) ?? Shortened(facts, host) ?? Elsewhere(facts, host) : null);

    /// <summary>A VirtualService that is not exported to the caller's namespace.</summary>
    private static Problem? Exported(TraceFacts facts, MeshHost host)
    {
        var config = new CallerConfig(facts);
        var path = facts.Target.Path.Length > 0 ? facts.Target.Path : "/";
        if (config.At.Istio<VirtualService>().FirstOrDefault(one => one.ForSidecars && one.Hosts.Any(name => Hosts.Covers(name, host.Fqdn)) && !config.Sees(one)
            && one.Http.Any(rule => CallJudgement.WouldChange(rule, path))) is not { } hidden) return null;
        var (name, own, isTold) = ($"VirtualService {hidden.Namespace}/{hidden.Name} in {config.At.Context}", facts.Client.Namespace, !hidden.ExportTo.IsEmpty);
        var to = isTold ? hidden.ExportTo : facts.Settings.Mesh.DefaultVirtualServiceExportTo;
        return Faults.Of(Code, isTold ? name : facts.MeshConfigOf(facts.Home), isTold ? "spec.exportTo" : TraceFacts.MeshField("defaultVirtualServiceExportTo"),
            $"is {string.Join(", ", to)}, so that {(isTold ? "it" : name)} is not exported to namespace {own}, this call is not subject to it, "
                + "and the answer is 404",
            isTold ? $"add {own} to it, if callers there should be subject to the rule"
                : $"set exportTo: ['*'] in {name}; or remove defaultVirtualServiceExportTo");
    }

    /// <summary>A route in a cluster with a control plane of its own, which the caller's does not read.</summary>
    private static Problem? Elsewhere(TraceFacts facts, MeshHost host)
    {
        var own = facts.ConfigOf(facts.Home);
        if (NamesIn(own).Any()) return null;
        foreach (var other in facts.Clusters.Select(facts.ConfigOf).Distinct().Where(other => other != own))
        {
            if (NamesIn(other).FirstOrDefault() is not { } name) continue;
            return Faults.Of(Code, $"{name} in {other.Context}", "", $"exists in {other.Context} only, and callers in {facts.Home.Context} follow the "
                + $"objects in {own.Context}: this call is not subject to it, and the answer is 404", $"apply it in {own.Context} as well");
        }
        return null;

        IEnumerable<string> NamesIn(ClusterObjects config)
        {
            var path = facts.Target.Path.Length > 0 ? facts.Target.Path : "/";
            return config.Istio<VirtualService>().Where(routes => routes.ForSidecars && routes.Hosts.Any(name => Hosts.Covers(name, host.Fqdn))
                    && Visibility.Allows(routes.ExportTo, routes.Namespace, facts.Client.Namespace)
                    && routes.Http.Any(rule => CallJudgement.WouldChange(rule, path)))
                .Select(routes => $"VirtualService {routes.Namespace}/{routes.Name}")
                .Concat(config.ApiRoutes.Where(route => route.Rules.Any(rule => CallJudgement.WouldChange(rule, path)) && route.Parents.Any(parent =>
                        parent is { Kind: "Service", Group: "" } && parent.Name == host.Name && parent.Namespace == host.Namespace))
                    .Select(route => $"{route.Source.Kind} {route.Namespace}/{route.Name}"));
        }
    }

    /// <summary>A VirtualService for a name of which the end is left out, as only callers may: it is for no host of the mesh.</summary>
    private static Problem? Shortened(TraceFacts facts, MeshHost host)
    {
        var config = new CallerConfig(facts);
        var path = facts.Target.Path.Length > 0 ? facts.Target.Path : "/";
        foreach (var service in config.At.Istio<VirtualService>().Where(one => one.ForSidecars
            && one.Http.Any(rule => CallJudgement.WouldChange(rule, path))))
        {
            var index = service.Hosts.ToList().FindIndex(name => name != host.Fqdn && name.Contains('.', StringComparison.Ordinal)
                && host.Services.Count > 0 && facts.Host(name)?.Fqdn == host.Fqdn);
            if (index < 0) continue;
            return Faults.Of("ISM2146", $"VirtualService {service.Namespace}/{service.Name} in {config.At.Context}", $"spec.hosts[{index}]",
                $"is {service.Hosts[index]}, which is not a host of the mesh: a name with a dot is taken as it is written, this call is not subject to it, "
                    + "and the answer is 404",
                $"write {host.Fqdn}");
        }
        return null;
    }

    /// <summary>A route of the Gateway API in a namespace that is neither that of the Service nor the caller's.</summary>
    private static Problem? OfConsumers(TraceFacts facts, MeshHost host)
    {
        var config = facts.ConfigOf(facts.Home);
        var path = facts.Target.Path.Length > 0 ? facts.Target.Path : "/";
        foreach (var route in config.ApiRoutes.Where(route => route.Namespace != host.Namespace && route.Namespace != facts.Client.Namespace
            && route.Rules.Any(rule => CallJudgement.WouldChange(rule, path))))
        {
            var index = route.Parents.ToList().FindIndex(parent => parent is { Kind: "Service", Group: "" } && parent.Name == host.Name
                && parent.Namespace == host.Namespace);
            if (index < 0) continue;
            return Faults.Of(Code, $"{route.Source.Kind} {route.Namespace}/{route.Name} in {config.Context}", "metadata.namespace",
                $"is {route.Namespace}, and its parent, Service {host.Namespace}/{host.Name}, is in {host.Namespace}: it applies to callers in "
                    + $"{route.Namespace} only, this call is not subject to it, and the answer is 404",
                $"if all callers should be subject to it, create it in namespace {host.Namespace}; if those of {facts.Client.Namespace}, in that");
        }
        return null;
    }
}
