using System.Globalization;
using System.Net;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Model;
using Isthmus.Proxy.Capture;

namespace Isthmus.Operate.Diagnose.Tracing;

/// <summary>The caller: its Pod, the name that it asks for, and what the kernel does with the connection.</summary>
internal sealed partial class TraceWalk
{
    private static readonly HashSet<Protocol> Opaque = [Protocol.Tcp, Protocol.Mongo, Protocol.Redis, Protocol.MySql];

    private ProxyView? _sidecar;

    private bool WalkClient()
    {
        var pod = facts.ClientPod;
        var network = Home.NetworkOf(pod);
        var where = $"{facts.Client}{NetworkText(network)}";
        if (pod.Status.Phase != "Running")
            return Fail("client", where, Faults.Of("ISM2001", facts.Client.ToString(), "status.phase", $"is {pod.Status.Phase}, so it calls nobody", $"kubectl --context={facts.Client.Context} -n {facts.Client.Namespace} describe pod {facts.Client.Name}"));
        if (ClusterObjects.Sidecar(pod) is null) return Ok("client", where, ("sidecar", "none: its calls leave in plain text"), ("account", pod.Spec.ServiceAccountName));
        if (!facts.Proxies.TryGetValue(facts.Client, out _sidecar))
        {
            if (!facts.Silent.TryGetValue(facts.Client, out var why))
            {
                WantedProxies.Add(facts.Client);
                return false;
            }
            return Fail("client", where, Faults.Of("ISM2002", facts.Client.ToString(), "", $"its proxy does not answer: {why}", $"kubectl --context={facts.Client.Context} -n {facts.Client.Namespace} logs {facts.Client.Name} -c istio-proxy"));
        }
        var certificate = _sidecar.Certificate("default");
        if (_sidecar.Snapshot.Listeners.Count == 0)
            return Fail("client", where, _causes.Unconfigured(facts.Client, "its proxy has no configuration"));
        return Ok("client", where, ("identity", certificate?.Identity ?? "no certificate yet"), ("certificate", certificate is null ? "" : Until(certificate)),
            ("refused", string.Join("; ", _sidecar.Unread)));
    }

    private bool WalkName()
    {
        var target = facts.Target;
        if (IPAddress.TryParse(target.Host, out var literal))
        {
            ChoosePort(OwnerOf(literal));
            _destination = new(literal, _port);
            Decide();
            return Ok("name", $"{literal} is an address", ("service", _host?.Fqdn ?? ""));
        }
        var host = facts.Host(target.Host, facts.Client.Namespace);
        ChoosePort(host);
        var (addresses, by, name) = Resolve(host);
        if (addresses.FirstOrDefault(address => address.AddressFamily == System.Net.Sockets.AddressFamily.InterNetwork) is not { } first)
            return Fail("name", $"{target.Host} has no address", _causes.NoAddress(host, _sidecar));
        _destination = new(first, _port);
        Decide();
        return Ok("name", $"{target.Host} → {string.Join(", ", addresses)}", ("answered by", by), ("as", name), ("service", _host?.Fqdn ?? "none of the mesh"));
    }

    private (IReadOnlyList<IPAddress> Addresses, string By, string Name) Resolve(MeshHost? host)
    {
        if (_sidecar?.Name is { } answer && answer.Host == facts.Target.Host)
            return (answer.Addresses, answer.By == "sidecar" ? "the sidecar, from its name table" : answer.By.Length > 0 ? "the cluster's DNS" : "", answer.Name);
        // Nobody can be asked inside the Pod: the cluster's DNS says what Services say.
        if (host?.In(Home) is not { } own) return ([], "", "");
        if (own.Service.Spec.ClusterIP is { Length: > 0 } ip && ip != "None") return ([IPAddress.Parse(ip)], "the cluster's DNS, by the Service", host.Fqdn);
        var headless = SlicesOf(own).SelectMany(slice => slice.Endpoints).Where(endpoint => endpoint.Conditions.Ready ?? true).SelectMany(endpoint => endpoint.Addresses);
        return ([.. headless.Distinct().Select(IPAddress.Parse)], "the cluster's DNS, by the endpoints", host.Fqdn);
    }

    private MeshHost? OwnerOf(IPAddress address)
    {
        var text = address.ToString();
        var owner = Home.Services.FirstOrDefault(service => service.Spec.ClusterIP == text);
        return owner is null ? null : facts.Host($"{owner.Metadata.Name}.{owner.Metadata.Namespace}");
    }

    private void ChoosePort(MeshHost? host)
    {
        _host = host;
        var ports = (host?.Services.Count > 0 ? host.Services[0].Service.Spec.Ports.Where(port => port.Protocol != "UDP").Select(port => port.Port) : host?.Entries.SelectMany(entry => entry.Ports).Select(port => port.Number) ?? []).ToList();
        _port = facts.Target.Port > 0 ? facts.Target.Port : facts.Target.Scheme == "https" ? 443 : ports.Contains(80) || ports.Count != 1 ? 80 : ports[0];
        var protocol = host?.Services.Select(service => service.Port(_port)).FirstOrDefault(port => port is not null) is { } found
            ? Protocols.Of(found.Protocol, found.AppProtocol, found.Name, found.Port)
            : host?.Entries.SelectMany(entry => entry.Ports).FirstOrDefault(port => port.Number == _port)?.Protocol ?? Protocol.Auto;
        _kind = facts.Target.Scheme switch { "https" => "tls", "tcp" => "tcp", "http" => "http", _ => "" };
        if (_kind.Length == 0) _kind = protocol.IsTls() || (host is null && _port == 443) ? "tls" : Opaque.Contains(protocol) && facts.Target.Path.Length == 0 ? "tcp" : "http";
    }

    private void Decide()
    {
        if (_sidecar is { CanCall: true }) WantedCall = new(_destination, _kind, Authority, Path);
    }

    /// <summary>Whether the kernel hands the connection to the proxy.</summary>
    private bool WalkCapture()
    {
        if (facts.ClientPod.Spec.InitContainers.FirstOrDefault(container => container.Name == "istio-init") is not { } init)
        {
            Add("capture", HopStatus.Unknown, $"{_destination} → 127.0.0.1:{Ports.Outbound}", null, ("by", "not by an init container, so its exceptions are not known"));
            return true;
        }
        CaptureSettings settings;
        try
        {
            settings = CaptureSettings.Parse([.. init.Command.Concat(init.Args).SkipWhile(word => !word.StartsWith('-'))],
                init.Env.Where(env => env.Value is not null).DistinctBy(env => env.Name).ToDictionary(env => env.Name, env => env.Value!, StringComparer.Ordinal));
        }
        catch (ProblemException e)
        {
            Add("capture", HopStatus.Unknown, $"{_destination} → 127.0.0.1:{Ports.Outbound}", null, ("by", e.Message));
            return true;
        }
        if (settings.ExceptionFor(_destination) is not { } exception) return Ok("capture", $"{_destination} → 127.0.0.1:{Ports.Outbound}", ("by", "nftables rules of container istio-init"));
        WantedCall = null;
        var problem = Faults.Of("ISM2020", facts.Client.ToString(), $"metadata.annotations[{exception.Annotation}]", $"{exception.What}, so calls to {_destination} leave past the proxy in plain text",
            $"take it out of the annotation {exception.Annotation} and start the Pod anew");
        Warn("capture", $"{_destination} is not captured", problem, ("why", exception.What));
        return false;
    }

    private string Until(ShownCertificate certificate) => string.Create(CultureInfo.InvariantCulture,
        $"{(certificate.Expires > facts.Now ? "valid until" : "EXPIRED at")} {certificate.Expires:yyyy-MM-dd HH:mm}Z");

    private static IEnumerable<EndpointSlice> SlicesOf(ClusterService service) => service.Cluster.Slices.Where(slice =>
        slice.Metadata.Namespace == service.Service.Metadata.Namespace && slice.Metadata.Labels.GetValueOrDefault(Labels.ServiceName) == service.Service.Metadata.Name);
}
