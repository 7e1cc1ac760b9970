using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Generate;
using Isthmus.Mesh.Model;

namespace Isthmus.Explain.Tracing.Causes;

/// <summary>Why a gateway does not take or route a call from outside as an Ingress says. Proxies know Ingress objects by generated names, which nobody has
/// written.</summary>
internal sealed class IngressCauses(TraceFacts facts, CallerConfig config)
{
    /// <summary>Gateways of the mesh do not serve the Ingress that has the host.</summary>
    public const string NotServed = "ISM2150";

    private const string ClassAnnotation = "metadata.annotations[kubernetes.io/ingress.class]", ClassField = "spec.ingressClassName";

    private const int SecurePort = 443;

    private IngressSettings Settings => facts.SettingsOf(facts.Home).Mesh.Ingress;

    /// <summary>The Ingress objects that the gateway of the call serves.</summary>
    private IEnumerable<Ingress> Served => facts.Entry is not null && IsGateway ? config.At.Ingresses.Where(IsServed) : [];

    private bool IsGateway => Settings.GatewayLabels.All(label => facts.ClientPod.Metadata.Labels.GetValueOrDefault(label.Key) == label.Value);

    /// <summary>The object that routes a request, as <see cref="IstioMetadata.RuleOf"/> names it, with the Ingress for a generated name.</summary>
    public string Routing(string rule, TracedCall call)
    {
        if (rule.Split('/') is not [var ns, var name] || !IngressRouting.IsMade(name)) return rule;
        return Place(call) is { } place ? $"{MeshApi.Ingress.Name} {place.Ingress.Namespace}/{place.Ingress.Name}"
            : $"{MeshApi.Ingress.Name} {ns}/{IngressRouting.FirstOf(name, HostOf(call))}";
    }

    /// <summary>What is wrong with the backend to which an Ingress sends a request; null when nothing is, or nobody knows.</summary>
    public Problem? Misled(TracedCall call)
    {
        if (Place(call) is not { } place) return null;
        var (to, at) = (place.Target, place.Route is null ? place.Field : $"{place.Field}.backend");
        if (to.Service.Length == 0) return Of("resource", "is not a Service: the response is status 503", "lead to a Service");
        if (facts.Host($"{to.Service}.{place.Ingress.Namespace}") is not { Services: [var service, ..] services })
        {
            var near = config.At.Services.Where(one => one.Metadata.Namespace == place.Ingress.Namespace).Select(one => one.Metadata.Name)
                .Where(name => Spelling.IsMistyped(to.Service, name)).Order(StringComparer.Ordinal).FirstOrDefault();
            return Of("service.name", $"is {to.Service}, and there is no Service {place.Ingress.Namespace}/{to.Service}: the response is status 503",
                near is null ? "create the Service, or name one of this namespace" : $"write {near}");
        }
        if (to.Number > 0 ? services.Any(one => one.Port(to.Number) is not null)
            : services.Where(one => one.Cluster == config.At).Any(one => one.Service.Spec.Ports.Exists(port => port.Name == to.PortName))) return null;
        var ports = service.Service.Spec.Ports;
        return Of(to.Number > 0 ? "service.port.number" : "service.port.name",
            $"is {(to.Number > 0 ? $"{to.Number}" : to.PortName)}, and {service.Name} has no such port: it has {ServicePods.Ports(service.Service)}; the "
                + "response is status 503",
            ports is not [var only] ? "write one of its ports" : to.Number > 0 || only.Name.Length == 0 ? $"write number: {only.Port}" : $"write {only.Name}");

        Problem Of(string field, string why, string remedy) => Faults.Of("ISM2025", Named(place.Ingress), $"{at}.{field}", why, remedy);
    }

    /// <summary>Why no Ingress routes a request; null when one does, or none has the host.</summary>
    public Problem? Unrouted(TracedCall call)
    {
        if (Place(call) is not null) return null;
        var (host, path) = (HostOf(call), PathOf(call));
        if (Places(host).Where(place => place.Route is not null).ToList() is not [_, ..] places) return Unserved(host);
        var nearest = places.MaxBy(place => path.StartsWith(place.Route!.Path, StringComparison.Ordinal) ? place.Route.Path.Length : -1)!;
        var isExact = nearest.Route!.Type != IngressPathType.Prefix && path.StartsWith(nearest.Route.Path, StringComparison.Ordinal);
        return Faults.Of("ISM2024", Named(nearest.Ingress), isExact ? $"{nearest.Field}.pathType" : nearest.Field,
            $"{(isExact ? $"is {nearest.Route.Type} for {nearest.Route.Path}, and takes no other path" : $"takes {Of(nearest)}")}: "
                + $"{(places.Count == 1 ? "" : $"the paths for {host} are {string.Join(", ", places.Select(Of))}; ")}the response to {path} is 404",
            isExact ? "set it to Prefix, or add a path" : $"add a path that takes {path}, or call one of these");

        static string Of(IngressPlace place) => $"{place.Route!.Path} ({place.Route.Type})";
    }

    /// <summary>Why the gateway does not open a port, where an Ingress has the host of the call; null when none has.</summary>
    /// <param name="port">The port of the Service.</param>
    public Problem? WithoutListener(string host, int port)
    {
        if (Served.FirstOrDefault(ingress => Has(ingress, host)) is not { } served) return Unserved(host);
        return port == SecurePort && served.Certificates.IsEmpty
            ? Faults.Of("ISM2053", Named(served), "spec.tls", $"is not set, so that the gateway opens port 80 only, and the call arrives at {port}",
                $"call http://{host}, or add tls: [{{hosts: [{host}], secretName: NAME}}]")
            : Faults.Of("ISM2054", facts.Client.ToString(), "", $"its proxy has not received {Named(served)}",
                $"isthmus proxy-status --context={facts.Home.Context}");
    }

    /// <summary>The Ingress by which TLS ends for a host, and its field; null when none does.</summary>
    public (Ingress Ingress, string Field)? Ending(string host) =>
        (from ingress in Served
         from tls in ingress.Certificates.Index()
         where tls.Item.Secret.Length > 0 && (tls.Item.Hosts.IsEmpty || tls.Item.Hosts.Any(pattern => Hosts.Covers(pattern, host)))
         orderby tls.Item.Hosts.IsEmpty, ingress.CreatedAt
         select ((Ingress, string)?)(ingress, $"spec.tls[{tls.Index}].secretName")).FirstOrDefault();

    public string Named(Ingress ingress) => $"{MeshApi.Ingress.Name} {ingress.Namespace}/{ingress.Name} in {config.At.Context}";

    /// <summary>Gateways of the mesh serve an Ingress, and the one that is called is not one of them.</summary>
    private Problem AtOtherGateways(Ingress ingress, string host)
    {
        var (label, value) = Settings.GatewayLabels.Single();
        var own = facts.ClientPod.Metadata.Labels.GetValueOrDefault(label, "");
        var why = $"gateways with the label {label}={value} serve Ingress objects, so {facts.Client} does not route {host} as {Named(ingress)} says";
        if (config.At.Pods.FirstOrDefault(pod => pod.Metadata.Labels.GetValueOrDefault(label) == value) is { } serving)
            return Faults.Of(NotServed, facts.Client.ToString(), $"metadata.labels[{label}]",
                $"is {(own.Length > 0 ? own : "not set")}: {why}; Pod {serving.Key} does", $"call the Service of Pod {serving.Key}");
        var setting = Settings.Selector.Length > 0 ? "ingressSelector" : Settings.Service != IngressSettings.DefaultService ? "ingressService" : "";
        var labelled = $"give the Pods of a gateway the label {label}={value}";
        if (setting.Length == 0)
            return Faults.Of(NotServed, facts.Client.ToString(), $"metadata.labels[{label}]",
                $"is {(own.Length > 0 ? own : "not set")}, and no Pod of {config.At.Context} has {value}: {why}",
                own.Length > 0 ? $"set ingressSelector of MeshConfig to {own}, or {labelled}" : labelled);
        return Faults.Of(NotServed, facts.MeshConfigOf(facts.Home), TraceFacts.MeshField(setting),
            $"is {value}, and no Pod of {config.At.Context} has that: {why}{(own.Length > 0 ? $"; it has {label}={own}" : "")}",
            (own.Length > 0 ? $"set ingressSelector to {own}" : $"set ingressSelector to the label {label} of the gateway") + $", or {labelled}");
    }

    /// <summary>An Ingress has the host, and is for another controller than the gateway's, or for other gateways; null when none has it.</summary>
    private Problem? Unserved(string host)
    {
        if (facts.Entry is not null && !IsGateway && config.At.Ingresses.FirstOrDefault(one => IsServed(one) && Has(one, host)) is { } served)
            return AtOtherGateways(served, host);
        if (facts.Entry is null || config.At.Ingresses.FirstOrDefault(ingress => !IsServed(ingress) && Has(ingress, host)) is not { } ingress) return null;
        var (name, settings) = (Named(ingress), Settings);
        var serving = config.At.IngressClasses(IngressSettings.Controller);
        var classes = serving.Count > 0 ? $"IngressClass {string.Join(", ", serving)}" : "an IngressClass";
        var meant = $"gateways of this mesh serve {classes} of controller {IngressSettings.Controller}";
        var then = $"no gateway of the mesh routes {host} as it says";
        var remedy = serving.Count > 0 ? $"write {ClassField}: {serving[0]}"
            : $"create an IngressClass with controller {IngressSettings.Controller}, and name it in {ClassField}";
        if (settings.Mode == IngressMode.Off)
            return Faults.Of(NotServed, facts.MeshConfigOf(facts.Home), TraceFacts.MeshField("ingressControllerMode"),
                $"is OFF, so that gateways serve no Ingress, and {name} has {host}", "set it to STRICT");
        if (ingress.Annotation is { } annotation)
            return Faults.Of(NotServed, name, ClassAnnotation,
                $"is {annotation}, and gateways of this mesh serve {settings.Class}: {then}",
                $"write {settings.Class} there, or remove it and {remedy}; or call the controller of {annotation}");
        if (ingress.Class is not { } named)
            return Faults.Of(NotServed, name, ClassField, $"is not set, and {meant}: {then}", remedy);
        var controller = config.At.ControllerOf(named);
        return Faults.Of(NotServed, name, ClassField,
            $"is {named}, {(controller is not null ? $"whose controller is {controller}" : "an IngressClass that does not exist")}, and {meant}: {then}",
            $"{remedy}; or call the controller of {named}");
    }

    private bool IsServed(Ingress ingress) => Settings.Serves(ingress, ingress.Class is { } named ? config.At.ControllerOf(named) : null);

    private static bool Has(Ingress ingress, string host) => ingress.Hosts.Any(rule => rule.Host.Length > 0 && Hosts.Covers(rule.Host, host));

    /// <summary>What takes the request of a call; null when nothing does, or no gateway of the mesh decides by Ingress objects.</summary>
    private IngressPlace? Place(TracedCall call) => Places(HostOf(call)).FirstOrDefault(place => place.Takes(PathOf(call)));

    private IEnumerable<IngressPlace> Places(string host)
    {
        var served = Served.ToList();
        // Of the names that cover a host, the longest decides, whether or not it has a path for the request.
        var pattern = served.SelectMany(IngressRouting.HostsOf).Where(name => Hosts.Covers(name, host)).MaxBy(name => name.Length);
        return pattern is null ? [] : IngressRouting.PlacesOf(pattern, served.Where(ingress => IngressRouting.HostsOf(ingress).Contains(pattern)));
    }

    private static string HostOf(TracedCall call) => call.Authority.Split(':')[0];

    private static string PathOf(TracedCall call) => call.Path.Split('?')[0];
}
