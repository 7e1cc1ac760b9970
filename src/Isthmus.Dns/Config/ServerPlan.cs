using System.Globalization;
using System.Net;
using Isthmus.Core.Collections;

namespace Isthmus.Dns.Config;

/// <summary>The combined settings of all server blocks of a Corefile: parsed once, then read-only.</summary>
public sealed record ServerPlan(ValueList<ZonePlan> Zones)
{
    /// <summary>Addresses of the small HTTP pages; null without the plugin.</summary>
    public IPEndPoint? Health { get; init; }

    public TimeSpan Lameduck { get; init; }

    public IPEndPoint? Ready { get; init; }

    public IPEndPoint? Metrics { get; init; }

    public bool Reload { get; init; }
}

/// <summary>One zone of one server block, with its plugins.</summary>
/// <param name="Zone">Lower case, without final dot; empty for the root.</param>
/// <param name="Port">UDP and TCP.</param>
public sealed record ZonePlan(string Zone, int Port, ValueList<PluginPlan> Plugins, int Line)
{
    public ValueList<IPAddress> Bind { get; init; } = [];

    public bool Has<T>() where T : PluginPlan => Plugins.Any(plugin => plugin is T);
}

/// <summary>The settings of one plugin. Plugins that are only on or off have none.</summary>
public abstract record PluginPlan(string Name, int Line);

public sealed record ErrorsPlan(int Line) : PluginPlan("errors", Line);

/// <param name="Classes">all, success, denial, error; empty means all.</param>
public sealed record LogPlan(ValueList<string> Classes, int Line) : PluginPlan("log", Line);

public sealed record CachePlan(int SuccessTtl, int DenialTtl, ValueList<string> Zones, int Line) : PluginPlan("cache", Line)
{
    public int SuccessCapacity { get; init; } = 9984;
    public int DenialCapacity { get; init; } = 9984;
    public int MinimumTtl { get; init; } = 5;
    public TimeSpan ServeStale { get; init; }
    public ValueList<string> SuccessDisabled { get; init; } = [];
    public ValueList<string> DenialDisabled { get; init; } = [];
}

public sealed record LoopPlan(int Line) : PluginPlan("loop", Line);

public sealed record LoadBalancePlan(int Line) : PluginPlan("loadbalance", Line);

public sealed record WhoamiPlan(int Line) : PluginPlan("whoami", Line);

public sealed record MinimalPlan(int Line) : PluginPlan("minimal", Line);

public enum PodMode { Disabled, Insecure, Verified }

/// <param name="Zones">Lower case, without final dots: forward zones and reverse ones.</param>
/// <param name="Fallthrough">Null: answer everything in the zones; else names in these zones that are not found go on.</param>
public sealed record KubernetesPlan(ValueList<string> Zones, int Line) : PluginPlan("kubernetes", Line)
{
    public PodMode Pods { get; init; } = PodMode.Disabled;
    public ValueList<string>? Fallthrough { get; init; }

    /// <summary>Seconds.</summary>
    public uint Ttl { get; init; } = 5;
    public bool EndpointPodNames { get; init; }
    public bool NoEndpoints { get; init; }
    public ValueList<string> Namespaces { get; init; } = [];
    public string? LabelSelector { get; init; }
    public bool IgnoreEmptyService { get; init; }
    public string? Kubeconfig { get; init; }
    public string? Context { get; init; }

    /// <summary>Those of <see cref="Zones"/> that have the Services of a cluster set: what ServiceImports say.</summary>
    public ValueList<string> SetZones { get; init; } = [];
}

public enum ForwardPolicy { Random, RoundRobin, Sequential }

/// <param name="From">The zone whose names are forwarded; empty for all.</param>
/// <param name="To">Addresses with port, and files like /etc/resolv.conf.</param>
public sealed record ForwardPlan(string From, ValueList<string> To, int Line) : PluginPlan("forward", Line)
{
    public ValueList<string> Except { get; init; } = [];
    public bool ForceTcp { get; init; }
    public int MaxFails { get; init; } = 2;
    public TimeSpan HealthCheck { get; init; } = TimeSpan.FromMilliseconds(500);
    public ForwardPolicy Policy { get; init; } = ForwardPolicy.Random;

    /// <summary>0 for no limit.</summary>
    public int MaxConcurrent { get; init; }
}

/// <summary>Queries for the zones go to a DNS service over gRPC (the protocol of istiocoredns).</summary>
public sealed record GrpcPlan(string From, ValueList<string> To, int Line) : PluginPlan("grpc", Line);

public sealed record HostsPlan(string? File, ValueList<string> Inline, ValueList<string> Zones, int Line) : PluginPlan("hosts", Line)
{
    public uint Ttl { get; init; } = 3600;
    public ValueList<string>? Fallthrough { get; init; }
}

/// <summary>Answers generated from a template.</summary>
/// <param name="Type">The type asked, or ANY.</param>
public sealed record TemplatePlan(string Type, ValueList<string> Zones, int Line) : PluginPlan("template", Line)
{
    public ValueList<string> Matches { get; init; } = [];
    public ValueList<string> Answers { get; init; } = [];
    public string? Code { get; init; }
    public ValueList<string>? Fallthrough { get; init; }
}

/// <summary>Reads values as Corefiles write them.</summary>
internal static class CorefileValues
{
    /// <summary>A Go duration: <c>5s</c>, <c>1m30s</c>, <c>500ms</c>; a bare number means seconds.</summary>
    internal static TimeSpan? Duration(string text)
    {
        if (double.TryParse(text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var seconds))
            return seconds < 1e9 ? TimeSpan.FromSeconds(seconds) : null;
        var total = TimeSpan.Zero;
        for (var at = 0; at < text.Length;)
        {
            var digits = at;
            while (at < text.Length && (char.IsAsciiDigit(text[at]) || text[at] == '.')) at++;
            var letters = at;
            while (at < text.Length && char.IsAsciiLetter(text[at])) at++;
            if (!double.TryParse(text.AsSpan(digits, letters - digits), NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var number)
                || number > 1e9)
                return null;
            switch (text[letters..at])
            {
                case "ms": total += TimeSpan.FromMilliseconds(number); break;
                case "s": total += TimeSpan.FromSeconds(number); break;
                case "m": total += TimeSpan.FromMinutes(number); break;
                case "h": total += TimeSpan.FromHours(Math.Min(number, 1e6)); break;
                default: return null;
            }
        }
        return text.Length == 0 ? null : total;
    }

    /// <summary>A zone in lower case without final dot; a CIDR becomes its reverse zone. Null when malformed.</summary>
    internal static string? Zone(string text)
    {
        if (text.Contains('/', StringComparison.Ordinal)) return Core.Net.Cidr.TryParse(text, out var cidr) ? Reverse(cidr) : null;
        var zone = text.TrimEnd('.').ToLowerInvariant();
        Span<byte> wire = stackalloc byte[Wire.Dns.DnsName.MaxWire + 1];
        return zone.Length <= Wire.Dns.DnsName.MaxText && Wire.Dns.DnsName.Write(zone, wire) > 0 ? zone : null;
    }

    private static string? Reverse(Core.Net.Cidr cidr)
    {
        var bytes = cidr.Base.GetAddressBytes();
        if (bytes.Length == 4)
            return cidr.PrefixLength % 8 != 0
                ? null
                : string.Join('.', bytes.Take(cidr.PrefixLength / 8).Reverse().Select(b => (object)b).Append("in-addr.arpa"));
        if (cidr.PrefixLength % 4 != 0) return null;
        var nibbles = bytes.SelectMany(b => (int[])[b >> 4, b & 15]).Take(cidr.PrefixLength / 4).Reverse();
        return string.Join('.', nibbles.Select(nibble => (object)nibble.ToString("x", CultureInfo.InvariantCulture)).Append("ip6.arpa"));
    }

    /// <summary><c>:PORT</c> or <c>HOST:PORT</c> of a page; null when malformed.</summary>
    internal static IPEndPoint? Listen(string text)
    {
        var colon = text.LastIndexOf(':');
        if (colon < 0 || !int.TryParse(text[(colon + 1)..], NumberStyles.None, CultureInfo.InvariantCulture, out var port) || port is 0 or > 65535) return null;
        var host = text[..colon].Trim('[', ']');
        var address = host switch { "" => IPAddress.IPv6Any, "localhost" => IPAddress.Loopback, _ => IPAddress.TryParse(host, out var parsed) ? parsed : null };
        return address is null ? null : new(address, port);
    }
}
