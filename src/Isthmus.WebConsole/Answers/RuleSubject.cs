using Isthmus.Core.Collections;
using Isthmus.Core.Names;
using Isthmus.Mesh.Generate;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Model.GatewayApi;
using Isthmus.Mesh.Resolve;
using Isthmus.WebConsole.Reading;

namespace Isthmus.WebConsole.Answers;

/// <summary>The service that rules are sought for, and the settings by which they apply.</summary>
/// <param name="Pods">The labels of each Pod behind it.</param>
/// <param name="Settings">The MeshConfig of the control plane that reads the rules.</param>
internal sealed record RuleSubject(string Namespace, string Name, IReadOnlyList<Dictionary<string, string>> Pods, MeshConfig Settings)
{
    /// <summary>The namespaces that the service lets configure its host.</summary>
    public ValueList<string> Grants { get; init; }

    public string Host => $"{Name}.{Namespace}.svc.{WellKnown.DefaultDomainSuffix}";

    /// <param name="cluster">The cluster that has the rules. Where nobody may read its MeshConfig, the root namespace is that of the control plane, as
    /// installations set it.</param>
    /// <param name="grants">The namespaces that the service lets configure its host.</param>
    public static RuleSubject Of(ClusterState cluster, string ns, string name, IReadOnlyList<Dictionary<string, string>> pods,
        ValueList<string> grants = default) =>
        new(ns, name, pods, cluster.Facts.Mesh ?? MeshConfig.Default with { RootNamespace = cluster.Facts.SystemNamespace }) { Grants = grants };

    /// <summary>Whether a host, as records have it, is that of the service.</summary>
    public bool IsHost(string host) => Hosts.Covers(host, Host) || HostOwners.ServiceHost(host) == Host;

    /// <summary>Whether a reference is to the service.</summary>
    public bool IsReferredTo(ApiReference to) => to is { Group: "", Kind: "Service" } && to.Namespace == Namespace && to.Name == Name;

    /// <summary>Whether a selector that reaches its namespace selects some of its Pods.</summary>
    public bool IsSelectedBy(WorkloadSelector selector) => selector.IsEmpty || Pods.Any(pod => selector.Selects(pod));

    /// <summary>The scope of a policy that applies to the service.</summary>
    /// <param name="ns">The namespace of the policy.</param>
    public RuleScope ScopeOf(string ns, WorkloadSelector selector) =>
        !selector.IsEmpty ? RuleScope.Pods : ns == Namespace ? RuleScope.Namespace : RuleScope.Mesh;

    /// <summary>Why an object of a namespace has no effect on the host; empty: it has.</summary>
    public string RefusalOf(string ns) => !Settings.HostsAreOwned || HostOwners.MayConfigure(ns, Namespace, Grants, Settings.RootNamespace) ? ""
        : $"has no effect: namespace {Namespace} does not let {ns} configure the host (hostOwnership is NAMESPACE)";

    /// <summary>The namespaces whose proxies get a VirtualService; null: all.</summary>
    public ValueList<string>? CallersOf(VirtualService service) =>
        Visibility.Namespaces(service.ExportTo.IsEmpty ? Settings.DefaultVirtualServiceExportTo : service.ExportTo, service.Namespace);

    /// <summary>The namespaces whose calls of the service follow a DestinationRule; null: all.</summary>
    public ValueList<string>? CallersOf(DestinationRule rule)
    {
        var allowed = Visibility.Namespaces(rule.ExportTo.IsEmpty ? Settings.DefaultDestinationRuleExportTo : rule.ExportTo, rule.Namespace);
        if (rule.WorkloadSelector.Count > 0) return allowed is not { } visible || visible.Contains(rule.Namespace) ? [rule.Namespace] : [];
        // Proxies look for rules in their own namespace, in that of the service and in the root namespace: others find one of a third namespace nowhere.
        if (rule.Namespace == Namespace || rule.Namespace == Settings.RootNamespace) return allowed;
        return allowed is not { } some || some.Contains(rule.Namespace) ? [rule.Namespace] : [];
    }
}
