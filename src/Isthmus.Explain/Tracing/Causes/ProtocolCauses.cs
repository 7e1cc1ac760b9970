using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Mesh.Model;

namespace Isthmus.Explain.Tracing.Causes;

/// <summary>Why what listens does not take a call, when proxies only pass it on.</summary>
internal static class ProtocolCauses
{
    /// <summary>Another Service declares another protocol for the same port of the same Pods, whose proxies can use one only; null when all agree.</summary>
    public static Problem? Discord(TracedCall call, DeclaredPort declared)
    {
        foreach (var service in call.Host?.Services ?? [])
        {
            if (service.Port(call.Port) is not { } port || service.Pods.Count == 0) continue;
            var pod = service.Pods[0];
            var target = ServicePods.Target(port, pod);
            foreach (var other in service.Cluster.Services)
            {
                if (other.Metadata.Namespace != service.Service.Metadata.Namespace || !service.Cluster.Behind(other).Contains(pod)) continue;
                var name = $"Service {other.Key} in {service.Cluster.Context}";
                var differs = other.Spec.Ports.Find(candidate => candidate.Protocol != "UDP" && ServicePods.Target(candidate, pod) == target
                    && !IsAlike(DeclaredPort.ProtocolOf(candidate), declared.Protocol));
                if (name == service.Name || differs is null) continue;
                return Faults.Of("ISM2074", declared.Object, declared.Field,
                    $"declares {declared.Name}, while {name} declares {DeclaredPort.ProtocolOf(differs).ToString().ToUpperInvariant()} for the same port "
                        + $"{target} of these Pods "
                        + $"(its port {differs.Port}): their proxies can treat it as one of them only, and what listens ends the connection",
                    "declare what the application speaks, alike in all Services of these Pods");
            }
        }
        return null;
    }

    /// <summary>Of the Services with a port of a Pod, one that declares no HTTP for it, and one that does; null where they agree.</summary>
    public static (string Bytes, string Requests)? Disputed(Callee callee)
    {
        var ports = (from service in callee.Cluster.Services
                     where service.Metadata.Namespace == callee.Pod.Metadata.Namespace && callee.Cluster.Behind(service).Contains(callee.Pod)
                     from port in service.Spec.Ports
                     where port.Protocol != "UDP" && ServiceInCluster.TargetOf(port, callee.Pod) == callee.Address.Port
                     let declared = DeclaredPort.ProtocolOf(port)
                     select (IsHttp: declared.IsHttp(), IsOther: declared != Protocol.Auto && !declared.IsHttp(), Says:
                         $"Service {service.Key} in {callee.Cluster.Context} (port {port.Port}, {declared.ToString().ToUpperInvariant()})")).ToList();
        return (ports.Find(one => one.IsOther).Says, ports.Find(one => one.IsHttp).Says) is ({ } bytes, { } requests) ? (bytes, requests) : null;
    }

    /// <summary>Proxies copied the bytes of a request, and what listens ended the connection without an answer; null otherwise.</summary>
    public static Problem? Closed(TracedCall call, MadeCall made, string where) =>
        call.IsPlainHttp && made is { Status: 0, IsOutOfTime: false, Upstream.Length: > 0 } && DeclaredPort.Of(call) is { IsBytes: true } port
            && !MadeCall.Failures(made.Flags).Except(["UC"]).Any()
            ? Faults.Of("ISM2101", where, "",
                $"accepts the connection and ends it without an answer: {port.Object} declares {port.Name}, so proxies copy the bytes of the call, "
                    + $"and what listens there probably speaks no {(call.Kind == CallKinds.Grpc ? "gRPC" : "HTTP/1.1")}",
                "call it in the protocol that it speaks (http://, grpc://, https:// or tcp://)") : null;

    /// <summary>What has no proxy of the mesh accepts connections, and ends them without an answer to plain text; null for others.</summary>
    /// <param name="way">The hops of the path that the call took.</param>
    public static Problem? Ended(TracedCall call, MadeCall made, DeclaredPort port, IEnumerable<Hop> way, string where)
    {
        if (!made.HasFlag("UC") || port.Protocol is not (Protocol.Http or Protocol.Auto) || !call.IsPlainHttp
            || way.Any(hop => hop.Name is "gateway" or "inbound" || (hop.Name == "TLS" && !IsPlain(hop)))) return null;
        return Faults.Of("ISM2074", port.Object, port.Field,
            $"{(port.Protocol == Protocol.Auto ? "declares no protocol" : $"declares {port.Name}")}, and nothing begins TLS: what listens there accepts the "
                + $"connection and ends it without an answer, as a server of TLS does ({made.Flags} {made.Detail}): {where}",
            $"if it speaks TLS, begin TLS with a DestinationRule for {call.Host?.Fqdn ?? call.Facts.Target.Host} (trafficPolicy.tls.mode: SIMPLE); or, if the "
                + $"application does, call https://{call.Facts.Target.Host}:{call.Port}, and {port.Declare("https")}; if it speaks HTTP/1.1, see its log");
    }

    private static bool IsPlain(Hop hop) => hop.Summary.StartsWith(HopFacts.PlainText, StringComparison.Ordinal);

    private static bool IsAlike(Protocol one, Protocol two) => one.IsHttp() == two.IsHttp() && one.IsHttp2() == two.IsHttp2() && one.IsTls() == two.IsTls();
}
