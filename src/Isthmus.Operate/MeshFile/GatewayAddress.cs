using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Objects;
using Isthmus.Operate.Install;

namespace Isthmus.Operate.MeshFile;

/// <summary>The address at which other clusters reach a cluster's east-west gateway.</summary>
public static class GatewayAddress
{
    private static readonly TimeSpan PollInterval = TimeSpan.FromMilliseconds(50);

    /// <summary>The current address, or null.</summary>
    public static async Task<string?> FindAsync(ClusterLink link, CancellationToken stop)
    {
        var service = await link.Client.FindAsync<Service>(Kinds.Service, WellKnown.SystemNamespace, EastWestGateway.Name, stop);
        if (service?.Status.LoadBalancer.Ingress.FirstOrDefault() is { } ingress) return ingress.Ip.Length > 0 ? ingress.Ip : ingress.Hostname;
        return service?.Spec.ExternalIPs.FirstOrDefault();
    }

    /// <summary>Waits for the address that a load balancer assigns.</summary>
    public static async Task<string> AwaitAsync(ClusterLink link, TimeSpan limit, TimeProvider time, CancellationToken stop)
    {
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(stop);
        deadline.CancelAfter(limit);
        try
        {
            while (true)
            {
                if (await FindAsync(link, deadline.Token) is { Length: > 0 } address) return address;
                await Task.Delay(PollInterval, time, deadline.Token);
            }
        }
        catch (OperationCanceledException e) when (!stop.IsCancellationRequested)
        {
            throw new ProblemException($"Service {WellKnown.SystemNamespace}/{EastWestGateway.Name} in {link.Name}",
                $"received no external address within {limit.TotalSeconds:0} s",
                $"check its events with 'kubectl --context={link.Cluster.Context} -n {WellKnown.SystemNamespace} describe service {EastWestGateway.Name}'", e);
        }
    }
}
