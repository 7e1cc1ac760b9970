using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Mesh.Model;

namespace Isthmus.Explain.Tracing.Causes;

/// <summary>A name that nothing has: what was most likely meant.</summary>
internal sealed class UnknownNames(TraceFacts facts, CallerConfig config)
{
    private const string Unknown = "ISM2010";

    /// <param name="wanted">The name.</param>
    /// <param name="isRoute">Whether a route names it, which must be a full name there.</param>
    public Problem Of(string @object, string path, string wanted, string message, bool isRoute)
    {
        if (OfWorkload(wanted) is var (workload, services))
            return Faults.Of(Unknown, @object, path, $"{message}; {workload} has it, and only Services have names",
                services.Count > 0 ? Meant([.. services.Select(name => Written(name, isRoute))], isRoute) : "create a Service that selects its Pods");
        if (config.At.Istio<ServiceEntry>().FirstOrDefault(entry => entry.Hosts.Contains($"*.{wanted}")) is { } entry)
            return Faults.Of(Unknown, @object, path,
                $"{message}; ServiceEntry {entry.Namespace}/{entry.Name} in {config.At.Context} has *.{wanted}, "
                    + "which covers names below it, and not the name itself",
                $"add {wanted} to its hosts");
        var domain = wanted.Split('.', 4) is [_, _, "svc", var given] && given is not (WellKnown.DefaultDomainSuffix or "clusterset.local")
            ? $"; names of Services end in .svc.{WellKnown.DefaultDomainSuffix}, of whichever cluster they are" : "";
        var near = Nearest(wanted).Select(name => Written(name, isRoute)).ToList();
        return Faults.Of(Unknown, @object, path, message + domain,
            near.Count == 0 ? "create the Service, or a ServiceEntry for a host outside" : Meant(near, isRoute));
    }

    private static string Meant(IReadOnlyList<string> names, bool isRoute) =>
        isRoute ? $"write {string.Join(" or ", names)}, if that is meant" : $"did you mean {string.Join(" or ", names)}?";

    private static string Written(string name, bool isRoute) => isRoute ? $"{name}.svc.{WellKnown.DefaultDomainSuffix}" : name;

    private (string Name, string Namespace) Parts(string wanted) =>
        wanted.Split('.') is [var name, var ns, ..] ? (name, ns) : (wanted, facts.Client.Namespace);

    /// <summary>The Deployment with the name, and the Services that select its Pods; null where there is none.</summary>
    private (string Workload, IReadOnlyList<string> Services)? OfWorkload(string wanted)
    {
        var (name, ns) = Parts(wanted);
        if (facts.Clusters.Any(cluster => cluster.Service(ns, name) is not null)) return null;
        foreach (var cluster in facts.Clusters)
        {
            if (cluster.Deployments.FirstOrDefault(one => one.Metadata.Namespace == ns && one.Metadata.Name == name) is not { } deployment) continue;
            var labels = deployment.Spec.TemplateLabels;
            return ($"Deployment {ns}/{name} in {cluster.Context}", [.. cluster.Services.Where(service => service.Metadata.Namespace == ns
                && service.Spec.Selector.Count > 0 && service.Spec.Selector.All(wants => labels.GetValueOrDefault(wants.Key) == wants.Value))
                .Select(service => $"{service.Metadata.Name}.{ns}").Order(StringComparer.Ordinal)]);
        }
        return null;
    }

    /// <summary>Services with similar names: the same name in another namespace first, then names that differ in few letters.</summary>
    private IEnumerable<string> Nearest(string wanted)
    {
        var (name, ns) = Parts(wanted);
        return facts.Clusters.SelectMany(cluster => cluster.Services).Select(service => (service.Metadata.Name, service.Metadata.Namespace)).Distinct()
            .Select(service => (service, Distance: service.Name == name ? 0.5 : Spelling.Distance(service.Name, name) + (service.Namespace == ns ? 0 : 1)))
            .Where(candidate => candidate.Distance <= Math.Max(1, Math.Min(3, name.Length / 3)))
            .OrderBy(candidate => candidate.Distance).ThenBy(candidate => candidate.service.Name, StringComparer.Ordinal).Take(2)
            .Select(candidate => $"{candidate.service.Name}.{candidate.service.Namespace}");
    }
}
