using System.Globalization;
using System.Net.Sockets;
using System.Text;
using Isthmus.Core.Collections;
using Isthmus.Core.Names;
using Isthmus.Core.Net;

namespace Isthmus.Capture;

/// <summary>The nftables ruleset of one Pod as one transaction that replaces the previous one. IPv4 only, because the proxy
/// listens on IPv4 only.</summary>
internal static class CaptureRules
{
    public const string Table = "isthmus_capture";

    /// <summary>The proxy's connections to the application come from here, so that they are not captured a second time (Istio).</summary>
    private const string Passthrough = "127.0.0.6";

    public static string Write(CaptureSettings settings, CaptureHost host)
    {
        var text = new StringBuilder();
        // Adding first makes the delete succeed even when nothing exists; it is all one transaction.
        text.Append(CultureInfo.InvariantCulture, $"add table ip {Table}\ndelete table ip {Table}\n\ntable ip {Table} {{\n");
        Inbound(text, settings);
        Outbound(text, settings, host);
        Own(text, settings);
        return text.Append("}\n").ToString();
    }

    private static void Inbound(StringBuilder text, CaptureSettings settings)
    {
        Chain(text, "inbound", "type nat hook prerouting priority -100; policy accept;",
        [
            Interfaces("iifname", settings.ExcludedInterfaces),
            $"tcp dport {settings.TunnelPort} return",
            .. Ports(settings.ExcludedInboundPorts, "return"),
            .. settings.InboundPorts.All ? [$"meta l4proto tcp redirect to :{settings.InboundPort}"]
                : Ports(settings.InboundPorts.Items, $"redirect to :{settings.InboundPort}"),
        ]);
    }

    private static void Outbound(StringBuilder text, CaptureSettings settings, CaptureHost host)
    {
        Chain(text, "outbound", "type nat hook output priority -100; policy accept;",
        [
            $"meta mark {ProxyUser.Mark} jump own",
            .. settings.Users.Where(host.Exists).Select(user => $"meta skuid {user} jump own"),
            .. settings.Groups.Where(host.Exists).Select(group => $"meta skgid {group} jump own"),
            // Before the loopback rules: a resolver at 127.0.0.53 is captured as well.
            .. settings.Dns ? Dns(settings, host) : [],
            "meta l4proto != tcp return",
            $"ip saddr {Passthrough} return",
            Interfaces("oifname", settings.ExcludedInterfaces),
            .. Ports(settings.ExcludedOutboundPorts, "return"),
            // The application talks to itself.
            "oifname \"lo\" return",
            "ip daddr 127.0.0.0/8 return",
            .. Ranges(settings.ExcludedOutboundRanges, "return"),
            .. settings.OutboundPorts.All ? [$"meta l4proto tcp redirect to :{settings.OutboundPort}"]
                : Ports(settings.OutboundPorts.Items, $"redirect to :{settings.OutboundPort}"),
            .. settings.OutboundRanges.All ? [$"meta l4proto tcp redirect to :{settings.OutboundPort}"]
                : Ranges(settings.OutboundRanges.Items, $"meta l4proto tcp redirect to :{settings.OutboundPort}"),
        ]);
    }

    /// <summary>The proxy's own traffic leaves as it is, but to this Pod's own address it goes through the inbound side, as
    /// from any other client.</summary>
    private static void Own(StringBuilder text, CaptureSettings settings)
    {
        var except = settings.Dns ? $"{{ 53, {settings.TunnelPort} }}" : $"{settings.TunnelPort}";
        Chain(text, "own", "",
        [
            $"ip saddr {Passthrough} accept",
            $"oifname \"lo\" ip daddr != 127.0.0.0/8 tcp dport != {except} redirect to :{settings.InboundPort}",
            "accept",
        ]);
    }

    private static IEnumerable<string> Dns(CaptureSettings settings, CaptureHost host)
    {
        var to = settings.AllDns || host.NameServers.IsEmpty ? "" : $"ip daddr {{ {string.Join(", ", host.NameServers.Distinct())} }} ";
        yield return $"{to}udp dport 53 redirect to :{settings.DnsPort}";
        yield return $"{to}tcp dport 53 redirect to :{settings.DnsPort}";
    }

    private static IEnumerable<string> Ports(ValueList<int> ports, string verdict) =>
        ports.IsEmpty ? [] : [$"tcp dport {{ {string.Join(", ", ports.Distinct())} }} {verdict}"];

    private static IEnumerable<string> Ranges(ValueList<Cidr> ranges, string verdict)
    {
        // One rule each: sets refuse overlapping ranges.
        foreach (var range in ranges.Distinct())
            if (range.Base.AddressFamily == AddressFamily.InterNetwork) yield return $"ip daddr {range} {verdict}";
    }

    private static string Interfaces(string which, ValueList<string> names) =>
        names.IsEmpty ? "" : $"{which} {{ {string.Join(", ", names.Distinct().Select(n => $"\"{n}\""))} }} return";

    private static void Chain(StringBuilder text, string name, string head, IEnumerable<string> rules)
    {
        text.Append(CultureInfo.InvariantCulture, $"  chain {name} {{\n");
        if (head.Length > 0) text.Append(CultureInfo.InvariantCulture, $"    {head}\n");
        foreach (var rule in rules.Where(r => r.Length > 0)) text.Append(CultureInfo.InvariantCulture, $"    {rule}\n");
        text.Append("  }\n");
    }
}
