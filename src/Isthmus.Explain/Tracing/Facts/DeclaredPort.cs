using System.Globalization;
using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Mesh.Model;

namespace Isthmus.Explain.Tracing.Facts;

/// <summary>A port of a Service or ServiceEntry, and the protocol that it declares: proxies treat what is spoken there as that.</summary>
/// <param name="Object">The Service or ServiceEntry.</param>
/// <param name="Field">What the protocol follows from.</param>
internal sealed record DeclaredPort(Protocol Protocol, string Object, string Field)
{
    private bool IsOfEntry => Object.StartsWith("ServiceEntry ", StringComparison.Ordinal);

    public string Name => Protocol.ToString().ToUpperInvariant();

    /// <summary>Proxies know no requests there.</summary>
    public bool IsBytes => Protocol is Protocol.Tcp or Protocol.Mongo or Protocol.Redis or Protocol.MySql;

    /// <summary>The port that is called; null when no Service or ServiceEntry has it.</summary>
    /// <param name="call">The call.</param>
    /// <param name="context">The cluster whose Service comes first: the proxies of its Pods follow it, not those of other clusters.</param>
    public static DeclaredPort? Of(TracedCall call, string context = "")
    {
        var found = call.Host?.Services.OrderBy(service => service.Cluster.Context == context ? 0 : 1)
            .Select(service => (service, port: service.Port(call.Port))).FirstOrDefault(found => found.port is not null);
        if (found is not { port: { } port, service: { } service }) return OfEntry(call);
        var name = port.Name.Length > 0 ? port.Name : port.Port.ToString(CultureInfo.InvariantCulture);
        var field = string.IsNullOrEmpty(port.AppProtocol) ? "name" : "appProtocol";
        return new(ProtocolOf(port), service.Name, $"spec.ports[{name}].{field}");
    }

    public static Protocol ProtocolOf(Kubernetes.Objects.ServicePort port) => Protocols.Of(port.Protocol, port.AppProtocol, port.Name, port.Port);

    private static DeclaredPort? OfEntry(TracedCall call)
    {
        var (entry, port) = (call.Host?.Entries ?? []).Select(entry =>
            (entry, port: entry.Ports.FirstOrDefault(port => port.Number == call.Port))).FirstOrDefault(found => found.port is not null);
        return port is null ? null
            : new(port.Protocol, $"ServiceEntry {entry.Namespace}/{entry.Name} in {call.Facts.ConfigOf(call.Facts.Home).Context}",
                $"spec.ports[{port.Name}].protocol");
    }

    /// <summary>How the object says that the port speaks another protocol.</summary>
    /// <param name="protocol">As an <c>appProtocol</c>, for example <c>http</c>.</param>
    public string Declare(string protocol) =>
        IsOfEntry ? $"set protocol: {protocol.ToUpperInvariant()}"
            // It comes before the name.
            : Field.EndsWith(".appProtocol", StringComparison.Ordinal) ? $"set appProtocol: {protocol}"
            : $"name the port {protocol} or {protocol}-…, or set appProtocol: {protocol}";

    /// <summary>Why proxies do not take the call for what it is; null when they do.</summary>
    public Problem? Contradiction(TracedCall call)
    {
        if (call.Kind == CallKinds.Tls && Protocol.IsHttp())
        {
            return Faults.Of("ISM2093", Object, Field, $"declares {Name}, and the call is HTTPS: proxies that expect plain {Name} there find no request in TLS",
                $"if the application speaks TLS, {Declare("https")}; "
                + $"otherwise call {(Protocol.IsHttp2() ? "grpc or http" : "http")}://{call.Facts.Target.Host}:{call.Port}");
        }
        if (call.IsPlainHttp && Protocol.IsTls())
        {
            return Faults.Of("ISM2093", Object, Field,
                $"declares {Name}, and the call is plain HTTP: proxies choose by the server name of TLS there, and find none",
                $"call https://{call.Facts.Target.Host}:{call.Port}; "
                + $"or, if the application speaks plain HTTP, {Declare("http")}");
        }
        if (call.Kind != CallKinds.Tcp || !Protocol.IsHttp()) return null;
        return Faults.Of("ISM2093", Object, Field,
            $"declares {Name}, and the call is a plain TCP connection: proxies wait there for a request of {Name}, so a server that speaks first is not heard, "
                + "and bytes that are no request may be refused with 400",
            $"if the application does not speak HTTP, {Declare("tcp")}");
    }
}
