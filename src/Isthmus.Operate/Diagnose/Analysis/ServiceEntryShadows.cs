using Isthmus.Mesh.Model;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>ServiceEntries with the host of a Service of their own namespace: they add endpoints to it. Pure.</summary>
public static class ServiceEntryShadows
{
    public static Analyzer Analyzer
    {
        get;
    } = new("serviceentry.ShadowAnalyzer", "Checks for ServiceEntries with the host of a Service", [OwnCodes.ServiceShadowed], ["ServiceEntry", "Service"],
        mesh =>
        from cluster in mesh.Readable
        from entry in cluster.Istio<ServiceEntry>()
        from host in entry.Hosts.Index()
        let service = mesh.Hosts.Find(host.Item).FirstOrDefault(known => known.Service is not null)
        where service is not null && service.Service!.Metadata.Namespace == entry.Namespace && !host.Item.StartsWith('*')
        select OwnCodes.ServiceShadowed.At(cluster, $"ServiceEntry {entry.Namespace}/{entry.Name}", $"spec.hosts[{host.Index}]",
            $"{host.Item} is the host of Service {service.Service!.Key} in {service.Cluster.Context}: calls to the Service can go to the endpoints of the "
                + $"entry"));
}
