using System.Net;
using Isthmus.Core.Collections;
using Isthmus.Core.Names;
using Isthmus.Core.Net;
using Isthmus.Mesh.Model;

namespace Isthmus.Mesh.Config;

internal static class ServiceEntryReader
{
    private const string UnixScheme = "unix://";

    private const string Race = "RACE_FIRST_TCP_CONNECT";

    public static ServiceEntry Read(ObjectReading of)
    {
        CheckAnnotations(of);
        return Read(of.Source, of.Spec, of.CreatedAt) with
        {
            Distribution = TrafficDistributions.OfAnnotation(of.Annotation(Annotations.TrafficDistribution)),
            RacesAddresses = of.Annotation(Annotations.ConnectStrategy).Equals(Race, StringComparison.OrdinalIgnoreCase),
        };
    }

    /// <summary>Istio ignores a value that it does not know.</summary>
    private static void CheckAnnotations(ObjectReading of)
    {
        var (strategy, distribution) = (of.Annotation(Annotations.ConnectStrategy), of.Annotation(Annotations.TrafficDistribution));
        if (!TrafficDistributions.IsKnown(distribution))
            Warn(Annotations.TrafficDistribution, distribution, TrafficDistributions.Known);
        if (strategy.Length > 0 && strategy.ToUpperInvariant() is not (Race or "DEFAULT"))
            Warn(Annotations.ConnectStrategy, strategy, $"DEFAULT or {Race}");

        void Warn(string name, string value, string known) =>
            of.Spec.Findings.Warn($"metadata.annotations[{name}]", $"\"{value}\" has no effect", $"write {known}, or remove the annotation");
    }

    private static ServiceEntry Read(ObjectRef source, Field spec, long createdAt)
    {
        var resolution = spec["resolution"].Text switch
        {
            "STATIC" => EntryResolution.Static,
            "DNS" => EntryResolution.Dns,
            "DNS_ROUND_ROBIN" => EntryResolution.DnsRoundRobin,
            "DYNAMIC_DNS" => EntryResolution.DynamicDns,
            _ => EntryResolution.None,
        };
        var ports = ReadPorts(spec["ports"]);
        var portNames = ports.Select(port => port.Name).ToHashSet();
        var endpoints = spec["endpoints"].Items.Select(endpoint => ReadEndpoint(endpoint, portNames, resolution)).ToValueList();
        CheckHosts(spec, resolution, endpoints.Count);
        if (spec["workloadSelector"].Exists && !endpoints.IsEmpty) spec.Error("only one of WorkloadSelector or Endpoints is allowed in Service Entry");
        if (resolution == EntryResolution.None && !endpoints.IsEmpty) spec["endpoints"].Error("no endpoints should be provided for resolution type none");
        if (resolution == EntryResolution.DynamicDns) CheckDynamic(spec, ports);
        if (resolution == EntryResolution.DnsRoundRobin && endpoints.Count > 1)
            spec["endpoints"].Error("there must only be 0 or 1 endpoint for resolution mode DNS_ROUND_ROBIN", "use resolution DNS");
        return new(
            source, spec["hosts"].Texts, ReadAddresses(spec["addresses"], resolution), ports,
            spec["location"].Text != "MESH_INTERNAL", resolution, endpoints,
            HostNames.ReadSelector(spec["workloadSelector"]["labels"]), HostNames.ReadExportTo(spec["exportTo"]), spec["subjectAltNames"].Texts, createdAt);
    }

    private static void CheckHosts(Field spec, EntryResolution resolution, int endpoints)
    {
        if (!spec["hosts"].Items.Any()) spec["hosts"].Error("service entry must have at least one host");
        var isTls = spec["ports"].Items.Any(port => Protocols.Parse(port["protocol"].Text)?.IsTls() == true);
        foreach (var host in spec["hosts"].Items)
        {
            if (isTls) HostNames.CheckServerName(host, host.Text);
            if (host.Text == "*") host.Error("invalid host *", "name the domain, such as *.example.com");
            else HostNames.Check(host, host.Text);
            if (resolution is EntryResolution.Dns or EntryResolution.DnsRoundRobin && endpoints == 0 && host.Text.StartsWith('*'))
            {
                host.Error(
                    $"hosts must be FQDN if no endpoints are provided for resolution mode {(resolution == EntryResolution.Dns ? "DNS" : "DNS_ROUND_ROBIN")}");
            }
        }
    }

    /// <summary>The name of each request is resolved, so it must have one, and nothing else may say where requests go.</summary>
    private static void CheckDynamic(Field spec, ValueList<ServicePort> ports)
    {
        foreach (var host in spec["hosts"].Items.Where(host => !host.Text.StartsWith('*')))
            host.Error($"DYNAMIC_DNS needs a wildcard host, not {host.Text}", "use resolution DNS for a single name");
        foreach (var name in (ReadOnlySpan<string>)["endpoints", "workloadSelector", "addresses"])
            if (spec[name].Exists)
                spec[name]
                    .Error($"{name} cannot be used with resolution DYNAMIC_DNS, which resolves the name of each request",
                        "remove the field, or use another resolution");
        foreach (var (port, field) in ports.Zip(spec["ports"].Items))
        {
            if (!port.Protocol.IsHttp() && !port.Protocol.IsTls())
                field["protocol"]
                    .Error("DYNAMIC_DNS needs a protocol that names the host: HTTP, HTTP2, GRPC, TLS or HTTPS", "set the protocol, or use another resolution");
            if (port.TargetPort.Length > 0)
                field["targetPort"].Error("targetPort has no effect with resolution DYNAMIC_DNS", "remove the field, or name the port of the hosts as number");
        }
    }

    private static ValueList<AddressOrRange> ReadAddresses(Field addresses, EntryResolution resolution)
    {
        var read = new List<AddressOrRange>();
        foreach (var address in addresses.Items)
        {
            var isRange = address.Text.Contains('/', StringComparison.Ordinal);
            if (AddressOrRange.TryParse(address.Text, out var known)) read.Add(known);
            else address.Error(isRange ? $"{address.Text} is not a valid CIDR block" : $"{address.Text} is not a valid IP");
            if (known.IsRange && resolution is EntryResolution.Dns or EntryResolution.DnsRoundRobin)
                address.Error("CIDR addresses are allowed only for NONE/STATIC resolution types");
        }
        return read.ToValueList();
    }

    private static ValueList<ServicePort> ReadPorts(Field ports)
    {
        var read = new List<ServicePort>();
        var (names, numbers) = (new HashSet<string>(), new HashSet<int>());
        foreach (var port in ports.Items)
        {
            var number = port["number"].Int ?? 0;
            var name = port["name"].Text;
            if (!names.Add(name)) port["name"].Error($"service entry port name \"{name}\" already defined");
            if (!numbers.Add(number)) port["number"].Error($"service entry port {number} already defined");
            if (number is < 1 or > 65535) port["number"].Error($"port number {number} must be in the range 1..65535");
            var protocol = Protocol.Auto;
            if (port["protocol"].Text is { Length: > 0 } text)
            {
                if (Protocols.Parse(text) is { } known) protocol = known;
                else port["protocol"].Error($"invalid protocol \"{text}\", supported protocols are HTTP, HTTPS, GRPC, HTTP2, MONGO, TCP, TLS");
            }
            else protocol = Protocols.Of("TCP", null, name, number);
            var target = port["targetPort"].Int ?? 0;
            if (target > 65535) port["targetPort"].Error($"port number {target} must be in the range 1..65535");
            read.Add(new(name, number, protocol, target == 0 ? "" : $"{target}"));
        }
        return read.ToValueList();
    }

    public static WorkloadEntry ReadWorkload(ObjectReading of)
    {
        var spec = of.Spec;
        if (spec["address"].Text.Length == 0 && spec["network"].Text.Length == 0) spec["address"].Error("address must be set");
        return new(of.Source, ReadEndpoint(spec, null, EntryResolution.Dns))
        {
            IsUnhealthy = IsTrue(of.Annotation(Annotations.HealthChecks)) && !of.HasCondition("Healthy"),
        };
    }

    /// <summary>As Go's strconv.ParseBool; what it cannot read is false.</summary>
    private static bool IsTrue(string text) => text is "1" or "t" or "T" or "true" or "TRUE" or "True";

    /// <param name="portNames">The port names that are allowed; null for any.</param>
    private static EntryEndpoint ReadEndpoint(Field endpoint, HashSet<string>? portNames, EntryResolution resolution)
    {
        var address = endpoint["address"].Text;
        if (address.StartsWith(UnixScheme, StringComparison.Ordinal))
        {
            var path = address[UnixScheme.Length..];
            if (!path.StartsWith('/') && !path.StartsWith('@'))
                endpoint["address"].Error($"unix domain socket \"{path}\" must be an absolute path or abstract (@name)");
            else if (path.EndsWith('/'))
                endpoint["address"].Error($"unix domain socket \"{path}\" is not a valid path: it is a directory", "name the socket in it");
            if (endpoint["ports"].Exists) endpoint["ports"].Error("cannot specify ports when address is a Unix domain socket");
        }
        else if (address.Length > 0) CheckAddress(endpoint["address"], resolution);
        foreach (var (name, port) in endpoint["ports"].Members)
        {
            if (portNames is not null && !portNames.Contains(name))
                port.Error($"endpoint port {port.Integer} is not defined by the service entry", $"the entry's ports are {string.Join(", ", portNames)}");
            else if (!IsPortName(name)) port.Error($"\"{name}\" is not the name of a port", "use at most 62 letters, digits and dashes");
            else if (port.Integer is < 1 or > 65535) port.Error($"port number {port.Integer} must be in the range 1..65535");
        }
        return new(
            EndpointAddress.Parse(address),
            endpoint["ports"].Members.Select(port => KeyValuePair.Create(port.Key, port.Value.Int ?? 0)).ToValueMap(),
            HostNames.ReadLabels(endpoint["labels"]),
            endpoint["network"].Text, endpoint["locality"].Text, endpoint["weight"].UInt is > 0 and var weight ? weight : 1, endpoint["serviceAccount"].Text);
    }

    private static bool IsPortName(string name) => name.Length < 63 && HostNames.IsLabel(name);

    /// <summary>No control plane of Isthmus makes WorkloadEntries of a WorkloadGroup; what Istio refuses is refused here, too.</summary>
    /// <returns>Nothing: a group affects no proxy.</returns>
    public static object? CheckGroup(ObjectReading of)
    {
        var spec = of.Spec;
        if (spec["template"]["address"].Exists) CheckAddress(spec["template"]["address"], EntryResolution.Dns);
        HostNames.ReadLabels(spec["metadata"]["labels"]);
        var probe = spec["probe"];
        string[] ways = [.. ((string[])["httpGet", "tcpSocket", "exec", "grpc"]).Where(way => probe[way].Exists)];
        if (ways.Length > 1) probe.Error($"only one of {ways[0]} and {ways[1]} may be set");
        foreach (var way in ways)
        {
            var port = probe[way]["port"];
            if ((port.Exists || way is "httpGet" or "tcpSocket") && port.Integer is not (>= 1 and <= 65535)) port.Error("port must be between 1-65535");
        }
        if (ways.Contains("exec") && !probe["exec"]["command"].Items.Any()) probe["exec"]["command"].Error("must not be empty");
        if (probe["httpGet"]["scheme"].Text is not ("" or "HTTP" or "HTTPS")) probe["httpGet"]["scheme"].Error("scheme must be one of [HTTP, HTTPS]");
        foreach (var header in probe["httpGet"]["httpHeaders"].Items.Where(header => !HeaderNames.IsSimple(header["name"].Text)))
            header["name"].Error($"\"{header["name"].Text}\" is not the name of a header", "use letters, digits, - and _");
        foreach (var name in (ReadOnlySpan<string>)["initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"])
            if (probe[name].Exists && probe[name].Integer is not >= 0) probe[name].Error("must be an integer that is not negative");
        return null;
    }

    private static void CheckAddress(Field address, EntryResolution resolution)
    {
        if (HostNames.IsIp(address.Text)) return;
        if (resolution == EntryResolution.Static)
            address.Error($"invalid endpoint address \"{address.Text}\": STATIC resolution needs an IP address or unix socket");
        else if (HostNames.WhyInvalid(address.Text, false) is not null)
            address.Error($"endpoint address \"{address.Text}\" is not a valid FQDN or an IP address");
    }
}
