using Isthmus.Core.Collections;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Model.GatewayApi;
using Isthmus.Operate.Diagnose.Analysis;

namespace Isthmus.WebConsole.Answers;

/// <summary>What VirtualServices and routes of the Gateway API do to calls of a service. Pure.</summary>
internal static class RouteEffects
{
    private const string Routed = "routes calls of the service";

    /// <param name="inForce">All VirtualServices of the cluster that are in force.</param>
    public static RuleEffect Of(VirtualService service, IReadOnlyDictionary<ObjectName, VirtualService> inForce, RuleSubject subject)
    {
        if (!service.Hosts.IsEmpty) return Of(Delegation.Merge(service, name => inForce.GetValueOrDefault(name)), subject);
        var name = new ObjectName(service.Namespace, service.Name);
        // A delegate has neither hosts nor callers of its own: it does what the routes do that are left to it.
        var parts = from root in inForce.Values
                    where root.Http.Any(route => route.Delegate == name)
                    orderby root.Source
                    let part = Delegation.Merge(OnlyTo(name, root), _ => service)
                    where !part.Http.IsEmpty
                    let effect = Of(part, subject, $", as a delegate of VirtualService {root.Namespace}/{root.Name}")
                    where effect is { Text.Length: > 0, Refusal: "" }
                    select effect.Text;
        return new(string.Join("; ", parts));
    }

    public static RuleEffect Of(ApiRoute route, RuleSubject subject)
    {
        // A route of another namespace is for the callers there.
        if (route.Parents.Any(subject.IsReferredTo))
            return new(route.Namespace == subject.Namespace ? Routed : $"{Routed}, from namespace {route.Namespace}");
        var does = Does(route.Rules.SelectMany(rule => rule.Backends).Any(backend => subject.IsReferredTo(backend.To)),
            route.Rules.SelectMany(rule => rule.Mirrors.Concat(rule.Backends.SelectMany(backend => backend.Mirrors)))
                .Any(mirror => subject.IsReferredTo(mirror.To)));
        if (does.Length == 0) return RuleEffect.None;
        var hosts = route.Hostnames.IsEmpty ? "every host" : string.Join(", ", route.Hostnames);
        var through = string.Join(", ", route.Parents.Select(parent => $"{parent.Namespace}/{parent.Name}").Distinct());
        return new($"{does} calls of {hosts} to it, through {through}");
    }

    /// <param name="service">With the routes of its delegates.</param>
    /// <param name="part">Which part of a VirtualService this is; empty: all of it.</param>
    private static RuleEffect Of(VirtualService service, RuleSubject subject, string part = "")
    {
        var callers = subject.CallersOf(service);
        if (callers is { IsEmpty: true }) return RuleEffect.None;
        var gateways = service.Gateways.Where(gateway => gateway != VirtualService.MeshGateway).ToList();
        var calls = new RoutedCalls(gateways.Order(StringComparer.Ordinal).ToValueList(), callers);
        var through = gateways.Count == 0 ? "" : $", through {string.Join(", ", gateways.Select(gateway => Short(gateway, service.Namespace)))}";
        var more = $"{through}{calls.From}{part}{Faults(service)}";
        if (service.Hosts.Any(subject.IsHost))
        {
            var refusal = subject.RefusalOf(service.Namespace);
            return new($"{Routed}{more}") { Routes = part.Length == 0 && refusal.Length == 0 ? calls : null, Refusal = refusal };
        }
        var does = Does(Destinations(service).Any(subject.IsHost),
            service.Http.SelectMany(route => route.Mirrors).Any(mirror => subject.IsHost(mirror.Destination.Host)));
        return does.Length == 0 ? RuleEffect.None : new($"{does} calls of {string.Join(", ", service.Hosts)} to it{more}");
    }

    /// <summary>A VirtualService with nothing but what it leaves to a delegate.</summary>
    private static VirtualService OnlyTo(ObjectName name, VirtualService root) =>
        root with { Http = root.Http.Where(route => route.Delegate == name).ToValueList(), Tcp = default, Tls = default };

    private static string Does(bool leads, bool copies) => leads ? "routes" : copies ? "sends copies of" : "";

    private static IEnumerable<string> Destinations(VirtualService service) =>
        service.Http.SelectMany(route => route.Destinations).Concat(service.Tcp.Concat(service.Tls).SelectMany(route => route.Destinations))
            .Select(to => to.Destination.Host);

    /// <summary>A Gateway of the same namespace by its name alone, as most objects name it.</summary>
    private static string Short(string gateway, string ns) => gateway.StartsWith($"{ns}/", StringComparison.Ordinal) ? gateway[(ns.Length + 1)..] : gateway;

    /// <summary>What it does to calls on purpose.</summary>
    private static string Faults(VirtualService service) =>
        string.Concat(service.Http.Select(route => InjectedFaults.Effect(route, "them")).Where(effect => effect.Length > 0).Distinct()
            .Select(effect => $"; {effect}"));
}
