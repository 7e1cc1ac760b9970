using System.Globalization;
using Isthmus.Core.Collections;
using Isthmus.Core.Names;
using Isthmus.Core.Net;
using Isthmus.Core.Problems;

namespace Isthmus.Proxy.Capture;

/// <summary>A selection of ports or address ranges: all, none, or a list.</summary>
internal sealed record Choice<T>(bool All, ValueList<T> Items)
{
    public static Choice<T> Nothing { get; } = new(false, []);

    public static Choice<T> Everything { get; } = new(true, []);
}

/// <summary>A reason why a connection is not captured, and the annotation that causes it.</summary>
internal sealed record CaptureException(string Annotation, string What);

/// <summary>Which traffic goes through the proxy, from the flags of Istio's init container.</summary>
internal sealed record CaptureSettings
{
    public int OutboundPort { get; init; } = Ports.Outbound;
    public int InboundPort { get; init; } = Ports.Inbound;
    public int TunnelPort { get; init; } = 15008;
    public int DnsPort { get; init; } = Ports.SidecarDns;
    /// <summary>Users and groups whose traffic is the proxy's own.</summary>
    public ValueList<int> Users { get; init; } = [ProxyUser.Id];
    public ValueList<int> Groups { get; init; } = [ProxyUser.Id];
    public Choice<int> InboundPorts { get; init; } = Choice<int>.Nothing;
    public ValueList<int> ExcludedInboundPorts { get; init; } = [];
    public Choice<Cidr> OutboundRanges { get; init; } = Choice<Cidr>.Nothing;
    public ValueList<Cidr> ExcludedOutboundRanges { get; init; } = [];
    /// <summary>Captured regardless of the address.</summary>
    public Choice<int> OutboundPorts { get; init; } = Choice<int>.Nothing;
    public ValueList<int> ExcludedOutboundPorts { get; init; } = [];
    public ValueList<string> ExcludedInterfaces { get; init; } = [];
    public bool Dns { get; init; }
    /// <summary>Captures queries to every server, not only to those in resolv.conf.</summary>
    public bool AllDns { get; init; }
    public bool DryRun { get; init; }

    private static readonly Dictionary<string, string> Short = new(StringComparer.Ordinal)
    {
        ["-p"] = "envoy-port", ["-z"] = "inbound-capture-port", ["-e"] = "inbound-tunnel-port", ["-u"] = "proxy-uid", ["-g"] = "proxy-gid",
        ["-m"] = "istio-inbound-interception-mode", ["-b"] = "istio-inbound-ports", ["-d"] = "istio-local-exclude-ports",
        ["-i"] = "istio-service-cidr", ["-x"] = "istio-service-exclude-cidr", ["-q"] = "istio-outbound-ports",
        ["-o"] = "istio-local-outbound-ports-exclude", ["-c"] = "istio-exclude-interfaces", ["-k"] = "kube-virt-interfaces",
        ["-n"] = "dry-run", ["-t"] = "istio-inbound-tproxy-mark", ["-r"] = "istio-inbound-tproxy-route-table", ["-f"] = "restore-format",
    };

    private static readonly HashSet<string> Switches = ["dry-run", "redirect-dns", "capture-all-dns", "restore-format", "run-validation", "skip-rule-apply", "drop-invalid", "cni-mode"];

    /// <exception cref="ProblemException">A flag is unknown, lacks its value or has an invalid one.</exception>
    public static CaptureSettings Parse(IReadOnlyList<string> args, IReadOnlyDictionary<string, string> environment)
    {
        var settings = new CaptureSettings { Dns = environment.GetValueOrDefault("ISTIO_META_DNS_CAPTURE") is { } dns && bool.TryParse(dns, out var on) && on };
        for (var i = 0; i < args.Count; i++)
        {
            var flag = args[i];
            var (name, value) = Split(flag);
            if (value is null && Switches.Contains(name)) value = "true";
            if (value is null && ++i == args.Count) throw new ProblemException(flag, "the flag needs a value");
            settings = settings.With(name, flag, value ?? args[i]);
        }
        return settings;
    }

    private static (string Name, string? Value) Split(string arg)
    {
        var equals = arg.IndexOf('=', StringComparison.Ordinal);
        var (flag, value) = equals < 0 ? (arg, null) : (arg[..equals], arg[(equals + 1)..]);
        if (Short.TryGetValue(flag, out var name)) return (name, value);
        if (flag.StartsWith("--", StringComparison.Ordinal)) return (flag[2..], value);
        throw new ProblemException(arg, "is no flag of traffic capture", "see Istio's istio-iptables for the flags");
    }

    private CaptureSettings With(string name, string flag, string value) => name switch
    {
        "envoy-port" => this with { OutboundPort = Port(flag, value) },
        "inbound-capture-port" => this with { InboundPort = Port(flag, value) },
        "inbound-tunnel-port" => this with { TunnelPort = Port(flag, value) },
        "proxy-uid" => this with { Users = List(flag, value, Number) },
        "proxy-gid" => this with { Groups = List(flag, value, Number) },
        "istio-inbound-interception-mode" => value is "REDIRECT" or "" ? this
            : throw new ProblemException(flag, $"interception mode '{value}' is not supported", "use REDIRECT"),
        "istio-inbound-ports" => this with { InboundPorts = Chosen(flag, value, Port) },
        "istio-local-exclude-ports" => this with { ExcludedInboundPorts = List(flag, value, Port) },
        "istio-service-cidr" => this with { OutboundRanges = Chosen(flag, value, Range) },
        "istio-service-exclude-cidr" => this with { ExcludedOutboundRanges = List(flag, value, Range) },
        "istio-outbound-ports" => this with { OutboundPorts = Chosen(flag, value, Port) },
        "istio-local-outbound-ports-exclude" => this with { ExcludedOutboundPorts = List(flag, value, Port) },
        "istio-exclude-interfaces" => this with { ExcludedInterfaces = List(flag, value, Interface) },
        "kube-virt-interfaces" => value.Length == 0 ? this
            : throw new ProblemException(flag, "virtual machine interfaces are not supported", "leave traffic.sidecar.istio.io/kubevirtInterfaces out"),
        "redirect-dns" => this with { Dns = Truth(flag, value) },
        "capture-all-dns" => this with { AllDns = Truth(flag, value) },
        "dry-run" or "skip-rule-apply" => this with { DryRun = DryRun || Truth(flag, value) },
        // They affect how iptables is invoked, logging, or a validation that nftables does itself.
        "restore-format" or "run-validation" or "drop-invalid" or "cni-mode" or "istio-inbound-tproxy-mark" or "istio-inbound-tproxy-route-table"
            or "log_output_level" or "probe-timeout" or "iptables-probe-port" or "network-namespace" or "output-paths" or "host-ip" or "host-ipv4-loopback-cidr" => this,
        _ => throw new ProblemException(flag, "is no flag of traffic capture", "see Istio's istio-iptables for the flags"),
    };

    /// <summary>Why a connection of the application bypasses the proxy, in the order of the rules (<see cref="CaptureRules"/>); null when it does not.</summary>
    public CaptureException? ExceptionFor(System.Net.IPEndPoint destination)
    {
        if (ExcludedOutboundPorts.Contains(destination.Port)) return new("traffic.sidecar.istio.io/excludeOutboundPorts", $"port {destination.Port} is excluded");
        if (System.Net.IPAddress.IsLoopback(destination.Address)) return new("", "it is an address of the Pod itself");
        foreach (var range in ExcludedOutboundRanges)
            if (range.Contains(destination.Address)) return new("traffic.sidecar.istio.io/excludeOutboundIPRanges", $"{range} is excluded");
        if (OutboundPorts.All || OutboundPorts.Items.Contains(destination.Port) || OutboundRanges.All) return null;
        foreach (var range in OutboundRanges.Items)
            if (range.Contains(destination.Address)) return null;
        return new("traffic.sidecar.istio.io/includeOutboundIPRanges", $"only {string.Join(", ", OutboundRanges.Items)} is captured");
    }

    private static Choice<T> Chosen<T>(string flag, string value, Func<string, string, T> parse) =>
        value == "*" ? Choice<T>.Everything : new(false, List(flag, value, parse));

    private static ValueList<T> List<T>(string flag, string value, Func<string, string, T> parse) =>
        [.. value.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries).Select(part => parse(flag, part))];

    private static int Port(string flag, string value) =>
        Number(flag, value) is > 0 and <= 65535 and var port ? port : throw new ProblemException(flag, $"'{value}' is not a port", "use 1 to 65535");

    private static int Number(string flag, string value) =>
        int.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : throw new ProblemException(flag, $"'{value}' is not a number");

    private static Cidr Range(string flag, string value) =>
        Cidr.TryParse(value, out var range) ? range : throw new ProblemException(flag, $"'{value}' is not an address range", "for example 10.96.0.0/16, or *");

    private static bool Truth(string flag, string value) =>
        bool.TryParse(value, out var truth) ? truth : throw new ProblemException(flag, $"'{value}' is neither true nor false");

    /// <summary>Kernel names of interfaces; they are quoted into the ruleset.</summary>
    private static string Interface(string flag, string value) =>
        value.Length <= 15 && value.All(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '-' or '_' or '@')
            ? value : throw new ProblemException(flag, $"'{value}' is not an interface name");
}
