using System.Net;
using Isthmus.Core.Names;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Causes;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Explain.Tracing.Reading;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Model;

namespace Isthmus.Explain.Tracing.Steps;

/// <summary>Resolves the name that the caller asks for, and finds its host in the mesh.</summary>
internal sealed class NameStep(TraceFacts facts, TraceRecord record, TraceCauses causes, ProxyView? sidecar)
{
    private static readonly HashSet<Protocol> Opaque = [Protocol.Tcp, Protocol.Mongo, Protocol.Redis, Protocol.MySql];

    /// <summary>What the name stands for: an application may connect to each of them.</summary>
    public IReadOnlyList<IPAddress> Addresses { get; private set; } = [];

    /// <summary>Defines the call as far as its name does. False when the call ends here.</summary>
    public bool Walk(out TracedCall call)
    {
        var target = facts.Target;
        if (IPAddress.TryParse(target.Host, out var literal))
        {
            call = Choose(OwnerOf(literal));
            call = call with { Destination = new(literal, call.Port) };
            return record.Ok("name", $"{literal} is an address", ("service", call.Host?.Fqdn ?? ""));
        }
        var host = facts.Host(target.Host, facts.Client.Namespace);
        call = Choose(host);
        if (Alias(host, ref call) is { } led) return led;
        var (addresses, by, name) = Resolve(host);
        Addresses = [.. addresses.Where(address => address.AddressFamily == System.Net.Sockets.AddressFamily.InterNetwork).Distinct()];
        if (Addresses is not [var first, ..])
        {
            if (host is null && facts.TakenAt is not null && IsForeign(target.Host))
            {
                record.Add("name", HopStatus.Unknown,
                    $"no Service or ServiceEntry has the name {target.Host}, and what a DNS server outside answers is not in the snapshot", null);
                return false;
            }
            return record.Fail("name", $"{target.Host} has no address", causes.Hosts.NoAddress(host, call.Port, sidecar));
        }
        call = call with { Destination = new(facts.Address ?? first, call.Port) };
        record.Ok("name", $"{target.Host} → {string.Join(", ", addresses)}", ("answered by", by), ("as", name),
            ("service", call.Host?.Fqdn ?? "none in the mesh"));
        if (host is not null && causes.Hosts.Shadowed(host) is { } shadow) record.Warn("host", $"{host.Fqdn} is also a ServiceEntry", shadow);
        return true;
    }

    /// <summary>The file that a Pod's <c>hostAliases</c> make comes before any DNS, and names are in it as they are asked for. Null: they have no address
    /// for the name.</summary>
    private bool? Alias(MeshHost? host, ref TracedCall call)
    {
        var found = facts.ClientPod.Spec.HostAliases.Index()
            .Where(one => one.Item.Hostnames.Exists(name => name.Equals(facts.Target.Host, StringComparison.OrdinalIgnoreCase)))
            .Select(one => (one.Index, Address: IPAddress.TryParse(one.Item.Ip, out var address) ? address : IPAddress.None))
            .Where(one => one.Address.AddressFamily == System.Net.Sockets.AddressFamily.InterNetwork && !one.Address.Equals(IPAddress.None)).ToList();
        if (found.Count == 0) return null;
        Addresses = [.. found.Select(one => one.Address).Distinct()];
        var (index, led) = found.Find(one => facts.Address is null || one.Address.Equals(facts.Address));
        var problem = causes.Callers.Alias(host, index, led, [.. Resolve(host).Addresses]);
        // What has the address is called, and not what has the name in the mesh.
        call = call with { Destination = new(led, call.Port), Host = problem is null ? host : OwnerOf(led) };
        var summary = $"{facts.Target.Host} → {led}";
        if (problem is not null) record.Warn("name", summary, problem, ("answered by", $"spec.hostAliases of {facts.Client}"));
        else record.Ok("name", summary, ("answered by", $"spec.hostAliases of {facts.Client}"), ("service", call.Host?.Fqdn ?? "none in the mesh"));
        return true;
    }

    private (IReadOnlyList<IPAddress> Addresses, string By, string Name) Resolve(MeshHost? host)
    {
        if (sidecar?.Name is { } answer && answer.Host == facts.Target.Host)
            return (answer.Addresses, answer.By == "sidecar" ? "the sidecar, from its name table" : answer.By.Length > 0 ? "the cluster's DNS" : "",
                answer.Name);
        // Nothing in the Pod can be queried, so the answer is what Services define: the cluster's DNS returns the same.
        if (host?.In(facts.Home) is not { } own) return ([], "", "");
        if (own.Service.Spec.ClusterIP is { Length: > 0 } ip && ip != "None") return ([IPAddress.Parse(ip)], "the cluster's DNS, by the Service", host.Fqdn);
        var headless = own.Slices().SelectMany(slice => slice.Endpoints).Where(endpoint => endpoint.Conditions.Ready ?? true)
            .SelectMany(endpoint => endpoint.Addresses);
        return ([.. headless.Distinct().Select(IPAddress.Parse)], "the cluster's DNS, by the endpoints", host.Fqdn);
    }

    /// <summary>Whether only a server outside of the clusters may know the name.</summary>
    private bool IsForeign(string host) => host.Contains('.', StringComparison.Ordinal)
        && !host.EndsWith($".{WellKnown.DefaultDomainSuffix}", StringComparison.Ordinal) && !host.EndsWith(".svc", StringComparison.Ordinal)
        && !host.EndsWith(".global", StringComparison.Ordinal) && !host.EndsWith(".svc.clusterset.local", StringComparison.Ordinal)
        && facts.Clusters.All(cluster => cluster.Services.All(service => !host.EndsWith($".{service.Metadata.Namespace}", StringComparison.Ordinal)));

    private MeshHost? OwnerOf(IPAddress address)
    {
        var text = address.ToString();
        var owner = facts.Home.Services.FirstOrDefault(service => service.Spec.ClusterIP == text);
        return owner is null ? null : facts.Host($"{owner.Metadata.Name}.{owner.Metadata.Namespace}");
    }

    private TracedCall Choose(MeshHost? host)
    {
        var ports = (host?.Services.Count > 0
            ? host.Services[0].Service.Spec.Ports.Where(port => port.Protocol != "UDP").Select(port => port.Port)
            : host?.Entries.SelectMany(entry => entry.Ports).Select(port => port.Number) ?? [])
            .ToList();
        // A URL without a port has that of its scheme, whatever the ports of the Service. The schemes grpc and tcp have none of their own.
        var chosen = facts.Target switch
        {
            { Port: > 0 } target => target.Port,
            { Scheme: "https" } => 443,
            { Scheme: "http" } => 80,
            _ => ports.Contains(80) || ports.Count != 1 ? 80 : ports[0],
        };
        var protocol = host?.Services.Select(service => service.Port(chosen)).FirstOrDefault(port => port is not null) is { } found
            ? Protocols.Of(found.Protocol, found.AppProtocol, found.Name, found.Port)
            : host?.Entries.SelectMany(entry => entry.Ports).FirstOrDefault(port => port.Number == chosen)?.Protocol ?? Protocol.Auto;
        var kind = facts.Target.Scheme == "https" ? CallKinds.Tls : facts.Target.Scheme;
        if (kind.Length == 0)
            kind = protocol.IsTls() || (host is null && chosen == 443)
                ? CallKinds.Tls
                : Opaque.Contains(protocol) && facts.Target.Path.Length == 0
                ? CallKinds.Tcp
                : CallKinds.Http;
        return new(facts, sidecar, host, chosen, kind, new(IPAddress.None, 0));
    }
}
