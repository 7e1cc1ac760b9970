using Isthmus.Mesh.Generate;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Resolve;

namespace Isthmus.ControlPlane.Push;

/// <summary>The hosts that changed DestinationRules may be for.</summary>
internal static class RuledHosts
{
    public static IReadOnlySet<string> Of(MeshView mesh, IReadOnlyCollection<RuleKey> rules)
    {
        var found = new HashSet<string>(StringComparer.Ordinal);
        if (rules.Count == 0) return found;
        var names = rules.Select(rule => rule.Host).Where(host => !host.StartsWith('*')).ToHashSet(StringComparer.Ordinal);
        var wildcards = rules.Select(rule => rule.Host).Where(host => host.StartsWith('*')).Distinct().ToList();
        bool Names(string host) => names.Contains(host) || wildcards.Exists(wildcard => Hosts.Covers(wildcard, host));
        foreach (var (host, service) in mesh.Registry.Services)
        {
            // As MeshView.RuleFor looks: a Pod also follows its headless host, and an export its own Service.
            if (Names(host) || (service.ExportOf.Length > 0 && Names(service.ExportOf))
                || (service.Pod is { } pod && (Names(pod.PlainName) || Names(pod.Hostname)))) found.Add(host);
        }
        return found;
    }
}
