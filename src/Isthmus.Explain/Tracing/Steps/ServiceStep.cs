using System.Net;
using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Causes;
using Isthmus.Explain.Tracing.Facts;

namespace Isthmus.Explain.Tracing.Steps;

/// <summary>Checks a Service's address that is used as an endpoint, its own or that of its load balancer: the caller's proxy calls it, and the kernel chooses
/// the Pod.</summary>
internal sealed class ServiceStep(TraceFacts facts, TraceRecord record, TraceCauses causes, PodStep pods)
{
    public void Walk(EndpointWay way, ServiceInCluster service)
    {
        causes.Needs.NeedPods(service.Service.Metadata.Namespace);
        var address = (IPEndPoint)way.Endpoint.Address;
        if (service.PortAt(address) is not { } port)
            record.Fail("service", service.Name,
                causes.Endpoints.LedToNoPort(way.Cluster.Name, service, address, address.Port));
        else if (!way.IsMeshTls && causes.Tls.PlainToEntrance(service, address) is { } strict)
            record.Fail("service", $"{service.Name}, by {service.By(address)}", strict);
        else if (service.Callees(port) is not [var first, ..] callees)
            record.Fail("service", service.Name,
                causes.Endpoints.NoEndpointsIn(service.Cluster, facts.Host($"{service.Service.Metadata.Name}.{service.Service.Metadata.Namespace}"), port.Port,
                    ""));
        else
        {
            record.Ok("service", $"{service.Name} → {Counted.Of(callees.Count, "Pod")}", ("by", "the kernel's Service rules"));
            // Behind an address of a load balancer, packets do not come from the caller's Pod.
            if (service.Service.Spec.ClusterIP == address.Address.ToString()) record.Packets(causes.Packets.ToPod(first));
            pods.Walk(way, first, way.Outbound.View);
        }
    }
}
