using System.Net;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Causes;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Explain.Tracing.Reading;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Certificates;
using Isthmus.Mesh.Generate;
using Isthmus.Mesh.Model;
using Isthmus.Proxy.Decisions;

namespace Isthmus.Explain.Tracing.Steps;

/// <summary>Where a call from outside arrives at the proxy of a gateway.</summary>
internal sealed record Arrival(ProxyView View, ChainView Chain);

/// <summary>Checks how a call from outside enters the mesh: the gateway's Service, its Pods, and the server of a Gateway that accepts the connection.</summary>
internal sealed class EntryStep(TraceFacts facts, TraceRecord record, TraceCauses causes, TracedProxies proxies)
{
    private static readonly string[] OfferedInTls = ["h2", "http/1.1"];

    /// <param name="call">The call, as the gateway's proxy passes it on.</param>
    /// <returns>Null when the call ends here, or when the proxy must be fetched first.</returns>
    public Arrival? Walk(ServiceInCluster entry, out TracedCall call)
    {
        var port = facts.Target.Port > 0 ? facts.Target.Port : facts.Target.Scheme == "https" ? 443 : 80;
        var kind = facts.Target.Scheme == "https" || (facts.Target.Scheme.Length == 0 && port == 443)
            ? CallKinds.Tls
            : facts.Target.Scheme.Length > 0
            ? facts.Target.Scheme
            : CallKinds.Http;
        call = new(facts, null, null, port, kind, new(IPAddress.None, port));
        var service = entry.Service;
        causes.Needs.NeedPods(service.Metadata.Namespace);
        if (!entry.Pods.Any(pod => pod.Status.IsReady))
        {
            record.Fail("gateway", entry.Name, causes.Availability.GatewayWithoutPods(entry));
            return null;
        }
        var addresses = service.Status.LoadBalancer.Ingress.Select(ingress => ingress.Ip.Length > 0 ? ingress.Ip : ingress.Hostname)
            .Concat(service.Spec.ExternalIPs).ToList();
        if (addresses.Count == 0 && service.Spec.Type == "LoadBalancer")
        {
            var lacking = causes.Entries.WithoutAddress(entry);
            if (entry.IsOnNodes) record.Warn("gateway", entry.Name, lacking);
            else record.Fail("gateway", entry.Name, lacking);
        }
        else if (addresses.Count == 0 && service.Spec.Type != "NodePort") record.Warn("gateway", entry.Name, causes.Entries.Inside(entry));
        else record.Ok("gateway", entry.Name, ("addresses", string.Join(", ", addresses)), ("pod", facts.Client.ToString()));
        record.Strangers(entry);
        if (entry.Port(port) is not { } known)
        {
            record.Fail("port", $"{port}", causes.Entries.WithoutPort(entry, port));
            return null;
        }
        if (proxies.View(facts.Client, "gateway proxy") is not { } view) return null;
        var target = ServiceInCluster.TargetOf(known, facts.ClientPod);
        if (target > 0) record.Packets(causes.Packets.ToGateway(facts.Home, facts.ClientPod, target));
        call = call with { Sidecar = view, Destination = new(IPAddress.TryParse(facts.ClientPod.Status.PodIP, out var own) ? own : IPAddress.Any, target) };
        if (view.Decisions.Bound(target).Any(one => !one.IsInbound && one.DemandsProxyHeader) && !ProxyHeaderCauses.IsAskedFor(service))
            record.Warn("connection", "must begin with a header of the PROXY protocol", causes.Headers.Demanded(facts.Home, facts.ClientPod,
                $"nothing in {entry.Name} asks a load balancer to write one: unless a load balancer does so by itself, all calls are reset"));
        return Accept(view, ref call);
    }

    /// <summary>Whether the gateway's tokens and policies let the call pass.</summary>
    /// <param name="identity">The caller's; empty when it shows none, or is outside.</param>
    /// <param name="source">The address of the caller; null: only a client outside knows it.</param>
    public bool Admit(Arrival arrival, ref TracedCall call, string identity = "", IPEndPoint? source = null)
    {
        var chain = arrival.Chain;
        var request = chain.IsHttp ? call.Request() : null;
        var asked = request?.Copy();
        // Only a client outside has an address, and perhaps a certificate.
        var access = new AccessStep(facts, record, causes, "policy", arrival.View)
        {
            IsUnknown = key => source is null && (key is RuleKeys.SourceIp or RuleKeys.RemoteIp
                || (chain.Tls is { RequirePeer: true } && key is RuleKeys.Principal or RuleKeys.Namespace or RuleKeys.ServiceAccount or RuleKeys.TrustDomain)),
        };
        var end = source ?? call.ClientEnd;
        var at = new Callee(facts.Home, facts.ClientPod, call.Destination);
        if (!access.Walk(chain,
            new(request, chain.Tls is null ? "http" : "https", identity, end, call.Destination, chain.Tls is null ? "" : facts.Target.Host), at))
            return false;
        if (access.Allowing.Length > 0) record.Ok("policy", $"{AccessStep.Of(chain)}allowed", ("allowed by", access.Allowing));
        if (request is not null)
            call = call with
            {
                Admitted = new(asked!, request, access.Learned, access.IsUnsure) { Doors = causes.Entries.Doors(call), Unkeyed = access.Unkeyed },
            };
        return true;
    }

    /// <summary>The chain that accepts the call, which loses its TLS where that ends; null when none does, and the record says why.</summary>
    public Arrival? Accept(ProxyView view, ref TracedCall call)
    {
        var (target, isTls, port) = (call.Destination.Port, call.Kind == CallKinds.Tls, call.Port);
        if (view.Decisions.Bound(target).FirstOrDefault(candidate => !candidate.IsInbound) is not { } listener)
        {
            record.Fail("listener", $"nothing accepts port {target}", causes.Entries.WithoutListener(port, target));
            return null;
        }
        record.Ok("listener", listener.Name, ("port of the Service", $"{port} → {target}"));
        if (!LackedFilters.Pass(record, "listener", view, $"{facts.Client}", listener, target)) return null;
        var chain = listener.Choose(call.Destination, call.ClientEnd, isTls ? NamelessTls.NameFor(facts.Target.Host) : null,
            isTls ? OfferedInTls : call.Detected);
        // A gateway closes what arrives at a port of which no listener is served.
        if (chain is null || (isTls ? chain is { Tls: null, IsHttp: true } : chain.Tls is not null)
            || (chain.IsTcp && chain.Targets is [{ Cluster: ResourceNames.BlackHole }]))
        {
            record.Fail("filter chain", $"none of {listener.Name}", causes.Entries.WithoutChain(call, listener.EndsTls));
            return null;
        }
        if (chain.IsTcp && call.IsPlainHttp && causes.Entries.Displaced(call) is { } displaced)
            record.Warn("filter chain", "passes requests on as a connection", displaced);
        if (chain.Tls is not { } tls) return new(view, chain);
        var certificate = view.Certificate(tls.Certificate);
        if (causes.Entries.Unacceptable(call, tls.Certificate, certificate) is { } unacceptable)
        {
            record.Fail("TLS", $"ends at the gateway, with {certificate?.Identity ?? "no certificate"}", unacceptable,
                ("certificate", certificate?.Validity(facts.Now) ?? ""));
            return null;
        }
        if (tls.Root.Length > 0 && view.Roots(tls.Root) is null && causes.Entries.WithoutClientCa(call, tls.Root) is { } withoutCa)
        {
            record.Fail("TLS", "ends at the gateway, without a CA for the certificates of clients", withoutCa);
            return null;
        }
        var shown = $"ends at the gateway, with {certificate?.Identity ?? $"the certificate {tls.Certificate}"}"
            + (tls.Allows12 ? tls.Allows13 ? "" : ", in TLS 1.2 only" : ", in TLS 1.3 only");
        var valid = certificate?.Validity(facts.Now) ?? "";
        var unsuited = certificate is null || tls.HasSeveralCertificates ? null : SuiteGap.Find(certificate.Leaf, tls.Suites, tls.Allows13);
        if (unsuited is { IsFatal: true })
        {
            record.Fail("TLS", shown, causes.Entries.Unsuited(call, unsuited), ("certificate", valid));
            return null;
        }
        var unsent = causes.Entries.Unsent(tls.Certificate, certificate, view);
        if (unsuited is not null) record.Warn("TLS", shown, causes.Entries.Unsuited(call, unsuited), ("certificate", valid));
        else if (unsent is { IsCertain: true })
            record.Warn("TLS", shown, causes.Entries.Incomplete(call, certificate!, unsent), ("certificate", valid));
        else
            record.Ok("TLS", unsent is null ? shown : $"{shown}: clients must know its issuer, {unsent.Issuer}", ("certificate", valid),
                ("chain", unsent is null ? "" : $"{unsent.Why}; {unsent.Remedy}"));
        if (tls.RequirePeer && facts.From is null)
            record.Add("client", HopStatus.Unknown, "must show a certificate" + (view.Roots(tls.Root)?.Roots is { Count: > 0 } roots
                ? $" that {string.Join(" or ", roots.Take(3).Select(root => root.Subject))} has issued" : "") + ": a trace cannot know whether it does", null);
        call = call with { Kind = chain.IsHttp ? CallKinds.Http : CallKinds.Tcp, IsDecrypted = true };
        return new(view, chain);
    }
}
