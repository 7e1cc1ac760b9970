using System.Net;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Causes;
using Isthmus.Explain.Tracing.Facts;

namespace Isthmus.Explain.Tracing.Steps;

/// <summary>Follows the check by which a proxy asks an external authorizer: a call of its own, which comes from the Pod of that proxy.</summary>
/// <param name="call">The call that the check is about.</param>
/// <param name="ways">Makes the step that chooses among the endpoints of the authorizer.</param>
internal sealed class CheckStep(TraceNeeds needs, TracedCall call, Func<TraceFacts, TraceRecord, TraceCauses, TracedCall, EndpointsStep> ways)
{
    private const string GrpcPath = "/envoy.service.auth.v3.Authorization/Check";

    /// <summary>Null: the proxy has no way to the authorizer, or does not tell.</summary>
    public (TracedCall Call, CallTrace Trace)? Walk(AskedAuthorizer asked)
    {
        var facts = call.Facts;
        var (provider, proxy) = (asked.Provider, asked.Seen.Proxy);
        if (facts.Proxies.GetValueOrDefault(proxy) is not { } view || facts.Host(asked.Host, asked.Pod.Metadata.Namespace) is not { } host
            || view.Decisions.Cluster($"outbound|{provider.Port}||{host.Fqdn}") is not { } cluster) return null;
        var own = facts.Asking(proxy,
            new(provider.IsGrpc ? CallKinds.Grpc : CallKinds.Http, asked.Host, provider.Port, provider.IsGrpc ? GrpcPath : $"{provider.PathPrefix}{call.Path}"),
            provider.IsGrpc ? SentRequest.Plain with { Headers = [new("host", asked.Host)] }
                : new(call.Method, [.. facts.Sent.Headers.Where(header => header.Name != "host" && asked.Gets(header.Name)), new("host", call.Authority)], ""));
        var (record, causes) = (new TraceRecord(), new TraceCauses(own, needs));
        var check = new TracedCall(own, view, host, provider.Port, own.Target.Scheme,
            new(IPAddress.TryParse(host.In(asked.Cluster)?.Service.Spec.ClusterIP, out var address) ? address : IPAddress.None, provider.Port));
        ways(own, record, causes, check).WalkCluster(new(view, [new(cluster.Name, 1)], "", default, IsHttp: true) { IsHttp2 = provider.IsGrpc }, cluster, 100);
        return (check, record.Trace(check));
    }
}
