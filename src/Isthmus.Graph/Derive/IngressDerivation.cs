using Isthmus.Core.Collections;
using Isthmus.Core.Live;
using Isthmus.Core.Names;
using Isthmus.Mesh.Model;

namespace Isthmus.Graph.Derive;

/// <summary>Derives Gateways and routes from the Ingress objects that gateways serve.</summary>
internal sealed class IngressDerivation
{
    private readonly MeshSources _sources;

    /// <param name="services">The Services that discovery selects.</param>
    public IngressDerivation(MeshSources sources, Discovery discovery, Live<ObjectKey, ClusterService> services)
    {
        _sources = sources;
        Served = discovery.Of(sources.Ingresses, ingress => ingress.Source, "discovered ingresses")
            .Derive((read, ingress) => IsServed(read, ingress) ? One(KeyOf(ingress.Source), ingress) : [], "served ingresses");
        Gateways = Served.Derive((read, ingress) =>
        {
            var gateway = IngressRouting.GatewayOf(ingress, Settings(read));
            return One(KeyOf(gateway.Source), gateway);
        }, "gateways of ingresses");
        Routings = Served
            .Derive((_, ingress) => IngressRouting.HostsOf(ingress)
                .Select(host => KeyValuePair.Create((ingress.Source, host), new HostOfIngress(host, ingress))),
                "ingresses and hosts")
            .GroupBy(item => item.Host, "ingresses by host")
            .Derive((read, items) =>
            {
                var routing = IngressRouting.RoutesOf(items[0].Host, items.Select(item => item.Ingress), WellKnown.DefaultDomainSuffix,
                    (ingress, target) => PortOf(read, services, ingress, target));
                return One(routing.Key, routing);
            }, "routes of ingresses");
    }

    /// <summary>The Ingress objects that gateways serve.</summary>
    public Live<ObjectKey, Ingress> Served { get; }

    public Live<ObjectKey, Gateway> Gateways { get; }

    public Live<ObjectKey, RouteSet> Routings { get; }

    private bool IsServed(Reader read, Ingress ingress) =>
        Settings(read)
            .Serves(ingress, ingress.Class is { } name ? read.Get(_sources.IngressClasses, new ObjectKey(ingress.Source.Cluster, "", name))?.Controller : null);

    private static int? PortOf(Reader read, Live<ObjectKey, ClusterService> services, Ingress ingress, IngressTarget target)
    {
        if (target.Service.Length == 0) return null;
        if (target.Number > 0) return target.Number;
        return read.Get(services,
            new ObjectKey(ingress.Source.Cluster, ingress.Namespace, target.Service))?.Ports.FirstOrDefault(port => port.Name == target.PortName)?.Number;
    }

    private IngressSettings Settings(Reader read) => (read.Get(_sources.Settings, "") ?? MeshSettings.Default).Mesh.Ingress;

    private static ObjectKey KeyOf(ObjectRef source) => new(source.Cluster, source.Namespace, source.Name);

    private static KeyValuePair<ObjectKey, T>[] One<T>(ObjectKey key, T value) => [KeyValuePair.Create(key, value)];
}

internal sealed record HostOfIngress(string Host, Ingress Ingress);
