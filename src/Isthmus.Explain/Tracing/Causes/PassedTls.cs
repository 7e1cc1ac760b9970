using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Explain.Tracing.Reading;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Generate;
using Isthmus.Mesh.Model;
using Isthmus.Proxy.Decisions;

namespace Isthmus.Explain.Tracing.Causes;

/// <summary>TLS that a gateway passes on without ending it, to a port that declares plain requests.</summary>
internal sealed class PassedTls(TraceFacts facts, CallerConfig config)
{
    /// <summary>The route that leads there; null where it leads to what may take TLS.</summary>
    /// <param name="targets">The clusters to which the gateway passes the connection on.</param>
    /// <returns>And whether the call fails for certain: nothing else is there, and all Pods have proxies, which expect requests.</returns>
    public (Problem Problem, bool IsCertain)? ToRequests(IReadOnlyList<TargetView> targets)
    {
        if (facts.Entry is null || facts.Call is { Answered: true }) return null;
        var used = targets.Where(target => target.Weight > 0 || targets.Count == 1).Select(target => Declared(target.Cluster)).ToList();
        if (used.Find(one => one is not null) is not { } wrong || OwnerOf(wrong.Host, wrong.Port) is not var (owner, field, otherwise)) return null;
        var pods = wrong.Host.Services.SelectMany(service => service.Pods).ToList();
        return (Faults.Of("ISM2093", $"{owner} in {config.At.Context}", field,
            $"is {wrong.Port} of {wrong.Host.Services[0].Name}, which declares {wrong.Protocol.ToString().ToUpperInvariant()}, and the gateway passes TLS on "
                + "without ending it: what takes the connection finds no request",
            $"lead to the port where the application speaks TLS, and name it tls or https; or {otherwise}"),
            used.TrueForAll(one => one is not null) && pods.Count > 0 && pods.TrueForAll(pod => ClusterObjects.Sidecar(pod) is not null));
    }

    /// <summary>A destination whose port declares requests in plain text, in all clusters; null for others.</summary>
    private (MeshHost Host, int Port, Protocol Protocol)? Declared(string cluster)
    {
        if (!ResourceNames.TryParseOutbound(cluster, out var port, out _, out var fqdn, out _) || facts.Host(fqdn) is not { Services.Count: > 0 } host)
            return null;
        var declared = host.Services.Select(service => service.Port(port)).OfType<Kubernetes.Objects.ServicePort>().Select(DeclaredPort.ProtocolOf)
            .Distinct().ToList();
        return declared is [var only] && only.IsHttp() ? (host, port, only) : null;
    }

    /// <summary>The route by the server name of the call, the field with its port, and how TLS would end before it; null when none is found.</summary>
    private (string Owner, string Field, string Otherwise)? OwnerOf(MeshHost host, int port)
    {
        foreach (var route in config.At.ApiRoutes.Where(route => route.Source.Kind == MeshApi.TlsRoute.Kind
            && (route.Hostnames.IsEmpty || route.Hostnames.Any(name => Hosts.Covers(name, facts.Target.Host)))))
            foreach (var (i, rule) in route.Rules.Index())
                foreach (var (j, backend) in rule.Backends.Index())
                    if (backend.To.Name == host.Name && backend.To.Namespace == host.Namespace && backend.To.Port == port)
                        return ($"{route.Source.Kind.Split('.')[0]} {route.Namespace}/{route.Name}", $"spec.rules[{i}].backendRefs[{j}].port",
                            "let the listener end TLS (protocol HTTPS), with an HTTPRoute");
        foreach (var service in config.At.Istio<VirtualService>())
            foreach (var (i, route) in service.Tls.Index())
                foreach (var (j, to) in route.Destinations.Index())
                    if (to.Destination.Host == host.Fqdn && to.Destination.Port is var said && (said == 0 || said == port)
                        && route.Matches.Any(match => match.SniHosts.Any(name => Hosts.Covers(name, facts.Target.Host))))
                        return ($"VirtualService {service.Namespace}/{service.Name}",
                            $"spec.tls[{i}].route[{j}].destination{(said == 0 ? ".host" : ".port.number")}",
                            "let the server end TLS (tls.mode: SIMPLE), with an http route");
        return null;
    }
}
