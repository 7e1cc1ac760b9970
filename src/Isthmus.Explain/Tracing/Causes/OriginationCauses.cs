using System.Globalization;
using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Explain.Tracing.Reading;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Model.GatewayApi;
using Isthmus.Mesh.Resolve.GatewayApi;
using Isthmus.Operate.Diagnose;

namespace Isthmus.Explain.Tracing.Causes;

/// <summary>Why requests reach a port that declares TLS in plain text, where no proxy of the mesh ends mesh TLS.</summary>
internal sealed class OriginationCauses(TraceFacts facts, CallerConfig config)
{
    /// <summary>An object that was meant to begin TLS, and does not apply.</summary>
    public const string Unapplied = "ISM2130";

    /// <summary>Nothing was meant to begin TLS.</summary>
    public const string Nothing = "ISM2131";

    /// <summary>Null where requests may be in plain text, as far as objects say, and where the caller is to blame: it calls the port itself.</summary>
    /// <param name="call">The call.</param>
    /// <param name="cluster">The name of the cluster to which the caller's proxy sends it, in plain text.</param>
    /// <param name="rule">What routes it; null for a connection of which proxies know no requests.</param>
    /// <param name="at">Where the endpoint is.</param>
    public Problem? InPlainText(TracedCall call, string cluster, string? rule, ClusterObjects at)
    {
        var (_, text, subset, fqdn) = ProxyTables.Split(cluster);
        if (!call.IsPlainHttp || facts.Host(fqdn) is not { } host || !int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var port)
            || DeclaredPort.Of(call with { Host = host, Port = port }, at.Context) is not { } declared || !declared.Protocol.IsTls()) return null;
        return OfPolicy(host, port, declared, rule is not null) ?? OfRule(host, port, declared)
            ?? (rule is null ? null : OfRoute(rule, host, port, subset == "-" ? "" : subset, declared));
    }

    /// <param name="isRouted">Whether a route for requests leads there: otherwise the caller may have to begin TLS at this port, unlike at others.</param>
    private Problem? OfPolicy(MeshHost host, int port, DeclaredPort declared, bool isRouted)
    {
        if (host.Services.Count == 0) return null;
        if (config.BackendTls(host.Fqdn, port) is { } applying)
            return Faults.Of(Unapplied, NameOf(applying), "", $"applies, and the proxy of {facts.Client} has not received it{SoPlain(declared)}",
                $"isthmus proxy-status --context={facts.Client.Context}");
        var targets = BackendPolicies.Ordered(config.At.BackendTlsPolicies)
            .SelectMany(policy => policy.Targets.Index().Select(target => (Policy: policy, target.Index, Target: target.Item))).ToList();
        foreach (var whyNot in (Func<ApiReference, (string Field, string Why, string Remedy)?>[])[
            target => OfService(host, port, target, isRouted), target => OfNamespace(host, target), target => OfName(host, target)])
            foreach (var (policy, index, target) in targets)
                if (whyNot(target) is var (field, why, remedy))
                    return Faults.Of(Unapplied, NameOf(policy), field.StartsWith('.') ? $"spec.targetRefs[{index}]{field}" : field,
                        $"{why}: the policy does not apply there{SoPlain(declared)}", remedy);
        return null;
    }

    /// <summary>The policy names the Service, in another way than it must.</summary>
    private static (string Field, string Why, string Remedy)? OfService(MeshHost host, int port, ApiReference target, bool isRouted)
    {
        if (target.Name != host.Name || target.Namespace != host.Namespace) return null;
        var service = host.Services[0];
        if (target.Kind != "Service") return (".kind", $"is {target.Kind}, which can have no policy, and {service.Name} serves the request",
            "write kind: Service and group: \"\"");
        if (target.Group.Length > 0) return (".group", $"is {target.Group}, which has no kind Service", "write group: \"\"");
        var ports = host.Services.SelectMany(one => one.Service.Spec.Ports).ToList();
        var name = ports.Find(one => one.Port == port)?.Name ?? "";
        if (target.Section.Length == 0 || target.Section == name) return null;
        var remedy = name.Length > 0 ? $"write {name}, the name of port {port}, or leave sectionName out for all ports"
            : "leave sectionName out, for all ports";
        return ports.Find(one => one.Name == target.Section) is { } other
            ? !isRouted ? null : (".sectionName", $"is {target.Section}, the name of port {other.Port} of {service.Name}, and requests go to port {port}",
                name.Length > 0 ? $"add a reference with sectionName: {name}, or leave sectionName out for all ports" : remedy)
            : (".sectionName", $"is \"{target.Section}\", and no port of {service.Name} has that name (it has {ServicePods.Ports(service.Service)})", remedy);
    }

    /// <summary>The policy is in another namespace, which has no such Service.</summary>
    private (string Field, string Why, string Remedy)? OfNamespace(MeshHost host, ApiReference target) =>
        target is not { Kind: "Service", Group: "" } || target.Name != host.Name || target.Namespace == host.Namespace || !IsMissing(target) ? null
            : ("metadata.namespace", $"is {target.Namespace}, which has no Service {target.Name}, and policies are for Services of their own namespace",
                $"create the policy in namespace {host.Namespace}");

    /// <summary>The policy names no Service that exists, and probably means this one.</summary>
    private (string Field, string Why, string Remedy)? OfName(MeshHost host, ApiReference target) =>
        target is not { Kind: "Service", Group: "" } || target.Namespace != host.Namespace || !IsMissing(target) || !Spelling.IsMistyped(target.Name, host.Name)
            ? null : (".name", $"is {target.Name}, and namespace {target.Namespace} has no such Service", $"write {host.Name}");

    /// <summary>Whether no cluster has a Service; false where one cannot be queried.</summary>
    private bool IsMissing(ApiReference to) =>
        facts.Clusters.All(cluster => cluster.Error.Length == 0 && cluster.Service(to.Namespace, to.Name) is null);

    /// <summary>A DestinationRule begins TLS to the host for others, or at other ports.</summary>
    private Problem? OfRule(MeshHost host, int port, DeclaredPort declared)
    {
        foreach (var rule in CallerConfig.RulesOf(config.At, host).Where(rule => rule.Policy.Tls is { Mode: ClientTlsMode.Simple or ClientTlsMode.Mutual }))
        {
            var name = $"DestinationRule {rule.Namespace}/{rule.Name} in {config.At.Context}";
            if (!config.Sees(rule))
                return Faults.Of(Unapplied, name, "spec.exportTo",
                    $"begins TLS for {host.Fqdn}, and is not exported to namespace {facts.Client.Namespace}, where the caller is{SoPlain(declared)}",
                    $"add {facts.Client.Namespace} to exportTo");
            var index = rule.Policy.Ports.Index().FirstOrDefault(one => one.Item.Port == port && one.Item.Policy.Tls is null, (-1, default!)).Index;
            if (index >= 0)
                return Faults.Of("ISM2122", name, $"spec.trafficPolicy.portLevelSettings[{index}]",
                    $"takes the place of all that spec.trafficPolicy says for port {port}, and its tls does not count there{SoPlain(declared)}",
                    $"repeat tls in spec.trafficPolicy.portLevelSettings[{index}]");
        }
        return null;
    }

    private Problem OfRoute(string rule, MeshHost host, int port, string subset, DeclaredPort declared)
    {
        var policy = host.Services.Count > 0 && config.At.Knows(MeshApi.BackendTlsPolicy) && config.At.ApiRoutes.Count > 0
            ? $"create a BackendTLSPolicy for Service {host.Name} in namespace {host.Namespace}, or " : "create ";
        return Faults.Of(Nothing, config.Named("VirtualService", rule, declared.Object),
            rule.Length > 0 ? config.RouteField(rule, host.Fqdn, subset, "port.number") : declared.Field,
            $"leads to port {port} of {declared.Object}, which declares {declared.Name}, and nothing begins TLS there: requests are sent in plain text",
            $"{policy}a DestinationRule for {host.Fqdn} with trafficPolicy.tls.mode SIMPLE; or, if the application speaks plain HTTP, "
                + $"{declared.Declare("http")}");
    }

    private string NameOf(BackendTlsPolicy policy) => $"{policy.Source.Kind} {policy.Namespace}/{policy.Source.Name} in {config.At.Context}";

    private static string SoPlain(DeclaredPort declared) =>
        $", so that nothing begins TLS, and requests are sent in plain text to {declared.Object}, which declares {declared.Name} ({declared.Field})";
}
