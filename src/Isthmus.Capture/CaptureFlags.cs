using System.Globalization;
using Isthmus.Core.Collections;
using Isthmus.Core.Flags;
using Isthmus.Core.Net;

namespace Isthmus.Capture;

/// <summary>The command line of <c>isthmus istio-iptables</c>: the flags of Istio's init container.</summary>
internal static class CaptureFlags
{
    private static readonly CaptureSettings Usual = new();

    private static readonly Flag<int>
        OutboundPort = Flag.Port("--envoy-port", Usual.OutboundPort, 1, "-p"),
        InboundPort = Flag.Port("--inbound-capture-port", Usual.InboundPort, 1, "-z"),
        TunnelPort = Flag.Port("--inbound-tunnel-port", Usual.TunnelPort, 1, "-e");

    private static readonly Flag<ValueList<int>>
        Users = new("--proxy-uid", "IDS", Usual.Users, IdList, "-u"),
        Groups = new("--proxy-gid", "IDS", Usual.Groups, IdList, "-g"),
        ExcludedInboundPorts = new("--istio-local-exclude-ports", "PORTS", [], PortList, "-d"),
        ExcludedOutboundPorts = new("--istio-local-outbound-ports-exclude", "PORTS", [], PortList, "-o");

    private static readonly Flag<Choice<int>>
        InboundPorts = new("--istio-inbound-ports", "PORTS", Usual.InboundPorts, text => Chosen(text, PortList), "-b"),
        OutboundPorts = new("--istio-outbound-ports", "PORTS", Usual.OutboundPorts, text => Chosen(text, PortList), "-q");

    private static readonly Flag<Choice<Cidr>> OutboundRanges = new("--istio-service-cidr", "RANGES", Usual.OutboundRanges, text => Chosen(text, RangeList),
        "-i");

    private static readonly Flag<ValueList<Cidr>> ExcludedOutboundRanges = new("--istio-service-exclude-cidr", "RANGES", [], RangeList, "-x");

    private static readonly Flag<ValueList<string>> ExcludedInterfaces = new("--istio-exclude-interfaces", "NAMES", [], InterfaceList, "-c");

    private static readonly Flag<string>
        Mode = new("--istio-inbound-interception-mode", "MODE", "",
            text => text is "REDIRECT" or "" ? text : throw new FormatException("only REDIRECT is supported"), "-m"),
        MachineInterfaces = new("--kube-virt-interfaces", "NAMES", "",
            text => text.Length == 0
                ? text
                : throw new FormatException("virtual machine interfaces are not supported; remove the annotation traffic.sidecar.istio.io/kubevirtInterfaces"),
            "-k");

    private static readonly Flag<bool>
        Dns = Flag.Switch("--redirect-dns"),
        AllDns = Flag.Switch("--capture-all-dns"),
        DryRun = Flag.Switch("--dry-run", "-n"),
        SkipApply = Flag.Switch("--skip-rule-apply"),
        Validate = Flag.Switch("--run-validation");

    private static readonly Flag<int> ProbePort = Flag.Port("--iptables-probe-port", Usual.ProbePort);

    // The ignored flags affect how iptables is invoked, logging, or how long a validation waits.
    private static readonly FlagSet Flags = new("isthmus istio-iptables",
    [
        OutboundPort, InboundPort, TunnelPort, Users, Groups, Mode, InboundPorts, ExcludedInboundPorts, OutboundRanges, ExcludedOutboundRanges, OutboundPorts,
        ExcludedOutboundPorts, ExcludedInterfaces, MachineInterfaces, Dns, AllDns, DryRun, SkipApply, Validate, ProbePort,
        .. Flag.Ignored("--istio-inbound-tproxy-mark", "-t", "--istio-inbound-tproxy-route-table", "-r", "--log_output_level", "--probe-timeout",
            "--network-namespace", "--output-paths", "--host-ip", "--host-ipv4-loopback-cidr"),
        .. Flag.IgnoredSwitches("--restore-format", "-f", "--drop-invalid", "--cni-mode"),
    ]);

    /// <exception cref="WrongUseException">A flag is unknown, lacks its value or has an invalid one.</exception>
    public static CaptureSettings Read(IReadOnlyList<string> args, IReadOnlyDictionary<string, string> environment)
    {
        var flags = Flags.Read(args);
        var dnsOfMesh = environment.GetValueOrDefault("ISTIO_META_DNS_CAPTURE") is { } dns && bool.TryParse(dns, out var on) && on;
        return new()
        {
            OutboundPort = flags.Get(OutboundPort),
            InboundPort = flags.Get(InboundPort),
            TunnelPort = flags.Get(TunnelPort),
            Users = flags.Get(Users),
            Groups = flags.Get(Groups),
            InboundPorts = flags.Get(InboundPorts),
            ExcludedInboundPorts = flags.Get(ExcludedInboundPorts),
            OutboundRanges = flags.Get(OutboundRanges),
            ExcludedOutboundRanges = flags.Get(ExcludedOutboundRanges),
            OutboundPorts = flags.Get(OutboundPorts),
            ExcludedOutboundPorts = flags.Get(ExcludedOutboundPorts),
            ExcludedInterfaces = flags.Get(ExcludedInterfaces),
            Dns = flags.Get(Dns, dnsOfMesh),
            AllDns = flags.Get(AllDns),
            DryRun = flags.Get(DryRun),
            SkipApply = flags.Get(SkipApply),
            Validate = flags.Get(Validate),
            ProbePort = flags.Get(ProbePort),
        };
    }

    private static Choice<T> Chosen<T>(string text, Func<string, ValueList<T>> parse) => text == "*" ? Choice<T>.Everything : new(false, parse(text));

    private static ValueList<T> List<T>(string text, Func<string, T> parse) =>
        [.. text.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries).Select(parse)];

    private static ValueList<int> PortList(string text) =>
        List(text,
            part => PortNumber.TryParse(part, out var port) && port > 0
                ? port
                : throw new FormatException($"'{part}' is not a port number from 1 to {PortNumber.Highest}"));

    private static ValueList<int> IdList(string text) =>
        List(text,
            part => int.TryParse(part, NumberStyles.None, CultureInfo.InvariantCulture, out var id)
                ? id
                : throw new FormatException($"'{part}' is not a number"));

    private static ValueList<Cidr> RangeList(string text) =>
        List(text,
            part => Cidr.TryParse(part, out var range)
                ? range
                : throw new FormatException($"'{part}' is not an address range; expected for example 10.96.0.0/16, or *"));

    /// <summary>Kernel names of interfaces; they are quoted into the ruleset.</summary>
    private static ValueList<string> InterfaceList(string text) =>
        List(text, part => part.Length <= 15 && part.All(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '-' or '_' or '@')
            ? part : throw new FormatException($"'{part}' is not an interface name"));
}
