using Isthmus.Core.Collections;
using Isthmus.Core.Names;
using Isthmus.Core.Net;
using Isthmus.Mesh.Model;

namespace Isthmus.Mesh.Config;

internal static class VirtualServiceReader
{
    public static VirtualService Read(ObjectRef source, Field spec, long createdAt)
    {
        var hosts = spec["hosts"].Texts;
        var gateways = ReadGateways(spec["gateways"], source.Namespace);
        var isDelegate = hosts.IsEmpty;
        foreach (var host in spec["hosts"].Items)
        {
            if (host.Text == "*" && gateways.Contains(VirtualService.MeshGateway))
            {
                host.Error("wildcard host * is not allowed for virtual services bound to the mesh gateway");
            }
            else HostNames.Check(host, host.Text, allowIp: true);
        }
        if (hosts.Distinct().Count() != hosts.Count) spec["hosts"].Error("duplicate hosts in virtual service");
        if (!spec["http"].Items.Any() && !spec["tls"].Items.Any() && !spec["tcp"].Items.Any())
        {
            spec.Error("http, tcp or tls must be provided in virtual service");
        }
        if (isDelegate && (spec["tls"].Items.Any() || spec["tcp"].Items.Any())) spec.Error("delegate virtual service must not specify tls or tcp routes");
        return new(
            source,
            hosts.Select(host => Qualify(host, source.Namespace)).ToValueList(),
            gateways,
            HostNames.ReadExportTo(spec["exportTo"]),
            spec["http"].Items.Select(route => HttpRouteReader.Read(route, source.Namespace, isDelegate)).ToValueList(),
            spec["tls"].Items.Select(route => ReadL4(route, hosts, source.Namespace, true)).ToValueList(),
            spec["tcp"].Items.Select(route => ReadL4(route, hosts, source.Namespace, false)).ToValueList(),
            createdAt);
    }

    /// <summary>A name without dots is a Service in the resource's own namespace.</summary>
    public static string Qualify(string host, string ns) =>
        host.Length == 0 || host.Contains('.', StringComparison.Ordinal) || host.StartsWith('*') ? host : $"{host}.{ns}.svc.{WellKnown.DefaultDomainSuffix}";

    public static ValueList<string> ReadGateways(Field gateways, string ns)
    {
        if (!gateways.Items.Any()) return [VirtualService.MeshGateway];
        foreach (var gateway in gateways.Items)
        {
            var slash = gateway.Text.IndexOf('/', StringComparison.Ordinal);
            var name = slash < 0 ? gateway.Text : gateway.Text[(slash + 1)..];
            if (slash >= 0 && gateway.Text[..slash] is not "." && !HostNames.IsLabel(gateway.Text[..slash]))
                gateway.Error($"invalid value for namespace: \"{gateway.Text[..slash]}\"");
            if (HostNames.WhyInvalid(name, false) is not null) gateway.Error($"invalid value for gateway name: \"{name}\"");
        }
        return gateways.Texts.Select(name => Resolve(name, ns)).ToValueList();
    }

    private static string Resolve(string name, string ns)
    {
        if (name == VirtualService.MeshGateway) return name;
        var slash = name.IndexOf('/', StringComparison.Ordinal);
        return slash < 0 ? $"{ns}/{name}" : name.StartsWith("./", StringComparison.Ordinal) ? $"{ns}{name[1..]}" : name;
    }

    private static L4Route ReadL4(Field route, ValueList<string> hosts, string ns, bool tls)
    {
        if (tls && !route["match"].Items.Any()) route["match"].Error("TLS route must have at least one match condition");
        var matches = route["match"].Items.Select(match => ReadL4Match(match, hosts, ns, tls)).ToValueList();
        var destinations = HttpRouteReader.ReadDestinations(route["route"], ns);
        if (destinations.IsEmpty) route["route"].Error($"{(tls ? "TLS" : "TCP")} route is required");
        return new(matches, destinations);
    }

    private static L4Match ReadL4Match(Field match, ValueList<string> hosts, string ns, bool tls)
    {
        var sniHosts = match["sniHosts"].Texts;
        if (tls && sniHosts.IsEmpty) match["sniHosts"].Error("TLS match must have at least one SNI host");
        foreach (var sni in match["sniHosts"].Items)
        {
            HostNames.Check(sni, sni.Text);
            HostNames.CheckServerName(sni, sni.Text);
            if (!hosts.Any(host => HostNames.Covers(host, sni.Text)))
            {
                sni.Error($"SNI host \"{sni.Text}\" is not a compatible subset of any of the virtual service hosts: [{string.Join(' ', hosts)}]");
            }
        }
        var subnets = new List<AddressOrRange>();
        foreach (var subnet in match["destinationSubnets"].Items)
        {
            if (AddressOrRange.TryParse(subnet.Text, out var known)) subnets.Add(known);
            else subnet.Error($"{subnet.Text} is not a valid IP or CIDR block");
        }
        var source = match["sourceSubnet"];
        if (source.Exists) source.Error("matches by the client's address are not supported", "use sourceLabels or sourceNamespace");
        return new(
            sniHosts, subnets.ToValueList(), match["port"].Int ?? 0, HostNames.ReadLabels(match["sourceLabels"]), match["sourceNamespace"].Text,
            match["gateways"].Exists ? ReadGateways(match["gateways"], ns) : default) { IsNever = source.CloseIfWrong() };
    }
}
