using Isthmus.Proxy.Transports;

namespace Isthmus.Proxy.Clusters;

/// <summary>Internal listeners get what is known of the endpoint and of the caller (Envoy's <c>internal_upstream</c>); the connection stays as it is.</summary>
/// <param name="PassesTarget">They get the endpoint's <see cref="TunnelTarget"/>.</param>
internal sealed record InternalStep(bool PassesTarget) : ConnectStep
{
    public override ValueTask<Transport> TakeAsync(
        Transport transport, Endpoint endpoint, ConnectPurpose purpose, TimeSpan left, ConnectParts parts) => new(transport);

    public TakenAlong For(Endpoint endpoint, ConnectPurpose purpose) => new(PassesTarget ? endpoint.Target : null, purpose.Passed);
}
