using System.Net;
using Google.Protobuf;
using Isthmus.Core.Collections;
using Isthmus.Mesh.Model;
using Isthmus.Wire.Envoy.Routes;

namespace Isthmus.Mesh.Generate;

/// <summary>What a route needs to know about a destination: its ports, the hash key of its rule, and how sessions stay with its endpoints.</summary>
public sealed record DestinationShape(ValueList<int> Ports, DestinationRule? Rule)
{
    public SessionPersistence? Session { get; init; }
}

/// <summary>All inputs of one virtual host of a sidecar.</summary>
/// <param name="Hostname">Of a service, or a name that only a VirtualService defines.</param>
/// <param name="Domains">What is left of its domains: a table must not contain one twice.</param>
/// <param name="Routing">The routes of the host, or null.</param>
/// <param name="Destinations">Every known host that the routes reference, including this one.</param>
public sealed record VirtualHostInputs(
    RouteCaller Caller,
    MeshConfig Mesh,
    string Hostname,
    int Port,
    ValueList<string> Domains,
    RouteSet? Routing,
    ValueMap<DestinationShape> Destinations);

/// <summary>All inputs of what a table does with requests for unknown hosts.</summary>
/// <param name="CountsAttempts">Whether requests carry the number of their attempt.</param>
public readonly record struct FallbackInputs(OutboundPolicy Policy, bool CountsAttempts);

/// <summary>RDS of sidecars: one virtual host for each host of a port, so that a table is assembled from parts that are
/// encoded once.</summary>
public static class RouteGenerator
{
    internal static readonly RouteAction.Types.MaxStreamDuration Unlimited = new() { MaxStreamDuration_ = Parts.Zero, GrpcTimeoutHeaderMax = Parts.Zero };

    public static VirtualHost VirtualHost(VirtualHostInputs inputs)
    {
        var host = new VirtualHost { Name = ResourceNames.HostPort(inputs.Hostname, inputs.Port), IncludeRequestAttemptCount = inputs.Caller.CountsAttempts };
        host.Domains.AddRange(inputs.Domains);
        var context = new HttpRoutes.Context(inputs.Caller, inputs.Mesh, inputs.Port, RouteSet.Mesh, inputs.Destinations);
        if (inputs.Routing is { Rules.IsEmpty: false } routing) host.Routes.AddRange(HttpRoutes.Of(routing, context));
        if (inputs.Routing is not { Rules.IsEmpty: false, IsOfService: false } && host.Routes.Count == 0)
            host.Routes.Add(HttpRoutes.Default(inputs.Hostname, context));
        return host;
    }

    /// <summary>The domains of a name that only a VirtualService defines.</summary>
    public static IEnumerable<string> Domains(string name, DomainCaller caller, int port) => WithPort(Names(name, caller.Domain), port);

    /// <summary>The destination of requests for unknown hosts.</summary>
    public static VirtualHost Fallback(FallbackInputs inputs)
    {
        var (name, cluster) = inputs.Policy switch
        {
            OutboundPolicy.AllowAny => ("allow_any", ResourceNames.Passthrough),
            OutboundPolicy.AllowAnyDynamicDns => ("allow_any_dynamic_dns", ResourceNames.DynamicDns),
            _ => (ResourceNames.BlockAll, ""),
        };
        var route = new Route { Name = name, Match = new() { Prefix = "/" } };
        if (cluster.Length > 0) route.Route_ = new() { Cluster = cluster, Timeout = Parts.Zero };
        else route.DirectResponse = new() { Status = 502 };
        return new() { Name = route.Name, Domains = { "*" }, Routes = { route }, IncludeRequestAttemptCount = inputs.CountsAttempts };
    }

    /// <summary>A table of nothing but the fallback: requests to addresses that the mesh does not know.</summary>
    internal static RouteConfiguration Open(MeshConfig mesh) => new()
    {
        Name = "allow_any_dynamic_dns", ValidateClusters = false,
        VirtualHosts = { Fallback(new(OutboundPolicy.AllowAnyDynamicDns, mesh.ProxyHeaders.HasAttemptCount)) },
    };

    /// <summary>A table without its virtual hosts.</summary>
    public static RouteConfiguration Head(string name) => new() { Name = name, ValidateClusters = false };

    /// <summary>The names by which a host may be called, each with and without the port. The Pods of a headless one have names below it.</summary>
    public static IEnumerable<string> Domains(MeshService service, DomainCaller caller, int port)
    {
        var names = Names(service.Hostname, caller.Domain);
        if (service.Headless) names = names.Concat(names.Select(name => "*." + name));
        names = names.Concat(service.Aliases.Where(alias => alias.VisibleTo(caller.Namespace)).SelectMany(alias => Names(alias.Hostname, caller.Domain)));
        var addresses = ServiceAddresses.For(service, caller.Addresses).Where(address => !address.IsRange).Select(address => address.ToString());
        return WithPort(names.Concat(addresses), port);
    }

    private static IEnumerable<string> WithPort(IEnumerable<string> names, int port) =>
        names.SelectMany(name => (string[])[name, ResourceNames.HostPort(name, port)]);

    /// <summary>The full name and what resolv.conf's search list lets applications leave out.</summary>
    private static IEnumerable<string> Names(string hostname, string domain)
    {
        yield return hostname;
        // With a dot at its end, a name is not completed: applications that write it so send it so.
        if (hostname != "*" && !IPAddress.TryParse(hostname, out _)) yield return $"{hostname}.";
        // The domain is NAMESPACE.svc.SUFFIX.
        var suffix = domain.IndexOf(".svc.", StringComparison.Ordinal);
        if (suffix < 0) yield break;
        var shared = domain[suffix..];
        if (!hostname.EndsWith(shared, StringComparison.Ordinal)) yield break;
        var local = hostname[..^shared.Length];
        var dot = local.IndexOf('.', StringComparison.Ordinal);
        if (dot < 0) yield break;
        if (local[(dot + 1)..] == domain[..suffix]) yield return local[..dot];
        yield return local + ".svc";
        yield return local;
    }
}

/// <summary>Assembles messages from parts that are already encoded.</summary>
public static class Assembled
{
    /// <param name="shell">The message without the repeated field.</param>
    /// <param name="field">The number of the repeated message field.</param>
    public static ByteString Of(IMessage shell, int field, IEnumerable<ByteString> parts)
    {
        var items = parts as IReadOnlyCollection<ByteString> ?? [.. parts];
        var tag = WireFormat.MakeTag(field, WireFormat.WireType.LengthDelimited);
        var size = shell.CalculateSize();
        foreach (var part in items) size += CodedOutputStream.ComputeRawVarint32Size(tag) + CodedOutputStream.ComputeLengthSize(part.Length) + part.Length;
        var bytes = new byte[size];
        var output = new CodedOutputStream(bytes);
        shell.WriteTo(output);
        foreach (var part in items)
        {
            output.WriteTag(tag);
            output.WriteBytes(part);
        }
        output.CheckNoSpaceLeft();
        return UnsafeByteOperations.UnsafeWrap(bytes);
    }
}
