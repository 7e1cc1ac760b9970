using System.Text.RegularExpressions;
using Isthmus.Core.Collections;
using Isthmus.Core.Names;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Generate;
using Isthmus.Mesh.Model;
using Isthmus.Operate.Diagnose.History;

namespace Isthmus.Explain.Tracing.Judgement;

/// <summary>What a call comes to: the objects that its trace names, the hosts that it is for and is routed to, and the workloads behind them.</summary>
internal sealed partial class CallPath
{
    private readonly HashSet<(string Kind, string Namespace, string Name)> _objects;
    private readonly HashSet<string> _hosts = new(StringComparer.Ordinal);
    private readonly List<(string Namespace, ValueMap<string> Labels)> _workloads = [], _selectors = [];
    private readonly string _rootNamespace;

    internal CallPath(CallTrace trace, TraceFacts facts)
    {
        _objects = [.. trace.Hops.SelectMany(Objects), .. trace.Ways.SelectMany(way => In(way.Title))];
        _rootNamespace = facts.RootNamespace;
        _hosts.Add(facts.Host(facts.Target.Host, facts.Client.Namespace)?.Fqdn ?? facts.Target.Host);
        foreach (var word in trace.Hops.SelectMany(hop => hop.Summary.Split(' ')))
            if (ResourceNames.TryParseOutbound(word.TrimEnd(':', ',', ';'), out _, out _, out var host, out _)) _hosts.Add(host);
        foreach (var (kind, ns, name) in _objects)
            if (kind == MeshApi.Service.Name) _hosts.Add(HostOf(name, ns));
        // What a route leaves to another VirtualService is written there, which has no hosts of its own.
        foreach (var cluster in facts.Clusters)
            foreach (var root in cluster.Istio<VirtualService>().Where(root => root.Hosts.Any(IsTo)
                || _objects.Contains((MeshApi.VirtualService.Name, root.Namespace, root.Name))))
                foreach (var route in root.Http)
                    if (route.Delegate is { } left) _objects.Add((MeshApi.VirtualService.Name, left.Namespace, left.Name));
        foreach (var cluster in facts.Clusters)
        {
            foreach (var service in cluster.Services.Where(one => _hosts.Contains(HostOf(one.Metadata.Name, one.Metadata.Namespace))))
            {
                _selectors.Add((service.Metadata.Namespace, service.Spec.Selector.ToValueMap()));
                _workloads.AddRange(cluster.Behind(service).Select(pod => (pod.Metadata.Namespace, pod.Metadata.Labels.ToValueMap())));
            }
            _selectors.AddRange(cluster.Istio<ServiceEntry>().Where(entry => entry.Hosts.Any(_hosts.Contains) && entry.WorkloadSelector.Count > 0)
                .Select(entry => (entry.Namespace, entry.WorkloadSelector)));
            _workloads.AddRange(cluster.Pods.Where(pod => (pod.Metadata.Namespace == facts.Client.Namespace && pod.Metadata.Name == facts.Client.Name)
                || _objects.Contains(("Pod", pod.Metadata.Namespace, pod.Metadata.Name)))
                .Select(pod => (pod.Metadata.Namespace, pod.Metadata.Labels.ToValueMap())));
        }
        // A host without endpoints still stands for the workloads that it selects.
        _workloads.AddRange(_selectors);
    }

    /// <summary>Those of the workloads that it comes to.</summary>
    internal IEnumerable<string> Namespaces => _workloads.Select(one => one.Namespace).Distinct();

    /// <summary>Whether the trace names the object.</summary>
    internal bool Names(MeshChange change) => _objects.Contains(NameOf(change));

    /// <summary>Whether the call comes to what the object says that it concerns.</summary>
    internal bool IsConcernedBy(MeshChange change) => change.IsEverything || Names(change) || change.Hosts.Any(IsTo)
        || (change.Selected is { } selected && (_workloads.Exists(one =>
            (selected.Namespace == one.Namespace || selected.Namespace == _rootNamespace) && Selectors.Matches(selected.Labels, one.Labels))
            // Of one that is gone, no workload is left.
            || ((change.Kind == MeshApi.WorkloadEntry.Name || RecentChanges.Templates.Contains(change.Kind))
                && _selectors.Exists(one => selected.Namespace == one.Namespace && Selectors.Matches(one.Labels, selected.Labels)))
            // Labels that were changed may be those by which its Pods were selected.
            || (RecentChanges.Templates.Contains(change.Kind) && _hosts.Contains(HostOf(change.Name, change.Namespace)))));

    private bool IsTo(string pattern) =>
        _hosts.Contains(pattern) || (pattern.StartsWith('*') && _hosts.Any(host => host.EndsWith(pattern[1..], StringComparison.Ordinal)));

    /// <summary>The objects that a text names, as messages do.</summary>
    internal static IEnumerable<(string Kind, string Namespace, string Name)> In(string text) =>
        Named().Matches(text).Select(match => (match.Groups[1].Value, match.Groups[2].Value, match.Groups[3].Value));

    /// <summary>The object that changed, as messages name it: a Gateway of the Gateway API without its group.</summary>
    internal static (string Kind, string Namespace, string Name) NameOf(MeshChange change) => (change.Kind.Split('.')[0], change.Namespace, change.Name);

    private static IEnumerable<(string Kind, string Namespace, string Name)> Objects(Hop hop) =>
        In(hop.Summary).Concat(hop.Problem is { } problem ? In($"{problem.Object}, {problem.Message}") : [])
            .Concat(hop.Facts.SelectMany(fact => In(fact.Name switch
            {
                HopFacts.RuleFact => $"{MeshApi.VirtualService.Name} {fact.Value}",
                HopFacts.DestinationRuleFact => $"{MeshApi.DestinationRule.Name} {fact.Value}",
                _ => fact.Value,
            })));

    private static string HostOf(string service, string ns) => $"{service}.{ns}.svc.{WellKnown.DefaultDomainSuffix}";

    [GeneratedRegex(@"\b([A-Z][A-Za-z]+) ([a-z0-9](?:[-a-z0-9]*[a-z0-9])?)/([a-z0-9](?:[-a-z0-9.]*[a-z0-9])?)")]
    private static partial Regex Named();
}
